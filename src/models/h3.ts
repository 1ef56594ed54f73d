/** H3, the layer that multiplies what a shift and a diagonal system remember: keys with values, and those with queries. */
import { arg, call, type Expr } from "../ir/expr.ts";
import type { ValueId } from "../ir/graph.ts";
import { deltaRange, familyNode, familyParams } from "../dsl/family-layer.ts";
import { linear } from "../dsl/layers.ts";
import { makeTensor, type Seq, type Tensor } from "../dsl/tensor.ts";
import { fail, here, layerName, scope, trace, valueOf, type Named } from "../dsl/trace.ts";
import { h3 as diagonalFamily } from "../ssm/families/h3.ts";
import { shift as shiftFamily } from "../ssm/families/shift.ts";

/** Options of `h3`. */
export interface H3Options extends Named {
  /** Inputs the shift register holds, and full state size of the diagonal system; 64 where absent. */
  readonly state?: number;
  /** Channels of one head; 1 where absent. */
  readonly headDim?: number;
  /** The range that step sizes start from, uniform in the logarithm. */
  readonly delta?: readonly [low: number, high: number];
}

/** $0 $1 + $2 $3 + .. */
const dot = (terms: number): Expr =>
  Array.from({ length: terms }, (_, i) => call("mul", arg(2 * i), arg(2 * i + 1))).reduce((sum, term) => call("add", sum, term));

/**
 * Queries, keys and values are linear maps of x; keys pass a shift register. In a head of d channels every key times every
 * value passes the head's diagonal system, and queries sum what comes out over the keys. Bilinear rule.
 * Shapes, for D channels in D / d heads: `q_proj`, `k_proj`, `v_proj`, `output_linear` as `linear`; `ssm_k_kernel.kernel.B` `[D N]`,
 * `ssm_k_kernel.kernel.C` `[1 D N]`, `ssm_k_D` `[D]`; `kernel.kernel.C` `[1 D/d N/2 2]`, `.B` `[D/d N/2 2]`, `.inv_A_real`, `.A_imag`
 * `[D/d N/2]`, `.log_dt` `[D/d]`, `D` `[D/d]`.
 * Source: Fu et al. 2023 (2212.14052), section 3; names of HazyResearch/H3.
 */
export function h3<D extends number>(x: Tensor<Seq<D>>, { name = "", ...options }: H3Options = {}): Tensor<Seq<D>> {
  return scope(name, () => {
    const width = x.shape.H;
    const [q, k, v] = (["q_proj", "k_proj", "v_proj"] as const).map((projection) => linear(x, { width, name: projection }));
    if (q === undefined || k === undefined || v === undefined) return x;
    return linear(attend(q, shifted(k, options), v, options), { width, name: "output_linear" });
  });
}

function shifted<D extends number>(k: Tensor<Seq<D>>, { state = 64 }: H3Options): Tensor<Seq<D>> {
  const system = { family: shiftFamily, state, options: {}, sizes: { M: 1 } };
  const params = familyParams(system, k.shape.H, layerName("shift", ""), (param) =>
    param === "D" ? "ssm_k_D" : `ssm_k_kernel.kernel.${param}`,
  );
  return familyNode(k, system, "bilinear", params);
}

/** The sum over a head's keys of query times the diagonal system's answer to key times value; outputs lie value by value. */
function attend<D extends number>(
  q: Tensor<Seq<D>>,
  k: Tensor<Seq<D>>,
  v: Tensor<Seq<D>>,
  { state = 64, headDim: d = 1, delta }: H3Options,
): Tensor<Seq<D>> {
  const heads = q.shape.H / d;
  if (!Number.isInteger(d) || d < 1 || !Number.isInteger(heads))
    fail("bad-width", `heads of ${d} channels do not divide ${q.shape.H} channels`, "give a head size that divides the width");
  const running = trace();
  const { builder } = running;
  const each = <T>(f: (i: number) => T): T[] => Array.from({ length: d }, (_, i) => f(i));
  /** Channel i of every head, which stands at h d + i. */
  const ofHeads = (x: Tensor<Seq<D>>): ValueId[] => each((i) => (d === 1 ? valueOf(x) : builder.slice(valueOf(x), i, heads, here(), d)));
  const [queries, keys, values] = [ofHeads(q), ofHeads(k), ofHeads(v)];
  const joined = (parts: readonly ValueId[]): ValueId => (parts.length === 1 ? (parts[0] ?? 0) : builder.concat(parts, here()));
  const products = keys.flatMap((key) => values.map((value) => builder.map(dot(1), [key, value], here())));
  const system = { family: diagonalFamily, state, options: deltaRange(delta), sizes: { G: heads, S: heads } };
  const params = familyParams(system, heads, layerName("h3", ""), (param) => (param === "D" ? param : `kernel.kernel.${param}`));
  const answers = valueOf(familyNode(makeTensor({ L: "L", H: d * d * heads }, joined(products), running), system, "bilinear", params));
  const answer = (i: number, j: number): ValueId => (d === 1 ? answers : builder.slice(answers, (i * d + j) * heads, heads, here()));
  const outputs = each((j) =>
    builder.map(
      dot(d),
      queries.flatMap((query, i) => [query, answer(i, j)]),
      here(),
    ),
  );
  return makeTensor(q.shape, joined(outputs), running);
}
