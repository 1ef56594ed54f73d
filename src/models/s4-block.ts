/** The published S4 block, version 4, with every option of it. */
import { constant } from "../dsl/init.ts";
import { linear } from "../dsl/layers.ts";
import { mul } from "../dsl/pointwise.ts";
import { s4, type S4Options } from "../dsl/s4.ts";
import { makeTensor, type Seq, type Sequence, type Tensor, type WithWidth } from "../dsl/tensor.ts";
import { fail, fixedParameter, here, layerName, scope, trace, valueOf } from "../dsl/trace.ts";
import { activate, gatedHalves, type Activation } from "./activation.ts";

/** What stands behind the output map: an activation, or a gate for which the map is twice as wide; `none`: no map either. */
export type FinalActivation = Activation | "glu" | "none";

/** Options of `s4Block`, beside those of its `s4`. */
export interface S4BlockOptions<F extends FinalActivation = FinalActivation> extends S4Options {
  /** Behind the state space model: `gelu` where absent; for `glu` it has twice as many outputs. */
  readonly activation?: Activation | "glu";
  /** Behind the product with the gate, or where that would be; `id` where absent. */
  readonly multAct?: Activation;
  /** `glu` where absent. */
  readonly finalAct?: F;
  /** g: the state space model's outputs are mapped to g H channels and multiplied by as many made from x. */
  readonly gate?: number;
  /** Of what is made from x; `id` where absent. */
  readonly gateAct?: Activation;
  /** b: the state space model reads H / b channels, a linear map of x. */
  readonly bottleneck?: number;
  /** 1 at the time steps that count and 0 at padding, which the state space model then reads as 0. */
  readonly mask?: Tensor<Seq<1>>;
}

/** What an S4 block gives: dims of x, or with `none` those of its state space model's outputs. */
export type S4BlockOutput<S extends Sequence, F extends FinalActivation> = F extends "none" ? WithWidth<S, number> : S;

/**
 * S4, activation, gate, output map; bottleneck and gate as they are meant, which both published versions are not.
 * Shapes, for c outputs of a feature: `layer.*` of `s4`; `output_linear.weight` `[H cH]` (`glu`: `[2H cH]`), with a gate `[.. gH]`;
 * `input_linear.weight` `[H/b H]`, `input_gate.weight` `[gH H]`, `output_gate.weight` `[gH cH/b]`; a bias with each.
 * Source: Gu et al. 2022 (2111.00396); state-spaces/s4, models/s4/s4.py and src/models/sequence/modules/s4block.py.
 */
export function s4Block<S extends Sequence, F extends FinalActivation = "glu">(
  x: Tensor<S>,
  options: S4BlockOptions<F> = {},
): Tensor<S4BlockOutput<S, F>> {
  const { activation = "gelu", multAct = "id", finalAct = "glu", gate, gateAct = "id", bottleneck, mask, name = "", ...own } = options;
  const width = x.shape.H;
  // Widths are numbers from here on; F decides the last one, which the type checker cannot follow into its branches.
  const features = x as unknown as Features;
  const build = (): Features => {
    const kept = mask === undefined ? features : masked(features, mask);
    const read = bottleneck === undefined ? kept : linear(kept, { width: divided(width, bottleneck), name: "input_linear" });
    const channels = own.channels ?? 1;
    const outputs = s4(read, { ...own, channels: activation === "glu" ? 2 * channels : channels, name: "layer" });
    const y = activation === "glu" ? gatedHalves(outputs, outputs.shape.H / 2) : activate(outputs, activation);
    return mapped(activate(gate === undefined ? y : gated(y, kept, gate * width, gateAct), multAct), finalAct, width);
  };
  return scope(name, build) as unknown as Tensor<S4BlockOutput<S, F>>;
}

/** Any sequence. */
type Features = Tensor<Sequence>;

function mapped(y: Features, act: FinalActivation, width: number): Features {
  if (act === "none") return y;
  const to = (outputs: number): Features => linear(y, { width: outputs, name: "output_linear" });
  return act === "glu" ? gatedHalves(to(2 * width), width) : activate(to(width), act);
}

function gated(y: Features, x: Features, width: number, act: Activation): Features {
  if (!Number.isInteger(width) || width < 1)
    fail("bad-width", `a gate of ${width} channels`, "give a whole number of channels for each of x");
  const open: Features = activate(linear(x, { width, name: "input_gate" }), act);
  return mul(linear(y, { width, name: "output_gate" }), open);
}

function divided(width: number, bottleneck: number): number {
  if (bottleneck >= 1 && Number.isInteger(bottleneck) && width % bottleneck === 0) return width / bottleneck;
  return fail("bad-width", `a bottleneck of ${bottleneck} for ${width} channels`, "give a whole number that divides the channels");
}

/** x where the mask is 1. */
function masked(x: Features, mask: Tensor<Seq<1>>): Features {
  const running = trace();
  const dims = [
    { name: "O", size: x.shape.H },
    { name: "I", size: 1 },
  ];
  const spread = fixedParameter(layerName("mask", undefined), "spread", dims, constant(1));
  return mul(x, makeTensor(x.shape, running.builder.matmul(valueOf(mask), spread, "H", here()), running));
}
