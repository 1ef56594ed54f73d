/** Whole programs of a plan on the simulator of kernels: the buffers a runtime would have, every dispatch with what it did and what its schedule says it costs. */
import { evaluatePlan } from "../../src/codegen/plan-source.ts";
import type { Compiled } from "../../src/compile.ts";
import type { Constant, Constants } from "../../src/ir/graph.ts";
import type { DispatchCost, ProgramCosts } from "../../src/passes/lowered.ts";
import { estimateDispatch } from "../../src/passes/mode.ts";
import { type BufferSpec, type Dims, type Dispatch, fftPoints, type Mode, type Plan, type Program } from "../../src/runtime/plan.ts";
import * as makers from "../../src/runtime/tables.ts";
import type { StoredTensor } from "../../src/weights/stored.ts";
import { random } from "../setup/random-expr.ts";
import { type Counts, simulate } from "../setup/simulate.ts";
import type { Words } from "../setup/watched.ts";

/** What a device offers; see `Dims`. */
export interface Simulated {
  readonly F?: number;
  readonly W?: number;
}

/** One dispatch as it ran, next to the cost its schedule states at the same sizes. */
export interface Ran {
  readonly kernel: string;
  readonly schedule: string;
  readonly counts: Counts;
  readonly stated: { readonly flops: number; readonly bytes: number; readonly minimum: number };
}

export interface ProgramRun {
  readonly outputs: Map<string, Constant>;
  readonly ran: readonly Ran[];
}

/** An entry point of a plan. */
export type Entry = { readonly kind: "whole" | "resume"; readonly mode: Mode } | { readonly kind: "step" };

/** A plan with buffers of numbers; states start at zero and stay between programs. */
export class SimulatedModel {
  readonly #compiled: Compiled;
  readonly #plan: Plan;
  readonly #device: Required<Simulated>;
  readonly #kept = new Map<number, Words>();

  constructor(compiled: Compiled, { F = 2048, W = 256 }: Simulated = {}) {
    this.#compiled = compiled;
    this.#plan = evaluatePlan(compiled.plan);
    this.#device = { F, W };
  }

  /** Modes of the entry points that take whole sequences. */
  get modes(): readonly Mode[] {
    return Object.keys(this.#plan.whole) as Mode[];
  }

  /** Runs one program on inputs of B sequences of L steps; `step` once for every time step (the first `cut`), the last one listed. */
  run(entry: Entry, inputs: Constants, B: number, L: number, { cut = L }: { readonly cut?: number } = {}): ProgramRun {
    const program = this.#program(entry);
    const costs = this.#costs(entry);
    const d = this.#dims(B, L);
    const running = [...program.prepare, ...program.body].filter(({ when }) => when?.(d) ?? true);
    const buffers = this.#buffers(inputs, d, new Set(running.flatMap(({ bind }) => bind)));
    const ran = [...this.#all(program.prepare, costs.prepare, this.#dims(1, fftPoints(L)), buffers)];
    const count = entry.kind === "step" ? cut : 1;
    for (let t = 0; t < count; t++) {
      const one = this.#all(program.body, costs.body, { ...d, t, pos: t }, buffers);
      if (t === count - 1) ran.push(...one);
      else ran.push(...one.filter((r) => r.counts.violations.size > 0));
    }
    return { outputs: this.#outputs(buffers, B, L), ran };
  }

  #dims(B: number, L: number): Dims {
    return { B, L, t: 0, pos: 0, M: fftPoints(L), ...this.#device };
  }

  #dimsOf(rate: number, d: Dims): Dims {
    return (this.#plan.rates[rate] ?? fail(`no rate ${rate}`))(d);
  }

  #program(entry: Entry): Program {
    const program = entry.kind === "step" ? this.#plan.step : this.#plan[entry.kind][entry.mode];
    if (program === undefined) throw new Error("the plan has no such program");
    return program;
  }

  #costs(entry: Entry): ProgramCosts {
    const { costs } = this.#compiled.lowered;
    return (entry.kind === "step" ? costs.step : costs[entry.kind][entry.mode]) ?? { prepare: [], body: [] };
  }

  #all(dispatches: readonly Dispatch[], costs: readonly DispatchCost[], d: Dims, buffers: ReadonlyMap<number, Words>): Ran[] {
    this.#clearTemps(d, buffers as Map<number, Words>);
    return dispatches.flatMap((dispatch, i) => {
      const { rate = 0, every = 1 } = dispatch;
      if (dispatch.when?.(d) === false || (d.pos + 1) % every !== 0) return [];
      const cost = costs[i];
      const kernel = this.#compiled.lowered.kernels[dispatch.kernel];
      if (kernel === undefined || cost === undefined) throw new Error("a dispatch without kernel or cost");
      const bound = dispatch.bind.map((b) => buffers.get(b) ?? new Float32Array());
      const counts = simulate({
        kernel,
        buffers: bound,
        dims: whole(this.#dimsOf(rate, d)),
        constants: dispatch.constants?.(d) ?? {},
        grid: dispatch.grid(d),
      });
      return [{ kernel: kernel.name, schedule: cost.schedule, counts, stated: estimateDispatch(cost, d) }];
    });
  }

  /** Temporaries hold nothing when a program starts. */
  #clearTemps(d: Dims, buffers: Map<number, Words>): void {
    for (const [i, spec] of this.#plan.buffers.entries())
      if (spec.kind === "temp") buffers.set(i, new Float32Array(spec.size(d)).fill(NaN));
  }

  #buffers(inputs: Constants, d: Dims, used: ReadonlySet<number>): Map<number, Words> {
    const buffers = new Map<number, Words>();
    for (const [i, spec] of this.#plan.buffers.entries()) {
      if (!used.has(i)) continue;
      if (spec.kind === "weight") buffers.set(i, this.#weight(spec));
      if (spec.kind === "input") buffers.set(i, this.#input(spec.name, inputs));
      if (spec.kind === "output") buffers.set(i, new Float32Array(this.#size(spec.name, d)).fill(NaN));
      if (spec.kind === "prepared") buffers.set(i, new Float32Array(spec.size(d)).fill(NaN));
      if (spec.kind === "state") {
        const kept = this.#kept.get(i) ?? new Float32Array(spec.size(d));
        this.#kept.set(i, kept);
        buffers.set(i, kept);
      }
    }
    this.#tables(d, used, buffers);
    return buffers;
  }

  #tables(d: Dims, used: ReadonlySet<number>, into: Map<number, Words>): void {
    for (const { maker, tensors, options, out, rate = 0 } of this.#plan.tables) {
      if (!Object.values(out).some((i) => used.has(i))) continue;
      const found = Object.entries(tensors).map(([role, name]) => [role, this.#tensor(name)] as const);
      const data = Object.fromEntries(found.map(([role, t]) => [role, Float64Array.from(t.data)]));
      const shapes = Object.fromEntries(found.map(([role, t]) => [role, t.shape]));
      const make = Object.entries(makers).find(([name]) => name === maker)?.[1];
      if (make === undefined) throw new Error(`no table maker ${maker}`);
      const made = make(data, shapes, options, this.#dimsOf(rate, d));
      for (const [role, i] of Object.entries(out)) {
        const table = made[role] ?? new Float32Array();
        const spec = this.#plan.buffers[i];
        const size = spec?.kind === "table" ? spec.size(d) : -1;
        if (table.length !== size) throw new Error(`table ${maker}.${role} has ${table.length} words, the plan says ${size}`);
        into.set(i, table);
      }
    }
  }

  #tensor(name: string): StoredTensor {
    return this.#compiled.lowered.tensors.get(name) ?? fail(`no tensor ${name}`);
  }

  /** One tensor, or several of float32 side by side. */
  #weight({ tensor, more }: Extract<BufferSpec, { kind: "weight" }>): Words {
    if (more === undefined) return wordsOf(this.#tensor(tensor).data);
    return Float32Array.from([tensor, ...more].flatMap((name) => [...this.#tensor(name).data]));
  }

  #input(name: string, inputs: Constants): Words {
    const { data } = inputs.get(name) ?? fail(`no input ${name}`);
    const i32 = this.#plan.inputs.some((spec) => spec.name === name && spec.dtype === "i32");
    return i32 ? Int32Array.from(data) : Float32Array.from(data);
  }

  #size(name: string, d: Dims): number {
    return this.#shape(name, d.B, d.L).reduce((a, b) => a * b, 1);
  }

  #shape(name: string, B: number, L: number): readonly number[] {
    const spec = this.#plan.outputs.find((s) => s.name === name) ?? fail(`no output ${name}`);
    return spec.dims.map((size) => (size === "B" ? B : size === "L" ? L : size));
  }

  #outputs(buffers: ReadonlyMap<number, Words>, B: number, L: number): Map<string, Constant> {
    const outputs = new Map<string, Constant>();
    for (const [i, spec] of this.#plan.buffers.entries())
      if (spec.kind === "output")
        outputs.set(spec.name, { shape: this.#shape(spec.name, B, L), data: Float64Array.from(buffers.get(i) ?? []) });
    return outputs;
  }
}

const wordsOf = (data: StoredTensor["data"]): Words => (data instanceof Float64Array ? fail("a weight of float64") : data.slice());

/** As a kernel reads them: whole numbers. */
const whole = (d: Dims): Dims => ({ ...d, L: Math.floor(d.L) });

/** Numbers in [-1, 1) that float32 holds. */
export function numbers(shape: readonly number[], seed: number): Constant {
  const next = random(seed);
  return { shape, data: Float64Array.from({ length: shape.reduce((a, b) => a * b, 1) }, () => Math.fround(2 * next() - 1)) };
}

function fail(message: string): never {
  throw new Error(message);
}
