/** Layers with parameters that are not state space models: each declares its parameters, named, with initializers. */
import { arg, call, constant as num, type Expr } from "../ir/expr.ts";
import type { Dim, Init, ValueId } from "../ir/graph.ts";
import { constant, fanIn, normal } from "./init.ts";
import { mapTensors } from "./pointwise.ts";
import { reshaped } from "./shape.ts";
import { makeTensor, type Channels, type Ids, type Seq, type Sequence, type Tensor, type WithWidth } from "./tensor.ts";
import { declared, fail, here, layerName, parameter, trace, valueOf, type Named } from "./trace.ts";

const channels = (size: number): Dim => ({ name: "H", size });

function checkWidth(width: number): void {
  if (!Number.isInteger(width) || width < 1) fail("bad-width", `a width of ${width}`, "give a whole number of channels, at least 1");
}

/** Options of a linear map. */
export interface LinearOptions<W extends number> extends Named {
  /** Channels of the result. */
  readonly width: W;
  /** Whether a bias is added; it is unless this is false. */
  readonly bias?: boolean;
  /** Of the weight; uniform within one over the root of the fan-in where absent. */
  readonly init?: Init;
  /** Of the bias; as the weight's where absent. */
  readonly biasInit?: Init;
}

/** Options of `linear`. */
export interface TiedLinearOptions<W extends number> extends LinearOptions<W> {
  /** The layer whose weight, `[width H]`, is this one's too, such as the embedding of a head that is tied: its name as from here. */
  readonly tiedTo?: string;
}

function affine(x: ValueId, inputs: number, layer: string, weight: ValueId, options: LinearOptions<number>): ValueId {
  const { builder } = trace();
  const product = builder.matmul(x, weight, "H", here());
  if (options.bias === false) return product;
  const bias = parameter(layer, "bias", [channels(options.width)], options.biasInit ?? fanIn(inputs));
  return builder.map(call("add", arg(0), arg(1)), [product, bias], here());
}

const weightOf = (layer: string, rows: number, columns: number, init: Init = fanIn(columns)): ValueId =>
  parameter(
    layer,
    "weight",
    [
      { name: "O", size: rows },
      { name: "I", size: columns },
    ],
    init,
  );

/** The weight of another layer. Throws: CompileError `width-mismatch` where it is not `[rows columns]`. */
function tiedWeight(layer: string, rows: number, columns: number): ValueId {
  const weight = declared(layer, "weight");
  const sizes = trace()
    .builder.typeOf(weight)
    .dims.map(({ size }) => size);
  if (sizes.length !== 2 || sizes[0] !== rows || sizes[1] !== columns)
    fail("width-mismatch", `${layer}.weight is [${sizes.join(" ")}], not [${rows} ${columns}]`, "tie layers of the same widths");
  return weight;
}

/**
 * W x + b at every time step.
 * Shapes: `weight` `[width H]` unless it is tied, `bias` `[width]`.
 * Throws: CompileError `width-mismatch`, `unknown-parameter` where it is tied to a weight of other sizes, or to none.
 */
export function linear<S extends Channels, const W extends number>(x: Tensor<S>, options: TiedLinearOptions<W>): Tensor<WithWidth<S, W>> {
  const { width, tiedTo, init, name } = options;
  checkWidth(width);
  const layer = layerName("linear", name);
  const { H } = x.shape;
  const weight = tiedTo === undefined ? weightOf(layer, width, H, init) : tiedWeight(layerName("linear", tiedTo), width, H);
  return reshaped(x, width, affine(valueOf(x), H, layer, weight, options));
}

/** a sigmoid(b), where a and b are the halves of a linear map to twice `width`. Shapes: `weight` `[2*width H]`, `bias` `[2*width]`. */
export function glu<S extends Channels, const W extends number>(x: Tensor<S>, options: LinearOptions<W>): Tensor<WithWidth<S, W>> {
  const { width } = options;
  checkWidth(width);
  const { builder } = trace();
  const layer = layerName("glu", options.name);
  const weight = weightOf(layer, 2 * width, x.shape.H, options.init);
  const both = affine(valueOf(x), x.shape.H, layer, weight, { ...options, width: 2 * width });
  const halves = [builder.slice(both, 0, width, here()), builder.slice(both, width, width, here())];
  return reshaped(x, width, builder.map(call("mul", arg(0), call("sigmoid", arg(1))), halves, here()));
}

/** Rows of a table. Shapes: `weight` `[V width]`. */
export function embed<V extends number, const W extends number>(
  ids: Tensor<Ids<V>>,
  options: { readonly width: W; readonly init?: Init } & Named,
): Tensor<Seq<W>> {
  const { width } = options;
  checkWidth(width);
  const running = trace();
  const table = parameter(
    layerName("embed", options.name),
    "weight",
    [{ name: "V", size: ids.shape.V }, channels(width)],
    options.init ?? normal(),
  );
  return makeTensor({ L: "L", H: width }, running.builder.embed(valueOf(ids), table, here()), running);
}

/** Options of a normalization. */
export interface NormOptions extends Named {
  /** Added to the variance; 1e-5 where absent. */
  readonly eps?: number;
  /** Whether the result is scaled (and for a layer norm shifted) by parameters; it is unless this is false. */
  readonly affine?: boolean;
}

const timesPlus: Expr = call("add", call("mul", arg(0), arg(1)), arg(2));

function affineParams(layer: string, width: number): [ValueId, ValueId] {
  return [parameter(layer, "weight", [channels(width)], constant(1)), parameter(layer, "bias", [channels(width)], constant(0))];
}

/** Zero mean and unit (biased) variance over the channels of each time step. Shapes: `weight`, `bias` `[H]`. */
export function layerNorm<S extends Channels>(x: Tensor<S>, options: NormOptions = {}): Tensor<S> {
  const running = trace();
  const normed = running.builder.norm(valueOf(x), "layer", options.eps ?? 1e-5, here());
  if (options.affine === false) return makeTensor(x.shape, normed, running);
  const args = [normed, ...affineParams(layerName("norm", options.name), x.shape.H)];
  return makeTensor(x.shape, running.builder.map(timesPlus, args, here()), running);
}

/** Options of `rmsNorm`. */
export interface RmsNormOptions extends NormOptions {
  /** Groups of neighbouring channels, each normed by itself; 1 where absent. */
  readonly groups?: number;
}

/** Unit root mean square over the channels of each time step. Shapes: `weight` `[H]`. */
export function rmsNorm<S extends Channels>(x: Tensor<S>, options: RmsNormOptions = {}): Tensor<S> {
  const running = trace();
  const normed = running.builder.norm(valueOf(x), "rms", options.eps ?? 1e-5, here(), options.groups);
  if (options.affine === false) return makeTensor(x.shape, normed, running);
  const weight = parameter(layerName("norm", options.name), "weight", [channels(x.shape.H)], constant(1));
  return makeTensor(x.shape, running.builder.map(call("mul", arg(0), arg(1)), [normed, weight], here()), running);
}

/** Inference only: by the mean and variance seen in training. Shapes: `weight`, `bias`, `running_mean`, `running_var` `[H]`. */
export function batchNorm<S extends Channels>(x: Tensor<S>, options: NormOptions = {}): Tensor<S> {
  const running = trace();
  const layer = layerName("norm", options.name);
  const dims = [channels(x.shape.H)];
  const stats = [parameter(layer, "running_mean", dims, constant(0)), parameter(layer, "running_var", dims, constant(1))];
  const centred = call("mul", call("sub", arg(0), arg(1)), call("rsqrt", call("add", arg(2), num(options.eps ?? 1e-5))));
  const normed = running.builder.map(centred, [valueOf(x), ...stats], here());
  if (options.affine === false) return makeTensor(x.shape, normed, running);
  return makeTensor(x.shape, running.builder.map(timesPlus, [normed, ...affineParams(layer, x.shape.H)], here()), running);
}

/** Options of a depthwise convolution. */
export interface ConvOptions extends Named {
  /** Taps per channel. */
  readonly width: number;
  /** The only kind there is; may be written for the reader. */
  readonly causal?: true;
  /** Whether a bias is added; it is unless this is false. */
  readonly bias?: boolean;
}

/** Depthwise causal convolution: every channel by its own `width` taps, the last on the present. Shapes: `weight` `[H width]`, `bias` `[H]`. */
export function conv<S extends Sequence>(x: Tensor<S>, options: ConvOptions): Tensor<S> {
  const { width } = options;
  checkWidth(width);
  const running = trace();
  const layer = layerName("conv", options.name);
  const dims = [channels(x.shape.H)];
  const weight = parameter(layer, "weight", [...dims, { name: "K", size: width }], fanIn(width));
  const product = running.builder.conv(valueOf(x), weight, here());
  if (options.bias === false) return makeTensor(x.shape, product, running);
  const bias = parameter(layer, "bias", dims, fanIn(width));
  return makeTensor(x.shape, running.builder.map(call("add", arg(0), arg(1)), [product, bias], here()), running);
}

/** x + layer(x) */
export function residual<S extends Channels>(x: Tensor<S>, layer: (x: Tensor<S>) => Tensor<NoInfer<S>>): Tensor<S> {
  return mapTensors(call("add", arg(0), arg(1)), x, layer(x));
}
