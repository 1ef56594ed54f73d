/** Loading the hand-written plan on the test's GPU, with every buffer of every device counted. */
import { expect } from "vitest";
import type { DeviceTensor, LoadedModel, LoadOptions, TensorInput, TensorOutput } from "../../src/runtime/api.ts";
import type { Plan } from "../../src/runtime/plan.ts";
import { createLoader } from "../../src/runtime/index.ts";
import { processGpu } from "../../src/cli/adapter.ts";
import { makers, plan, shard } from "./integrator.ts";

interface Inputs {
  readonly u: TensorInput;
}
interface Outputs {
  readonly y: TensorOutput;
  readonly last: TensorOutput;
}
interface DeviceOutputs {
  readonly y: DeviceTensor;
  readonly last: DeviceTensor;
}
export type TestModel = LoadedModel<Inputs, Outputs, DeviceOutputs>;

/** Buffers alive, over all devices that `countingGPU` gave. */
export const count = { created: 0, alive: 0, devices: 0, uncaptured: [] as string[] };

/** A GPU whose devices count their buffers. */
export function countingGPU(): GPU {
  const gpu = processGpu();
  return {
    requestAdapter: async (options?: GPURequestAdapterOptions) => {
      const adapter = await gpu.requestAdapter(options);
      if (!adapter) return null;
      return { limits: adapter.limits, features: adapter.features, info: adapter.info, requestDevice: async (descriptor?: GPUDeviceDescriptor) => counting(await adapter.requestDevice(descriptor)) };
    },
  } as unknown as GPU;
}

/** Makes a device count its buffers. */
export function counting(device: GPUDevice): GPUDevice {
  count.devices++;
  device.addEventListener("uncapturederror", (event) => void count.uncaptured.push(event.error.message));
  const create = device.createBuffer.bind(device);
  device.createBuffer = (descriptor) => {
    const buffer = create(descriptor);
    const destroy = buffer.destroy.bind(buffer);
    let alive = true;
    count.created++;
    count.alive++;
    buffer.destroy = () => {
      if (alive) count.alive--;
      alive = false;
      return destroy();
    };
    return buffer;
  };
  return device;
}

export const read = async (): Promise<ArrayBuffer> => shard.slice().buffer;

/** Loads the hand-written plan, or a variant of it. */
export async function loadIntegrator(options: LoadOptions = {}, change: Partial<Plan> = {}): Promise<TestModel> {
  const load = createLoader<Inputs, Outputs, DeviceOutputs>({ ...plan, ...change }, "https://nowhere.invalid/", makers);
  return load({ read, ...(options.device ? {} : { gpu: countingGPU() }), ...options });
}

/** Equal but for float32 rounding: eps 6e-8 a step, damped by A = 0.9, on values below 10. */
export function expectClose(actual: ArrayLike<number>, expected: ArrayLike<number>): void {
  expect(actual.length).toBe(expected.length);
  for (let i = 0; i < expected.length; i++) expect(Math.abs((actual[i] ?? NaN) - (expected[i] ?? NaN)), `element ${i}`).toBeLessThan(1e-5);
}
