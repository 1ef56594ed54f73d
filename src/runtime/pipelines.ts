/** The pipelines of a plan on one device, each compiled once, when it is first needed: a model has more kernels than one length uses. */
import { LimitError } from "./errors.ts";
import type { Dims, Dispatch, KernelSpec } from "./plan.ts";
import { missing } from "./plan.ts";
import { unpackShader } from "./shader-text.ts";

interface Kernel {
  readonly spec: KernelSpec;
  module: GPUShaderModule | undefined;
  readonly layout: GPUBindGroupLayout;
  readonly pipelines: Map<string, Promise<GPUComputePipeline>>;
}

/** Kernels by their index in the plan. */
export class Pipelines {
  readonly #gpu: GPUDevice;
  readonly #kernels: readonly Kernel[];

  constructor(gpu: GPUDevice, specs: readonly KernelSpec[]) {
    const layouts = new Map<string, GPUBindGroupLayout>();
    this.#gpu = gpu;
    this.#kernels = specs.map((spec) => {
      const layout = layouts.get(spec.access) ?? createLayout(gpu, spec.access);
      layouts.set(spec.access, layout);
      return { spec, layout, module: undefined, pipelines: new Map() };
    });
  }

  layout({ kernel }: Dispatch): GPUBindGroupLayout {
    return this.#kernel(kernel).layout;
  }

  /** The pipeline of a dispatch at these dims. Throws: LimitError where the kernel needs more than the device has. */
  async compile(dispatch: Dispatch, d: Dims): Promise<GPUComputePipeline> {
    const kernel = this.#kernel(dispatch.kernel);
    const { spec, layout, pipelines } = kernel;
    const constants = dispatch.constants?.(d) ?? {};
    const key = Object.values(constants).join();
    const known = pipelines.get(key);
    if (known) return known;
    const { maxComputeWorkgroupStorageSize, maxStorageBuffersPerShaderStage } = this.#gpu.limits;
    LimitError.check({ maxComputeWorkgroupStorageSize }, spec.shared?.(constants) ?? 0);
    LimitError.check({ maxStorageBuffersPerShaderStage }, spec.access.length);
    const module = (kernel.module ??= this.#gpu.createShaderModule({ label: spec.name, code: unpackShader(spec.wgsl, spec.access) }));
    const pipeline = this.#gpu.createComputePipelineAsync({
      label: spec.name,
      layout: this.#gpu.createPipelineLayout({ bindGroupLayouts: [layout] }),
      compute: { module, constants },
    });
    pipelines.set(key, pipeline);
    return pipeline;
  }

  readonly #kernel = (index: number): Kernel => this.#kernels[index] ?? missing(`kernel ${index}`);
}

/** Binding 0 is the uniform, at an offset of each dispatch; the letters of `access` follow. */
function createLayout(gpu: GPUDevice, access: string): GPUBindGroupLayout {
  const buffers: GPUBufferBindingLayout[] = Array.from(access, (letter) => ({ type: letter === "r" ? "read-only-storage" : "storage" }));
  const all = [{ type: "uniform", hasDynamicOffset: true } as const, ...buffers];
  return gpu.createBindGroupLayout({ entries: all.map((buffer, binding) => ({ binding, visibility: 4, buffer })) });
}
