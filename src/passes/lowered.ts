/** What lowering yields: a plan whose functions are still JavaScript source, the weights it ships, and the cost of every dispatch. */
import type { PlanSource } from "../codegen/plan-source.ts";
import type { Node, ValueId } from "../ir/graph.ts";
import type { Kernel } from "../ir/kernel.ts";
import type { Mode } from "../runtime/plan.ts";
import type { StoredTensor } from "../weights/stored.ts";

/** The cost of one dispatch; sizes are source over `d`. */
export interface DispatchCost {
  readonly kernel: string;
  readonly schedule: string;
  /** The nodes it computes, or helps to: its own last, after those its schedule computes on the way. */
  readonly values: readonly ValueId[];
  readonly flops: string;
  readonly bytes: string;
  readonly minimum: string;
  readonly serial: string;
  /** Of all its workgroups. */
  readonly lanes: string;
  readonly when: string | undefined;
  /** A step runs it once in so many. */
  readonly rate: number;
}

/** Costs in the order of a program's dispatches. */
export interface ProgramCosts {
  readonly prepare: readonly DispatchCost[];
  readonly body: readonly DispatchCost[];
}

/** Which of a program's temporary values share a buffer. */
export interface MemorySlot {
  readonly program: string;
  readonly slot: number;
  readonly value: number;
  readonly size: string;
  readonly first: number;
  readonly last: number;
}

/** A mode that the model does not have, and the first node that nothing runs in it. */
export interface Refusal {
  readonly mode: Mode;
  readonly node: Node;
}

export interface Lowered {
  /** Without shards, and without the choice of mode. */
  readonly plan: Omit<PlanSource, "shards" | "choose" | "chooseResume">;
  readonly kernels: readonly Kernel[];
  readonly tensors: ReadonlyMap<string, StoredTensor>;
  readonly costs: {
    readonly whole: Readonly<Partial<Record<Mode, ProgramCosts>>>;
    readonly resume: Readonly<Partial<Record<Mode, ProgramCosts>>>;
    /** Absent where the model needs whole sequences. */
    readonly step?: ProgramCosts;
    /** A step and the choice of the next token; there where the model is a language model. */
    readonly generate?: ProgramCosts;
  };
  readonly memory: readonly MemorySlot[];
  readonly refused: readonly Refusal[];
}
