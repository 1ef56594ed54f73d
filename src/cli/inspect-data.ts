/** What the page of `recurve inspect --html` shows, as plain data: whoever compiles fills it, `inspect-html.ts` draws it. */
import type { Spread } from "../ssm/timescales.ts";

/** A node of the graph as drawn; parameters are best left out. */
export interface InspectNode {
  readonly id: number;
  readonly op: string;
  /** One line in the box, such as `s4_layers.0 s4d zoh N=64`. */
  readonly label: string;
  /** Such as `[B L H=64]`. */
  readonly shape: string;
  /** Ids of the nodes it reads. */
  readonly args: readonly number[];
  /** The place in the user's source, such as `model.ts:9:20`. */
  readonly loc?: string | undefined;
  /** The line of the user's source that it comes from. */
  readonly source?: string | undefined;
  /** More lines for the tooltip, such as a fused expression. */
  readonly detail?: string | undefined;
}

/** One dispatch of an entry point at the sizes of `InspectData.at`. */
export interface InspectDispatch {
  /** The program it belongs to: a mode, `step`, `generate` (a step and the choice of the next token), or `prepare`. */
  readonly entry: string;
  readonly kernel: string;
  /** Of one step: it runs every so many steps only, and its costs are their share. */
  readonly every: number;
  readonly flops: number;
  /** Bytes read and written in device memory. */
  readonly bytes: number;
  /** The bytes any kernel must move for this work: each operand read once, each result written once. */
  readonly minimumBytes: number;
  /** By the cost model. */
  readonly seconds: number;
  readonly workgroupBytes: number;
  /** Workgroups along x, y, z. */
  readonly grid: readonly number[];
  /** The shader's text. */
  readonly wgsl?: string | undefined;
}

/** The choice made for one entry point. */
export interface InspectChoice {
  /** Such as `whole sequence`, `continue a stream`. */
  readonly entry: string;
  readonly chosen: string;
  /** Which mode from which length, and why; the shortest first. */
  readonly thresholds: readonly { readonly length: number; readonly mode: string; readonly reason: string }[];
  /** Seconds of the cost model by length, of every mode there is. */
  readonly modes: readonly { readonly mode: string; readonly costs: readonly (readonly [length: number, seconds: number])[] }[];
}

/** A place in device memory, and what lies there during which dispatches. */
export interface InspectBuffer {
  /** Such as `slot 2`, or the name of an input. */
  readonly name: string;
  readonly kind: string;
  readonly bytes: number;
  /** What lies there, one after the other: `from` and `to` are its first and last dispatch. */
  readonly lives: readonly { readonly from: number; readonly to: number; readonly bytes: number; readonly label: string }[];
}

/** The memory plan of one program. */
export interface InspectMemory {
  readonly entry: string;
  /** The kernels of its dispatches, in order. */
  readonly dispatches: readonly string[];
  readonly buffers: readonly InspectBuffer[];
}

/** One line of a drawing. */
export interface InspectCurve {
  readonly label: string;
  readonly points: readonly (readonly [x: number, y: number])[];
}

/** A time-invariant system of the graph. Poles as [real, imaginary] pairs. */
export interface InspectSystem {
  readonly name: string;
  /** Its form, in a line. */
  readonly form: string;
  /** Channels that differ: 1 where all share one system. */
  readonly channels: number;
  /** Empty where the system is only known in discrete time, or has no poles (a convolution). */
  readonly continuous: readonly (readonly [number, number])[];
  readonly discrete: readonly (readonly [number, number])[];
  /** Channels whose poles are drawn. */
  readonly poleChannels: number;
  /** Whether each also stands for its conjugate, which is then drawn in another colour. */
  readonly mirrored: boolean;
  /** Of the poles of `spreadChannels` channels: 1/|Re lambda| in the model's time, and samples until a discrete pole has decayed by e. */
  readonly timeConstants: Spread | undefined;
  readonly memory: Spread | undefined;
  readonly spreadChannels: number;
  /** The response of some channels to a unit impulse. */
  readonly impulses: readonly { readonly channel: number; readonly values: Float64Array }[];
  /** |H| of the same channels. Units: cycles a sample. */
  readonly spectrum: readonly InspectCurve[];
  /** e^(tA) B of some states of the first channel. Units: the model's time. */
  readonly basis: readonly InspectCurve[];
}

export interface InspectData {
  /** Why there are no other modes. */
  readonly refused: readonly string[];
  readonly name: string;
  /** One line under the title, such as the version and the modes. */
  readonly summary: string;
  /** The sizes the costs are for. */
  readonly at: { readonly B: number; readonly L: number };
  readonly nodes: readonly InspectNode[];
  readonly choices: readonly InspectChoice[];
  readonly dispatches: readonly InspectDispatch[];
  /** The program that runs `at` first. */
  readonly memory: readonly InspectMemory[];
  readonly systems: readonly InspectSystem[];
  /** What passes noted, such as residuals. */
  readonly notes: readonly string[];
  /** The graph as text. */
  readonly text: string;
}
