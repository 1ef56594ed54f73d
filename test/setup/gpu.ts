/** WebGPU for tests: one `GPU` a process, devices that are destroyed when their test ends. */
import { onTestFinished } from "vitest";
import { processGpu } from "../../src/cli/adapter.ts";

/** An adapter of this process's `GPU`. */
export async function testAdapter(): Promise<GPUAdapter> {
  const adapter = await processGpu().requestAdapter();
  if (adapter === null) throw new Error("no WebGPU adapter: was vitest started with vitest.config.ts?");
  return adapter;
}

/** A device that lives until the test that asked for it ends. Errors no error scope catches fail the test. */
export async function testDevice(descriptor: GPUDeviceDescriptor = {}): Promise<GPUDevice> {
  const device = await (await testAdapter()).requestDevice(descriptor);
  const uncaught: string[] = [];
  device.addEventListener("uncapturederror", (event) => uncaught.push(event.error.message));
  onTestFinished(() => {
    device.destroy();
    if (uncaught.length > 0) throw new Error(`WebGPU errors: ${uncaught.join("; ")}`);
  });
  return device;
}

/** Copies a buffer (usage COPY_SRC) back as float32. */
export async function readFloats(device: GPUDevice, buffer: GPUBuffer): Promise<Float32Array> {
  const staging = device.createBuffer({ size: buffer.size, usage: GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST });
  const encoder = device.createCommandEncoder();
  encoder.copyBufferToBuffer(buffer, 0, staging, 0, buffer.size);
  device.queue.submit([encoder.finish()]);
  await staging.mapAsync(GPUMapMode.READ);
  const values = new Float32Array(staging.getMappedRange().slice(0));
  staging.destroy();
  return values;
}
