/**
 * One device for many models of a test, which remembers its pipelines: random cases differ in few shaders, and a software
 * adapter takes longer to compile one than to run it.
 */
import { processGpu } from "../../src/cli/adapter.ts";

let device: Promise<GPUDevice> | undefined;

/** The process's device with memory. Not for tests of loss or of what is destroyed. */
export const sharedDevice = (): Promise<GPUDevice> => (device ??= open());

async function open(): Promise<GPUDevice> {
  const adapter = await processGpu().requestAdapter();
  if (adapter === null) throw new Error("no WebGPU adapter");
  const { maxComputeWorkgroupStorageSize, maxBufferSize, maxStorageBufferBindingSize } = adapter.limits;
  const opened = await adapter.requestDevice({
    requiredLimits: { maxComputeWorkgroupStorageSize, maxBufferSize, maxStorageBufferBindingSize },
    requiredFeatures: adapter.features.has("timestamp-query") ? ["timestamp-query"] : [],
  });
  const sources = new Map<GPUShaderModule, string>();
  const pipelines = new Map<string, Promise<GPUComputePipeline>>();
  const createShaderModule = opened.createShaderModule.bind(opened);
  const createComputePipelineAsync = opened.createComputePipelineAsync.bind(opened);
  opened.createShaderModule = (descriptor) => {
    const module = createShaderModule(descriptor);
    sources.set(module, descriptor.code);
    return module;
  };
  // Layouts of equal content are interchangeable, and a shader's text fixes its layout.
  opened.createComputePipelineAsync = (descriptor) => {
    const { module, constants } = descriptor.compute;
    const key = JSON.stringify([sources.get(module), constants]);
    const old = pipelines.get(key);
    const pipeline = old ?? createComputePipelineAsync(descriptor);
    pipelines.set(key, pipeline);
    return pipeline;
  };
  return opened;
}
