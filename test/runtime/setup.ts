/** Loading the hand-written plan on the test's GPU, with every buffer of every device counted. */
import { expect } from "vitest";
import type { DeviceTensor, LoadedModel, LoadOptions, TensorInput, TensorOutput } from "../../src/runtime/api.ts";
import type { Plan } from "../../src/runtime/plan.ts";
import { createLoader } from "../../src/runtime/index.ts";
import { processGpu } from "../../src/cli/adapter.ts";
import { A, makers, OFFSET, plan, shard } from "./integrator.ts";

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

const afterSubmits = { left: 0, act: (): void => undefined };

/** Calls `act` once, right after the `left`-th submit from now, and tells whether it came to that. */
export function atSubmit(left: number, act: () => void): { readonly done: boolean } {
  const state = { done: false };
  Object.assign(afterSubmits, {
    left,
    act: () => {
      state.done = true;
      act();
    },
  });
  return state;
}

/** A GPU whose devices count their buffers. */
export function countingGPU(): GPU {
  const gpu = processGpu();
  return {
    requestAdapter: async (options?: GPURequestAdapterOptions) => {
      const adapter = await gpu.requestAdapter(options);
      if (!adapter) return null;
      return {
        limits: adapter.limits,
        features: adapter.features,
        info: adapter.info,
        requestDevice: async (descriptor?: GPUDeviceDescriptor) => counting(await adapter.requestDevice(descriptor)),
      };
    },
  } as unknown as GPU;
}

/** Makes a device count its buffers. */
export function counting(device: GPUDevice): GPUDevice {
  count.devices++;
  device.addEventListener("uncapturederror", (event) => void count.uncaptured.push(event.error.message));
  const { queue } = device;
  const submit = queue.submit.bind(queue);
  queue.submit = (commands) => {
    submit(commands);
    if (afterSubmits.left > 0 && --afterSubmits.left === 0) afterSubmits.act();
    return undefined;
  };
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

/** Fails where a buffer is left, or a WebGPU error went unnoticed. */
export function expectNothingLeft(): void {
  const { alive, uncaptured } = count;
  Object.assign(count, { alive: 0, uncaptured: [] });
  expect(alive).toBe(0);
  expect(uncaptured).toEqual([]);
}

/** Equal but for float32: four roundings a step (of A, A x, g u and their sum), each 2^-24 of the largest value, damped by A. */
export function expectClose(actual: ArrayLike<number>, expected: ArrayLike<number>): void {
  expect(actual.length).toBe(expected.length);
  const scale = Math.max(...Array.from(expected, Math.abs), OFFSET);
  const error = Math.max(...Array.from(expected, (value, i) => Math.abs((actual[i] ?? NaN) - value)));
  expect(error / scale).toBeLessThan((4 * 2 ** -24) / (1 - A));
}
