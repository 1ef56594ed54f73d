/**
 * The buffers of one caller on one executor: inputs, outputs and recurrent states, their transfers, and the execution of
 * a part of the caller's tensors with them.
 */
import { InputError } from "./errors.ts";
import type { Bindings, Executor } from "./executor.ts";
import { usage } from "./device.ts";
import type { BufferSpec, Dims, Dispatch, Program, TensorSpec } from "./plan.ts";
import type { HostArray, Part, Values } from "./tensors.ts";
import { isBuffer, runs } from "./tensors.ts";

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

/** A place in the staging buffer and the host array it goes to. */
interface Arrival {
  readonly source: GPUBuffer;
  readonly bytes: number;
  readonly arrive: (data: ArrayBuffer) => void;
}

/** One caller's buffers. */
export class Session implements Bindings {
  readonly executor: Executor;
  readonly buffers = new Map<number, GPUBuffer>();
  readonly groups = new Map<Dispatch, { readonly buffers: readonly GPUBuffer[]; readonly group: GPUBindGroup }>();

  constructor(executor: Executor) {
    this.executor = executor;
  }

  /** Executes a job; resolves when its host outputs are filled, or at once where there are none. */
  async execute(job: Job): Promise<States | undefined> {
    const { executor } = this;
    const { part, signal } = job;
    const d = executor.dims(part.B, part.L, job.position);
    await this.#allocate(["input", "output"], d, signal);
    await this.#write(job);
    await executor.execute(job.program, d, this, job.stepwise ? part.L : undefined, job.last, signal);
    const states: Record<string, Float32Array> = {};
    const arrivals = [...this.#outputs(job, d), ...(job.snapshot ? this.#states(d, states) : [])];
    if (arrivals.length > 0) await this.#read(arrivals, signal);
    return job.snapshot ? states : undefined;
  }

  /** Sets the states of `B` sequences: zero where none are given. */
  async setStates(B: number, states: States | undefined, signal?: AbortSignal): Promise<void> {
    const d = this.executor.dims(B, 1);
    const { gpu } = this.executor.device;
    await this.#allocate(["state"], d, signal);
    const encoder = gpu.createCommandEncoder();
    this.executor.plan.buffers.forEach((spec, index) => {
      const buffer = this.buffers.get(index);
      if (spec.kind !== "state" || !buffer) return;
      const state = states?.[spec.name];
      if (state) gpu.queue.writeBuffer(buffer, 0, state as Float32Array<ArrayBuffer>);
      else encoder.clearBuffer(buffer);
    });
    gpu.queue.submit([encoder.finish()]);
  }

  /** The states of `B` sequences. */
  async getStates(B: number, signal?: AbortSignal): Promise<States> {
    const states: Record<string, Float32Array> = {};
    await this.#read([...this.#states(this.executor.dims(B, 1), states)], signal);
    return states;
  }

  free(): void {
    for (const buffer of this.buffers.values()) this.executor.device.release(buffer);
    this.buffers.clear();
    this.groups.clear();
  }

  /** Makes room for buffers of these kinds and dims. */
  async #allocate(kinds: readonly BufferSpec["kind"][], d: Dims, signal: AbortSignal | undefined): Promise<void> {
    const { device, plan } = this.executor;
    const small = [...plan.buffers.keys()].filter(
      (index) => kinds.includes(plan.buffers[index]?.kind ?? "temp") && (this.buffers.get(index)?.size ?? 0) < this.executor.bytes(index, d),
    );
    if (small.length === 0) return;
    const grow = (): void => {
      for (const index of small) {
        device.release(this.buffers.get(index));
        this.buffers.set(index, device.buffer(`own ${index}`, this.executor.bytes(index, d), usage.storage | usage.copySrc | usage.copyDst));
      }
    };
    try {
      await device.checked(grow, signal);
    } catch (error) {
      this.free();
      throw error;
    }
  }

  /** Puts the part of the inputs into their buffers. */
  async #write({ part, inputs, signal }: Job): Promise<void> {
    const { device, plan } = this.executor;
    for (const spec of plan.inputs) {
      const value = inputs.get(spec.name);
      const buffer = this.#buffer("input", spec);
      if (!buffer || !value) continue;
      if (isBuffer(value)) {
        await device.checked(() => this.#copy(spec, part, (whole, own) => [value, whole, buffer, own]), signal).catch((error: unknown) => {
          if (device.failed || signal?.aborted) throw error;
          throw new InputError(spec.name, undefined, `its GPUBuffer was refused, it needs COPY_SRC and the model's device: ${String(error)}`);
        });
      } else for (const [whole, own, count] of runs(spec, part)) device.gpu.queue.writeBuffer(buffer, 4 * own, value, whole, count);
    }
  }

  /** Copies between a part's buffer and a whole one on the device. */
  #copy(spec: TensorSpec, part: Part, direction: (whole: number, own: number) => readonly [GPUBuffer, number, GPUBuffer, number]): void {
    const { gpu } = this.executor.device;
    const encoder = gpu.createCommandEncoder();
    for (const [whole, own, count] of runs(spec, part)) encoder.copyBufferToBuffer(...direction(4 * whole, 4 * own), 4 * count);
    gpu.queue.submit([encoder.finish()]);
  }

  /** Copies device outputs, and lists the host ones. */
  *#outputs({ part, outputs, last }: Job, d: Dims): Generator<Arrival> {
    for (const spec of this.executor.plan.outputs) {
      const source = this.#buffer("output", spec);
      const value = outputs.get(spec.name);
      if (!source || !value || !(last || spec.dims.includes("L"))) continue;
      if (isBuffer(value)) this.#copy(spec, part, (whole, own) => [source, own, value, whole]);
      else yield { source, bytes: this.#bytes("output", spec, d), arrive: (data) => scatter(spec, part, data, value) };
    }
  }

  *#states(d: Dims, into: Record<string, Float32Array>): Generator<Arrival> {
    for (const [index, spec] of this.executor.plan.buffers.entries()) {
      const source = this.buffers.get(index);
      if (spec.kind === "state" && source) yield { source, bytes: 4 * spec.size(d), arrive: (data) => void (into[spec.name] = new Float32Array(data)) };
    }
  }

  async #read(arrivals: readonly Arrival[], signal: AbortSignal | undefined): Promise<void> {
    const total = arrivals.reduce((sum, { bytes }) => sum + bytes, 0);
    if (total === 0) return;
    const copy = (encoder: GPUCommandEncoder, staging: GPUBuffer): void => {
      let at = 0;
      for (const { source, bytes } of arrivals) encoder.copyBufferToBuffer(source, 0, staging, (at += bytes) - bytes, bytes);
    };
    const data = await this.executor.read(total, copy, signal);
    let at = 0;
    for (const { bytes, arrive } of arrivals) arrive(data.slice(at, (at += bytes)));
  }

  readonly #find = (kind: "input" | "output", { name }: TensorSpec): number => this.executor.plan.buffers.findIndex((spec) => spec.kind === kind && spec.name === name);
  readonly #buffer = (kind: "input" | "output", spec: TensorSpec): GPUBuffer | undefined => this.buffers.get(this.#find(kind, spec));
  readonly #bytes = (kind: "input" | "output", spec: TensorSpec, d: Dims): number => this.executor.bytes(this.#find(kind, spec), d);
}

function scatter(spec: TensorSpec, part: Part, data: ArrayBuffer, into: HostArray): void {
  const values = spec.dtype === "f32" ? new Float32Array(data) : new Int32Array(data);
  for (const [whole, own, count] of runs(spec, part)) into.set(values.subarray(own, own + count), whole);
}
