/** What a graph pass is, and the one place that runs one: what it needs is checked before, what it ensures after. */
import type { Constants, Graph } from "../ir/graph.ts";

/** A graph with the values of its parameters. */
export interface Module {
  readonly graph: Graph;
  readonly constants: Constants;
}

/** Facts about a module that passes establish, in this order, and later passes rely on; `properties.ts` checks each. */
export type Property = "initialized" | "structured" | "discretized" | "fused";

export interface PassContext {
  /** Seed of every random initializer. */
  readonly seed: number;
  /** Multiplies every step size; 1 where absent. */
  readonly rate?: number | undefined;
  /** What weights of products and tables are stored as where they are not quantized; float32 where absent. */
  readonly dtype?: "f32" | "f16" | undefined;
  /** What weights with enough inputs are quantized to; none where absent. */
  readonly quantize?: "q8" | "q4" | undefined;
  /** Time steps of the longest sequence; unlimited where absent. */
  readonly maxLength?: number | undefined;
  /** Records a fact worth telling the user (`recurve inspect` prints it), such as a residual. */
  readonly note: (message: string) => void;
  /** Reports something the user should know although the build goes on. */
  readonly warn: (message: string) => void;
}

export interface Pass {
  /** kebab-case. */
  readonly name: string;
  /** One sentence: before and after. */
  readonly doc: string;
  readonly needs: readonly Property[];
  readonly ensures: readonly Property[];
  readonly run: (module: Module, context: PassContext) => Module;
}
