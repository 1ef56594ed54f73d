/** What the page of `recurve inspect --html` shows, as plain data: whoever compiles fills it, `inspect-html.ts` draws it. */

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
  /** More lines for the tooltip, such as a fused expression. */
  readonly detail?: string | undefined;
}

/** One dispatch of an entry point at the sizes of `InspectData.at`. */
export interface InspectDispatch {
  /** The program it belongs to: a mode, `step`, or `prepare`. */
  readonly entry: string;
  readonly kernel: string;
  readonly flops: number;
  /** Bytes read and written in device memory. */
  readonly bytes: number;
  /** The bytes any kernel must move for this work: each operand read once, each result written once. */
  readonly minimumBytes: number;
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
  readonly reason: string;
  /** Every mode; `cost` in seconds of the cost model, absent where the mode is illegal, with the reason in `why`. */
  readonly costs: readonly { readonly mode: string; readonly cost?: number | undefined; readonly why?: string | undefined }[];
}

/** A buffer of the memory plan; `from` and `to` are the first and last dispatch that need it. */
export interface InspectBuffer {
  readonly name: string;
  readonly kind: string;
  readonly bytes: number;
  readonly from: number;
  readonly to: number;
}

/** A state space model of the graph. Poles as [real, imaginary] pairs. */
export interface InspectSystem {
  readonly name: string;
  readonly continuous: readonly (readonly [number, number])[];
  readonly discrete: readonly (readonly [number, number])[];
  /** Whether every pole stands for itself and its conjugate, which is then drawn hollow. */
  readonly pairs: boolean;
  /** The response of some channels to a unit impulse. */
  readonly impulses: readonly { readonly channel: number; readonly values: readonly number[] }[];
}

export interface InspectData {
  readonly name: string;
  /** One line under the title, such as the version and the modes. */
  readonly summary: string;
  /** The sizes the costs are for. */
  readonly at: { readonly B: number; readonly L: number };
  readonly nodes: readonly InspectNode[];
  readonly choices: readonly InspectChoice[];
  readonly dispatches: readonly InspectDispatch[];
  /** The memory plan of one entry point, named. */
  readonly memory: { readonly entry: string; readonly buffers: readonly InspectBuffer[] };
  readonly systems: readonly InspectSystem[];
  /** What passes noted, such as residuals. */
  readonly notes: readonly string[];
  /** The graph as text. */
  readonly text: string;
}
