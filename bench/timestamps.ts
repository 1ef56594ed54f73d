/**
 * Time as the device itself counts it, by timestamp queries at the ends of compute passes: what a dispatch takes without the
 * way to the device and back. Works on any device that has the feature, whoever encodes.
 */
import { isSoftware } from "../src/cli/adapter.ts";

/** One compute pass, in the order of submission. Units: microseconds, from the start of the first pass. */
export interface Pass {
  /** The labels of the pipelines it ran. */
  readonly kernels: readonly string[];
  readonly workgroups: readonly (readonly number[])[];
  readonly begin: number;
  readonly end: number;
}

/** Passes of one measurement: a query set holds 4,096 timestamps. */
const MOST = 2048;

const WARM_MS = 1500;
/** Runs that are queued while one executes. */
const RUNS = 16;

/** Whether a device is more than this process's own processor, and tells its time. */
export const hasClock = (device: GPUDevice): boolean => device.features.has("timestamp-query") && !isSoftware(device.adapterInfo);

/**
 * Milliseconds of what `work` submits: on a GPU by its own clock, from the first dispatch's start to the last one's end; elsewhere
 * by ours, until all is done.
 */
export async function milliseconds(device: GPUDevice, work: () => Promise<void>): Promise<number> {
  if (hasClock(device)) return spanOf(await timed(device, false, work)) / 1000;
  const start = performance.now();
  await work();
  await device.queue.onSubmittedWorkDone();
  return performance.now() - start;
}

/** Keeps the device busy until it has raised its clocks, which it lowers while little runs. */
export async function warm(device: GPUDevice, run: () => Promise<void>): Promise<void> {
  for (const start = performance.now(); performance.now() - start < WARM_MS;) {
    for (let i = 0; i < RUNS; i++) await run();
    await device.queue.onSubmittedWorkDone();
  }
}

/** From the first start to the last end. */
export const spanOf = (passes: readonly Pass[]): number => (passes.at(-1)?.end ?? NaN) - (passes[0]?.begin ?? NaN);

/**
 * The passes that `work` submits; it ends when its commands are submitted. With `apart`, every dispatch is a pass of its own:
 * then the sum of their times is what kernels take, while from the first's start to the last's end there are gaps.
 */
export async function timed(device: GPUDevice, apart: boolean, work: () => Promise<void>): Promise<Pass[]> {
  const set = device.createQuerySet({ type: "timestamp", count: 2 * MOST });
  const passes: { kernels: string[]; workgroups: number[][] }[] = [];
  const createCommandEncoder = device.createCommandEncoder.bind(device);
  device.createCommandEncoder = (descriptor) => {
    const encoder = createCommandEncoder(descriptor);
    const beginComputePass = encoder.beginComputePass.bind(encoder);
    encoder.beginComputePass = () => {
      const begin = (): GPUComputePassEncoder => {
        const i = passes.length;
        if (i === MOST) throw new Error(`more than ${MOST} passes are not measured at once`);
        passes.push({ kernels: [], workgroups: [] });
        return beginComputePass({
          timestampWrites: { querySet: set, beginningOfPassWriteIndex: 2 * i, endOfPassWriteIndex: 2 * i + 1 },
        });
      };
      return recorded(begin, apart, (kernel, workgroups) => {
        passes.at(-1)?.kernels.push(kernel);
        passes.at(-1)?.workgroups.push([...workgroups]);
      });
    };
    return encoder;
  };
  try {
    await work();
  } finally {
    device.createCommandEncoder = createCommandEncoder;
  }
  const times = await resolve(device, set, 2 * passes.length);
  set.destroy();
  const [origin = 0n] = times;
  const since = (i: number): number => Number((times[i] ?? 0n) - origin) / 1000;
  return passes.map((pass, i) => ({ ...pass, begin: since(2 * i), end: since(2 * i + 1) }));
}

/** What an encoder's caller takes for one pass. */
function recorded(
  begin: () => GPUComputePassEncoder,
  apart: boolean,
  onDispatch: (kernel: string, workgroups: readonly number[]) => void,
): GPUComputePassEncoder {
  let open = apart ? undefined : begin();
  let pipeline: GPUComputePipeline | undefined;
  let group: Parameters<GPUComputePassEncoder["setBindGroup"]> | undefined;
  const pass = {
    setPipeline: (given: GPUComputePipeline) => {
      pipeline = given;
      open?.setPipeline(given);
    },
    setBindGroup: (...given: Parameters<GPUComputePassEncoder["setBindGroup"]>) => {
      group = given;
      open?.setBindGroup(...given);
    },
    dispatchWorkgroups: (...workgroups: [number, number?, number?]) => {
      const running = open ?? begin();
      if (open === undefined && pipeline !== undefined && group !== undefined) {
        running.setPipeline(pipeline);
        running.setBindGroup(...group);
      }
      running.dispatchWorkgroups(...workgroups);
      onDispatch(pipeline?.label ?? "", workgroups.map(Number));
      if (open === undefined) running.end();
    },
    end: () => {
      open?.end();
      open = undefined;
    },
  };
  return pass as unknown as GPUComputePassEncoder;
}

async function resolve(device: GPUDevice, set: GPUQuerySet, count: number): Promise<BigInt64Array> {
  if (count === 0) return new BigInt64Array();
  const resolved = device.createBuffer({ size: 8 * count, usage: GPUBufferUsage.QUERY_RESOLVE | GPUBufferUsage.COPY_SRC });
  const staging = device.createBuffer({ size: 8 * count, usage: GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST });
  const encoder = device.createCommandEncoder();
  encoder.resolveQuerySet(set, 0, count, resolved, 0);
  encoder.copyBufferToBuffer(resolved, 0, staging, 0, 8 * count);
  device.queue.submit([encoder.finish()]);
  await staging.mapAsync(GPUMapMode.READ);
  const times = new BigInt64Array(staging.getMappedRange().slice(0));
  resolved.destroy();
  staging.destroy();
  return times;
}
