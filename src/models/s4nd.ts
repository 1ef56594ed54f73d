/** S4ND: state spaces along every axis of a grid, whose kernel is the outer product of one-dimensional ones. */
import { arg, call, constant as num, type Expr } from "../ir/expr.ts";
import { familyNode, familyParams } from "../dsl/family-layer.ts";
import { mapTensors } from "../dsl/pointwise.ts";
import { concat, split } from "../dsl/shape.ts";
import { s4Along, type S4Options, type WithOutputs } from "../dsl/s4.ts";
import type { Seq, Sequence, Tensor } from "../dsl/tensor.ts";
import { fail, layerName, scope, type Named } from "../dsl/trace.ts";
import { skip } from "../ssm/families/skip.ts";

/** Options of `s4nd`: those of `s4` for the kernel of every axis. */
export interface S4ndOptions<C extends number = number> extends Omit<S4Options<C>, "name">, Named {
  /** Sizes of the grid's axes, the slowest first; a sequence holds whole grids, row by row. */
  readonly sizes: readonly number[];
  /** Outer products whose mean the kernel is; 1 where absent. */
  readonly tensorRank?: number;
}

/** ($0 + $1 + ..) / count */
const meanOf = (count: number): Expr =>
  call(
    "mul",
    Array.from({ length: count }, (_, i): Expr => arg(i)).reduce((sum, part) => call("add", sum, part)),
    num(1 / count),
  );

/**
 * The convolution of every feature of a grid with its N-dimensional kernel, and D u. Whole sequences are whole grids. In one direction every place
 * of a grid is reached from earlier steps only, so that it streams; in both it does not.
 * Shapes, for H features of c = `channels` outputs and tensor rank r: `D` `[c H]`; `kernel.<axis>.C` `[r c H N/2 2]` (`[2 r c ..]` in both
 * directions), and the other parameters of `s4` but D under `kernel.<axis>`. The result lies output by output.
 * Source: Nguyen et al., S4ND, 2022 (2210.06583), section 3; names of state-spaces/s4, src/models/sequence/modules/s4nd.py.
 */
export function s4nd<H extends number, const C extends number = 1>(
  x: Tensor<Seq<H>>,
  { sizes, channels, tensorRank = 1, name = "", ...options }: S4ndOptions<C>,
): Tensor<WithOutputs<Seq<H>, C>> {
  const outputs = channels ?? 1;
  for (const n of [...sizes, tensorRank])
    if (!Number.isInteger(n) || n < 1) fail("bad-width", `an axis or a tensor rank of ${n}`, "give whole numbers, at least 1");
  if (sizes.length === 0) fail("bad-width", "a grid without axes", "give the size of at least one axis");
  return scope(name, () => {
    const features = x as unknown as Tensor<Sequence>;
    const width = features.shape.H;
    const copies = (count: number): Tensor<Sequence> =>
      count === 1 ? features : concat(features, ...Array.from({ length: count - 1 }, () => features));
    let y = copies(outputs * tensorRank);
    sizes.forEach((size, i) => {
      const stride = sizes.slice(i + 1).reduce((a, b) => a * b, 1);
      y = s4Along(y, width, { ...options, channels: outputs * tensorRank, name: `kernel.${i}` }, { size, stride });
    });
    const parts: readonly Tensor<Sequence>[] =
      tensorRank === 1
        ? [y]
        : split(
            y,
            Array.from({ length: tensorRank }, () => outputs * width),
          );
    const [first = y, ...others] = parts;
    const system = { family: skip, state: 1, options: {}, sizes: { P: outputs, G: width } };
    const skipped = familyNode(copies(outputs), system, "zoh", familyParams(system, outputs * width, layerName("s4nd", "")));
    const mean = tensorRank === 1 ? y : mapTensors(meanOf(tensorRank), first, ...others);
    // The type checker does not multiply widths.
    return mapTensors(call("add", arg(0), arg(1)), mean, skipped) as unknown as Tensor<WithOutputs<Seq<H>, C>>;
  });
}
