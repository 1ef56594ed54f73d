/** Hyena: an operator of gates and long convolutions whose filters a small network makes of the positions. */
import { arg, call, constant as num, type Expr } from "../ir/expr.ts";
import type { Dim, ValueId } from "../ir/graph.ts";
import { familyNode, familyParam } from "../dsl/family-layer.ts";
import { constant, fanIn, ramp } from "../dsl/init.ts";
import { conv, linear } from "../dsl/layers.ts";
import { mul } from "../dsl/pointwise.ts";
import { makeTensor, type Seq, type Tensor } from "../dsl/tensor.ts";
import { fail, fixedParameter, here, layerName, parameter, scope, trace, valueOf, type Named } from "../dsl/trace.ts";
import { hyena as hyenaFamily } from "../ssm/families/hyena.ts";

/** Options of `hyena`. */
export interface HyenaOptions extends Named {
  /** Steps of the filters: the longest sequence the model is for. Beyond them a filter is zero. */
  readonly length: number;
  /** Gates; one less of long convolutions. 2 where absent. */
  readonly order?: number;
  /** Width of the filter's network; 64 where absent. */
  readonly filterWidth?: number;
  /** Numbers that stand for a position: time, and cosine and sine of as many frequencies each; 3 where absent. */
  readonly embedding?: number;
  /** Hidden layers of the network after the first; 2 where absent. */
  readonly layers?: number;
  /** What the filter's window falls to; 0 where absent. */
  readonly shift?: number;
}

const dims = (...sizes: readonly (readonly [string, number])[]): Dim[] => sizes.map(([name, size]) => ({ name, size }));

function whole(what: string, value: number, least: number): number {
  if (!Number.isInteger(value) || value < least) fail("bad-width", `${what} of ${value}`, `give a whole number, at least ${least}`);
  return value;
}

/** What stands for the positions, `[N E]`: t from 0 to 1, then cos and -sin of 2 pi l f / N. */
function positions(layer: string, steps: number, embedding: number): ValueId {
  const { builder } = trace();
  const bands = (whole("an embedding", embedding, 3) - 1) / 2;
  whole("a number of frequencies", bands, 1);
  const time = fixedParameter(layer, "t", dims(["N", steps], ["T", 1]), ramp(0, 1));
  const frequencies = fixedParameter(layer, "f", dims(["E", bands], ["T", 1]), ramp(1e-4, bands - 1));
  const angle = call("mul", arg(0), num((2 * Math.PI * (steps - 1)) / steps));
  const turns = builder.matmul(time, frequencies, "T", here());
  const part = (expr: Expr): ValueId => builder.map(expr, [turns], here());
  return builder.concat([time, part(call("cos", angle)), part(call("neg", call("sin", angle)))], here());
}

/** The network's output for every position, `[N C]`: linear maps with sin(frequency x) between them. */
function implicitFilter(outputs: number, { length, filterWidth = 64, embedding = 3, layers = 2 }: HyenaOptions): ValueId {
  const { builder } = trace();
  const layer = layerName("filter", "filter_fn");
  const freq = parameter(layer, "implicit_filter.1.freq", dims(["R", filterWidth]), constant(1));
  let x = positions(`${layer}.pos_emb`, length, embedding);
  let inputs = embedding;
  for (let i = 0; i <= whole("a number of hidden layers", layers, 0); i++) {
    const name = `implicit_filter.${2 * i}`;
    const weight = parameter(layer, `${name}.weight`, dims(["O", filterWidth], ["I", inputs]), fanIn(inputs));
    const bias = parameter(layer, `${name}.bias`, dims(["R", filterWidth]), fanIn(inputs));
    const affine = builder.matmul(x, weight, "R", here());
    x = builder.map(call("sin", call("mul", arg(2), call("add", arg(0), arg(1)))), [affine, bias, freq], here());
    inputs = filterWidth;
  }
  const last = parameter(layer, `implicit_filter.${2 * layers + 2}.weight`, dims(["O", outputs], ["I", inputs]), fanIn(inputs));
  return builder.matmul(x, last, "H", here());
}

/** The long convolutions, each a function of a sequence: filter o of channel v is number v (order - 1) + o. */
function longConvolutions<D extends number>(width: number, options: HyenaOptions): ((v: Tensor<Seq<D>>) => Tensor<Seq<D>>)[] {
  const { length, order = 2, shift = 0 } = options;
  const { builder } = trace();
  const count = order - 1;
  const filter = implicitFilter(width * count, options);
  const system = { family: hyenaFamily, state: length, options: { shift } };
  const layer = layerName("filter", "filter_fn");
  const decay = familyParam(system, width * count, "decay", layer, "modulation.deltas");
  const skip = familyParam(system, width * count, "D", layer, "bias");
  return Array.from({ length: count }, (_, o) => (v) => {
    const own = [filter, decay, skip].map((value) => builder.slice(value, o, width, here(), count));
    return familyNode(v, system, "zoh", own);
  });
}

/**
 * The Hyena operator: linear maps of x, a causal convolution of 3 taps, then gate and long convolution in turn.
 * Shapes, for D channels and order o: `in_proj`, `out_proj` as `linear`; `short_filter` as `conv`; `filter_fn.implicit_filter.<i>.*`
 * as `linear`, the last without bias; `filter_fn.implicit_filter.1.freq` `[filterWidth]`; `filter_fn.modulation.deltas`,
 * `filter_fn.bias` `[D (o - 1)]`.
 * Source: Poli et al. 2023 (2302.10866), section 3; names of HazyResearch/safari, hyena.py.
 */
export function hyena<D extends number>(x: Tensor<Seq<D>>, { name = "", ...options }: HyenaOptions): Tensor<Seq<D>> {
  return scope(name, () => {
    const width = x.shape.H;
    const order = whole("an order", options.order ?? 2, 2);
    whole("a filter", options.length, 1);
    const running = trace();
    const projected = conv(linear(x, { width: (order + 1) * width, name: "in_proj" }), { width: 3, name: "short_filter" });
    const part = (i: number): Tensor<Seq<D>> =>
      makeTensor(x.shape, running.builder.slice(valueOf(projected), i * width, width, here()), running);
    let v = part(order);
    longConvolutions<D>(width, options).forEach((convolve, o) => {
      v = convolve(mul(v, part(order - 1 - o)));
    });
    return linear(mul(v, part(0)), { width, name: "out_proj" });
  });
}
