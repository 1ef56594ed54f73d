/** What all ways to convolve share: the node at hand, how a result is finished, the lengths at which ways change. Not a schedule. */
import type { ConvNode, SsmNode, ValueId } from "../../ir/graph.ts";
import { add, dim, f32, type KernelBuilder, type KExpr, lt, mul, select } from "./kit.ts";
import { applyPost, channelsOf, type Coords, elements, type LowerContext, postBytes, type ValueRef, write } from "./schedule.ts";

/** Longest sequence convolved by direct sums. */
export const directUpTo = 64;
/** FFT points that fit the 16 KB of workgroup memory every device has. */
export const alwaysFits = 2048;

export interface Convolution {
  readonly node: SsmNode | ConvNode;
  readonly id: ValueId;
  readonly channels: number;
  readonly u: ValueRef;
  /** Prepared once per M: `[H M]`, K[l] on the input l steps ago. */
  readonly taps: number;
  readonly context: LowerContext;
  /** `[B H L]`, the response of the initial state; absent where that is zero. */
  readonly response: number | undefined;
  /** Steps after which the response is zero, and not stored; it has no end where absent. */
  readonly reach?: number;
}

/** Adds the initial state's response, applies the epilogue, stores. */
export function finishAt(k: KernelBuilder, job: Omit<Convolution, "u" | "taps">, at: Coords, value: KExpr): void {
  const { response, reach, channels } = job;
  const stored = (buffer: number): KExpr => k.load(k.bind(buffer), add(mul(add(mul(at.b, channels), at.c), dim("L")), at.l));
  const reached = (found: KExpr): KExpr => (reach === undefined ? found : select(lt(at.l, reach), found, f32(0)));
  const total = k.let("y", response === undefined ? value : add(value, reached(stored(response))));
  write(k, job.context.result(job.id), at, applyPost(k, job.node, [total], at, job.context));
}

/** Bytes of input, result and epilogue operands, the input read for every channel. */
export function ioBytes({ node, context, response }: Pick<Convolution, "node" | "context" | "response">): string {
  const size = elements(node.type, context.entry);
  return `${response === undefined ? 8 : 12}*${size}+${postBytes(node, context.entry, context)}`;
}

/** The same, inputs that neighbouring channels share read once. */
export function ioMinimum(job: Convolution): string {
  const shared = 1 - channelsOf(job.u.type) / job.channels;
  return shared === 0 ? ioBytes(job) : `${ioBytes(job)}-${4 * shared}*${elements(job.node.type, job.context.entry)}`;
}
