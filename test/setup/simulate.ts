/**
 * A plain interpreter of kernels, so that the kernel IR has a meaning apart from any shader: workgroups one after another,
 * lanes as generators that stop at barriers, f32 and u32 arithmetic rounded after every operation. It counts the words,
 * operations and barriers of a dispatch, and reports races, accesses out of bounds and barriers that not all lanes reach.
 */
import type { DimName, Kernel, KExpr, KStmt, KType } from "../../src/ir/kernel.ts";
import { evaluateCall, type Lane, type Value } from "./simulate-call.ts";
import { Watched, type Words } from "./watched.ts";

/** One dispatch: the kernel's buffers in the order of its bindings, and every number it finds at run time. */
export interface Launch {
  readonly kernel: Kernel;
  readonly buffers: readonly Words[];
  readonly dims: Readonly<Record<DimName, number>>;
  readonly constants?: Readonly<Record<string, number>>;
  readonly grid: readonly [number, number, number];
}

export interface Counts {
  /** Distinct words each workgroup reads, and those it writes, summed over workgroups and buffers: a word it does both to counts twice. */
  words: number;
  /** The same of the dispatch as if it were one workgroup. */
  distinct: number;
  /** Calls that give an f32, but for those that move a number only (select, neg, conversions). */
  flops: number;
  /** Barriers of all workgroups. */
  barriers: number;
  /** Races, accesses out of bounds, barriers not reached by all lanes; one each kind and array. */
  readonly violations: Set<string>;
}

type Step = (lane: Lane) => void;
/** Yields the barrier it waits at. */
type Steps = (lane: Lane) => Generator<KStmt, void>;

/** Names in scope and the slots of their values. */
type Scope = ReadonlyMap<string, number>;

/** Runs a dispatch to its end, on the buffers it is given. */
export function simulate(launch: Launch): Counts {
  return new Simulation(launch).run();
}

class Simulation {
  readonly #launch: Launch;
  readonly #counts: Counts = { words: 0, distinct: 0, flops: 0, barriers: 0, violations: new Set() };
  readonly #memory = new Map<string, Watched>();
  readonly #shared: readonly Watched[];
  readonly #lanes: number;
  readonly #main: Steps;
  #slots = 0;

  constructor(launch: Launch) {
    this.#launch = launch;
    const { kernel, buffers } = launch;
    this.#lanes = this.#constant(kernel.lanes);
    const violation = (text: string): void => void this.#counts.violations.add(`${kernel.name}: ${text}`);
    const byWords = new Map<Words, Watched>();
    kernel.buffers.forEach((buffer, i) => {
      const words = buffers[i] ?? fail(`no buffer for binding ${i + 1} of ${kernel.name}`);
      const watched = byWords.get(words) ?? new Watched(buffer.name, words, violation);
      byWords.set(words, watched);
      this.#memory.set(buffer.name, watched);
    });
    this.#shared = kernel.shared.map(({ name, type, size }) => {
      const watched = new Watched(name, memoryOf(type, this.#constant(size)), violation);
      this.#memory.set(name, watched);
      return watched;
    });
    this.#main = this.#waiting(kernel.body, new Map());
  }

  run(): Counts {
    const [width, height, depth] = this.#launch.grid;
    for (let z = 0; z < depth; z++)
      for (let y = 0; y < height; y++) for (let x = 0; x < width; x++) this.#workgroup((z * height + y) * width + x, [x, y, z]);
    const buffers = [...new Set(this.#memory.values())].filter((watched) => !this.#shared.includes(watched));
    for (const buffer of buffers) {
      this.#counts.words += buffer.words;
      this.#counts.distinct += buffer.distinct;
    }
    return this.#counts;
  }

  #workgroup(number: number, group: Lane["group"]): void {
    for (const watched of this.#memory.values()) watched.group = number + 1;
    for (const array of this.#shared) array.clear();
    const waiting = Array.from({ length: this.#lanes }, (_, index) =>
      this.#main({ index, invocation: number * this.#lanes + index + 1, group, slots: new Float64Array(this.#slots) }),
    );
    for (;;) {
      const reached = new Set(waiting.map((lane) => lane.next().value ?? undefined));
      if (reached.size > 1) this.#counts.violations.add(`${this.#launch.kernel.name}: a barrier is not reached by all lanes`);
      if (reached.has(undefined)) return;
      this.#counts.barriers++;
      for (const array of this.#shared) array.settle();
    }
  }

  #constant(e: KExpr): number {
    return this.#value(e, new Map())({ index: 0, invocation: 0, group: [0, 0, 0], slots: new Float64Array() });
  }

  #watched(name: string): Watched {
    return this.#memory.get(name) ?? fail(`${this.#launch.kernel.name} has no array ${name}`);
  }

  #value(e: KExpr, scope: Scope): Value {
    switch (e.op) {
      case "lit": {
        const value = e.type === "f32" ? Math.fround(e.value) : e.value;
        return () => value;
      }
      case "var": {
        const slot = slotOf(scope, e.name);
        return ({ slots }) => slots[slot] ?? NaN;
      }
      case "component": {
        const slot = slotOf(scope, e.of);
        const index = this.#value(e.index, scope);
        return (lane) => lane.slots[slot + index(lane)] ?? NaN;
      }
      case "dim": {
        const value = this.#launch.dims[e.name];
        return () => value;
      }
      case "override": {
        const { kernel, constants } = this.#launch;
        const value = constants?.[e.name] ?? kernel.overrides.find((o) => o.name === e.name)?.value ?? fail(`no override ${e.name}`);
        return () => value;
      }
      case "lane":
        return (lane) => lane.index;
      case "group":
        return (lane) => lane.group[e.axis];
      case "load":
        return this.#read(e.buffer, this.#value(e.index, scope));
      case "shared":
        return this.#read(e.array, this.#value(e.index, scope));
      case "element": {
        const [first, index] = [slotOf(scope, e.array), this.#value(e.index, scope)];
        return (lane) => lane.slots[first + index(lane)] ?? NaN;
      }
      case "call": {
        const values = e.args.map((arg) => this.#value(arg, scope));
        return evaluateCall(this.#counts, e.fn, e.type, e.args[0]?.type, values);
      }
    }
  }

  /** The numbers of an expression: four of a vector, each by itself, one of any other. */
  #values(e: KExpr, scope: Scope): readonly Value[] {
    if (e.type !== "vec4f" && e.type !== "vec4u") return [this.#value(e, scope)];
    return [0, 1, 2, 3].map((i): Value => {
      switch (e.op) {
        case "lit":
          return this.#value({ ...e, type: partOf(e.type) }, scope);
        case "var": {
          const slot = slotOf(scope, e.name) + i;
          return ({ slots }) => slots[slot] ?? NaN;
        }
        case "load":
        case "shared": {
          const index = this.#value(e.index, scope);
          return this.#read(e.op === "load" ? e.buffer : e.array, (lane) => 4 * index(lane) + i);
        }
        case "call": {
          if (e.fn === "four") return this.#value(e.args[i] ?? fail("no part"), scope);
          const values = e.args.map((arg) => this.#values(arg, scope)).map((parts) => parts[i] ?? parts[0] ?? fail("no value"));
          return evaluateCall(this.#counts, e.fn, partOf(e.type), partOf(e.args[0]?.type ?? e.type), values);
        }
      }
    });
  }

  #read(name: string, index: Value): Value {
    const watched = this.#watched(name);
    return (lane) => watched.read(index(lane), lane.invocation);
  }

  /** Statements without barriers. */
  #straight(body: readonly KStmt[], outer: Scope): Step {
    const scope = new Map(outer);
    const steps = body.map((s) => this.#step(s, scope));
    return (lane) => {
      for (const step of steps) step(lane);
    };
  }

  /** Declares into `scope`. */
  #step(s: KStmt, scope: Map<string, number>): Step {
    switch (s.op) {
      case "let":
      case "var": {
        const values = this.#values(s.value, scope);
        return assign(this.#slot(s.name, scope, values.length), values);
      }
      case "array": {
        const first = this.#slot(s.name, scope, s.size);
        return ({ slots }) => void slots.fill(0, first, first + s.size);
      }
      case "storeElement": {
        const [first, index, value] = [slotOf(scope, s.array), this.#value(s.index, scope), this.#value(s.value, scope)];
        return (lane) => void (lane.slots[first + index(lane)] = value(lane));
      }
      case "assign":
        return assign(slotOf(scope, s.name), this.#values(s.value, scope));
      case "store":
      case "storeShared": {
        const watched = this.#watched(s.op === "store" ? s.buffer : s.array);
        const [index, values] = [this.#value(s.index, scope), this.#values(s.value, scope)];
        return (lane) => {
          const at = values.length * index(lane);
          for (const [i, value] of values.entries()) watched.write(at + i, value(lane), lane.invocation);
        };
      }
      case "for": {
        const { slot, from, to, step, inner } = this.#loop(s, scope);
        const run = this.#straight(s.body, inner);
        return (lane) => {
          for (lane.slots[slot] = from(lane); (lane.slots[slot] ?? NaN) < to(lane); advance(lane, slot, step)) run(lane);
        };
      }
      case "if": {
        const [cond, then, otherwise] = [this.#value(s.cond, scope), this.#straight(s.then, scope), this.#straight(s.otherwise, scope)];
        return (lane) => (cond(lane) !== 0 ? then(lane) : otherwise(lane));
      }
      case "barrier":
        return fail("a barrier among statements without one");
      case "comment":
        return () => undefined;
    }
  }

  #slot(name: string, scope: Map<string, number>, count: number): number {
    const slot = this.#slots;
    this.#slots += count;
    scope.set(name, slot);
    return slot;
  }

  #loop(s: Extract<KStmt, { op: "for" }>, outer: Scope): { slot: number; from: Value; to: Value; step: Value; inner: Scope } {
    const from = this.#value(s.from, outer);
    const inner = new Map(outer);
    const slot = this.#slot(s.name, inner, 1);
    return { slot, from, to: this.#value(s.to, inner), step: this.#value(s.step, inner), inner };
  }

  /** Statements with barriers among them. */
  #waiting(body: readonly KStmt[], outer: Scope): Steps {
    const scope = new Map(outer);
    const parts = body.map((s): Steps | Step => (hasBarrier(s) ? this.#stopping(s, scope) : this.#step(s, scope)));
    const stops = body.map(hasBarrier);
    return function* (lane) {
      for (const [i, part] of parts.entries()) {
        if (stops[i] === true) yield* (part as Steps)(lane);
        else (part as Step)(lane);
      }
    };
  }

  #stopping(s: KStmt, scope: Map<string, number>): Steps {
    if (s.op === "barrier")
      return function* () {
        yield s;
      };
    if (s.op === "if") {
      const [cond, then, otherwise] = [this.#value(s.cond, scope), this.#waiting(s.then, scope), this.#waiting(s.otherwise, scope)];
      return function* (lane) {
        yield* cond(lane) !== 0 ? then(lane) : otherwise(lane);
      };
    }
    if (s.op !== "for") return fail(`a barrier in ${s.op}`);
    const { slot, from, to, step, inner } = this.#loop(s, scope);
    const run = this.#waiting(s.body, inner);
    return function* (lane) {
      for (lane.slots[slot] = from(lane); (lane.slots[slot] ?? NaN) < to(lane); advance(lane, slot, step)) yield* run(lane);
    };
  }
}

/** Values to neighbouring slots. */
function assign(slot: number, [only, ...rest]: readonly Value[]): Step {
  if (only === undefined) return fail("nothing to assign");
  if (rest.length === 0) return (lane) => void (lane.slots[slot] = only(lane));
  const all = [only, ...rest];
  return (lane) => {
    for (const [i, value] of all.entries()) lane.slots[slot + i] = value(lane);
  };
}

/** Workgroup memory of so many elements. */
const memoryOf = (type: KType, size: number): Words =>
  type === "u32" ? new Uint32Array(size) : type === "i32" ? new Int32Array(size) : new Float32Array(widthOf(type) * size);

const widthOf = (type: KType): number => (type === "vec4f" || type === "vec4u" ? 4 : 1);
/** The type of one of an expression's numbers. */
const partOf = (type: KType): KType => (type === "vec4f" ? "f32" : type === "vec4u" ? "u32" : type);

function advance(lane: Lane, slot: number, step: Value): void {
  lane.slots[slot] = ((lane.slots[slot] ?? NaN) + step(lane)) >>> 0;
}

const hasBarrier = (s: KStmt): boolean =>
  s.op === "barrier" ||
  (s.op === "for" && s.body.some(hasBarrier)) ||
  (s.op === "if" && (s.then.some(hasBarrier) || s.otherwise.some(hasBarrier)));

const slotOf = (scope: Scope, name: string): number => scope.get(name) ?? fail(`${name} is not in scope`);

function fail(message: string): never {
  throw new Error(`simulate: ${message}`);
}
