/**
 * The buffers of one caller on one executor: inputs, outputs and recurrent states, their transfers, and the execution of
 * a part of the caller's tensors with them.
 */
import { usage } from "./device.ts";
import { InputError } from "./errors.ts";
import type { Bindings, Executor } from "./executor.ts";
import type { BufferSpec, Dims, Program, TensorSpec } from "./plan.ts";
import { missing } from "./plan.ts";
import type { Readback } from "./staging.ts";
import type { HostArray, Outputs, Part, Values } from "./tensors.ts";
import { isBuffer, product, runs, sized, toOutputs, zeros } from "./tensors.ts";

/** States by name. */
export type States = Readonly<Record<string, Float32Array>>;

/** One execution of a program on a part of the tensors. */
export interface Job {
  readonly program: Program;
  /** `program` is of one time step, to be repeated over the part. */
  readonly stepwise: boolean;
  readonly part: Part;
  /** Time steps the stream did before. */
  readonly position: number;
  readonly inputs: Values;
  /** Where the outputs go, at the part's place. */
  readonly outputs: Values;
  /** Whether this is the caller's last part in time: outputs without a length are those after it. */
  readonly last: boolean;
  /** Whether to return the states after it. */
  readonly snapshot: boolean;
  readonly signal: AbortSignal | undefined;
}

/** Data to be read back, and where it goes. */
interface Arrival {
  readonly source: GPUBuffer;
  readonly bytes: number;
  readonly arrive: (data: ArrayBuffer) => void;
}

const own = usage.storage | usage.copySrc | usage.copyDst;

/** One caller's buffers. */
export class Session implements Bindings {
  readonly executor: Executor;
  readonly buffers = new Map<number, GPUBuffer>();
  readonly groups: Bindings["groups"] = new Map();

  constructor(executor: Executor) {
    this.executor = executor;
  }

  /** Executes a job; resolves when its host outputs are filled, or once it is submitted where there are none. */
  async execute({ program, stepwise, part, position, inputs, outputs, last, snapshot, signal }: Job): Promise<States | undefined> {
    const { executor } = this;
    const d = executor.dims(part.B, part.L, position);
    await this.allocate(program.silent ? ["input"] : ["input", "output"], d, signal);
    await this.#write(part, inputs, signal);
    const kept = executor.plan.outputs.filter((spec) => outputs.has(spec.name) && (last || spec.dims.includes("L")));
    const states: Record<string, Float32Array> = {};
    const arrivals = [...this.#outputs(kept, part, outputs, d), ...(snapshot ? this.#states(d, states) : [])];
    const finish = (encoder: GPUCommandEncoder): void => {
      for (const spec of kept) {
        const [source, target] = [this.buffer("output", spec.name), outputs.get(spec.name)];
        if (isBuffer(target)) copyRuns(encoder, spec, part, (whole, at) => [source, at, target, whole]);
      }
    };
    const steps = stepwise ? part.L : 1;
    deliver(
      arrivals,
      await executor.execute({ program, d, bindings: this, steps, tail: last, finish, readback: readback(arrivals), signal }),
    );
    return snapshot ? states : undefined;
  }

  /** Sets the states of `B` sequences: zero where none are given. */
  async setStates(B: number, states: States | undefined, signal: AbortSignal | undefined): Promise<void> {
    const { device, plan } = this.executor;
    await this.allocate(["state"], this.executor.dims(B, 1), signal);
    device.submit((encoder) => {
      for (const [index, spec] of plan.buffers.entries()) {
        const buffer = this.buffers.get(index);
        if (spec.kind !== "state" || !buffer) continue;
        const state = states?.[spec.name];
        if (state) device.gpu.queue.writeBuffer(buffer, 0, state as Float32Array<ArrayBuffer>);
        else encoder.clearBuffer(buffer);
      }
    });
  }

  /** The states of `B` sequences. */
  async getStates(B: number): Promise<States> {
    const states: Record<string, Float32Array> = {};
    const arrivals = [...this.#states(this.executor.dims(B, 1), states)];
    deliver(arrivals, await this.executor.read(readback(arrivals), undefined));
    return states;
  }

  free(): void {
    for (const buffer of this.buffers.values()) this.executor.device.release(buffer);
    this.buffers.clear();
    this.groups.clear();
  }

  /** Makes room for buffers of these kinds and dims. */
  async allocate(kinds: readonly BufferSpec["kind"][], d: Dims, signal: AbortSignal | undefined): Promise<void> {
    const { device, plan } = this.executor;
    const small = [...plan.buffers.entries()].filter(
      ([index, { kind }]) => kinds.includes(kind) && (this.buffers.get(index)?.size ?? 0) < this.executor.bytes(index, d),
    );
    if (small.length === 0) return;
    const grow = (): void => {
      for (const [index, { kind }] of small) {
        device.release(this.buffers.get(index));
        this.buffers.set(index, device.buffer(kind, this.executor.bytes(index, d), own));
      }
    };
    try {
      await device.checked(grow, signal);
    } catch (error) {
      this.free();
      throw error;
    }
  }

  /** Puts the part of the inputs into their buffers. Throws: InputError where the device refuses a buffer given. */
  async #write(part: Part, inputs: Values, signal: AbortSignal | undefined): Promise<void> {
    const { device, plan } = this.executor;
    for (const spec of plan.inputs) {
      const value = inputs.get(spec.name);
      const buffer = this.buffer("input", spec.name);
      if (isBuffer(value)) {
        const copy = (): void => device.submit((encoder) => copyRuns(encoder, spec, part, (whole, at) => [value, whole, buffer, at]));
        await device.checked(copy, signal).catch((error: unknown) => {
          if (device.failed || signal?.aborted) throw error;
          throw new InputError(
            spec.name,
            undefined,
            `its GPUBuffer was refused; it needs COPY_SRC and the model's device: ${String(error)}`,
          );
        });
      } else if (value)
        for (const [whole, at, count] of runs(spec, part)) device.gpu.queue.writeBuffer(buffer, 4 * at, value, whole, count);
    }
  }

  *#outputs(specs: readonly TensorSpec[], part: Part, outputs: Values, d: Dims): Generator<Arrival> {
    for (const spec of specs) {
      const value = outputs.get(spec.name);
      if (isBuffer(value) || !value) continue;
      yield {
        source: this.buffer("output", spec.name),
        bytes: 4 * product(sized(spec, d.B, d.L)),
        arrive: (data) => scatter(spec, part, data, value),
      };
    }
  }

  *#states(d: Dims, into: Record<string, Float32Array>): Generator<Arrival> {
    for (const [index, spec] of this.executor.plan.buffers.entries()) {
      const source = this.buffers.get(index);
      if (spec.kind === "state" && source)
        yield { source, bytes: 4 * spec.size(d), arrive: (data) => void (into[spec.name] = new Float32Array(data)) };
    }
  }

  /** The buffer of this kind, and of this name where kinds have several; `allocate` made it. */
  buffer(kind: "input" | "output" | "settings", name?: string): GPUBuffer {
    const isIt = (spec: BufferSpec): boolean => spec.kind === kind && (!("name" in spec) || spec.name === name);
    return this.buffers.get(this.executor.plan.buffers.findIndex(isIt)) ?? missing(`${kind} ${name}`);
  }
}

/** Makes room for a call's outputs, on the host or the device, and has them filled. Throws: LimitError. */
export async function withOutputs(
  { device, plan }: Executor,
  B: number,
  L: number,
  onDevice: boolean,
  fill: (outputs: Values) => Promise<void>,
): Promise<Outputs> {
  const make = <T>(one: (spec: TensorSpec, size: number) => T): Map<string, T> =>
    new Map(plan.outputs.map((spec) => [spec.name, one(spec, product(sized(spec, B, L)))]));
  if (!onDevice) {
    const arrays = make(zeros);
    await fill(arrays);
    return toOutputs(plan, arrays, B, L);
  }
  const buffers = await device.checked(() => make((spec, size) => device.buffer(spec.name, 4 * size, own)));
  try {
    await fill(buffers);
  } catch (error) {
    buffers.forEach((buffer) => device.release(buffer));
    throw error;
  }
  buffers.forEach((buffer) => device.disown(buffer));
  return toOutputs(plan, buffers, B, L);
}

/** Copies a part between its own buffer and one of the whole tensor. */
function copyRuns(
  encoder: GPUCommandEncoder,
  spec: TensorSpec,
  part: Part,
  place: (whole: number, at: number) => readonly [GPUBuffer, number, GPUBuffer, number],
): void {
  for (const [whole, at, count] of runs(spec, part)) encoder.copyBufferToBuffer(...place(4 * whole, 4 * at), 4 * count);
}

function readback(arrivals: readonly Arrival[]): Readback {
  return {
    bytes: arrivals.reduce((sum, { bytes }) => sum + bytes, 0),
    copy: (encoder, into) => {
      let at = 0;
      for (const { source, bytes } of arrivals) {
        encoder.copyBufferToBuffer(source, 0, into, at, bytes);
        at += bytes;
      }
    },
  };
}

function deliver(arrivals: readonly Arrival[], data: ArrayBuffer): void {
  let at = 0;
  for (const { bytes, arrive } of arrivals) arrive(data.slice(at, (at += bytes)));
}

function scatter(spec: TensorSpec, part: Part, data: ArrayBuffer, into: HostArray): void {
  const values = spec.dtype === "f32" ? new Float32Array(data) : new Int32Array(data);
  for (const [whole, at, count] of runs(spec, part)) into.set(values.subarray(at, at + count), whole);
}
