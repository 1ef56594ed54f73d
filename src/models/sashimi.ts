/**
 * SaShiMi: blocks of S4 at several rates. A pooling packs time steps into channels on the way down; on the way up they come
 * back one block later, so that the whole is causal and a stream steps through it: a lower tier has a step where a block ends.
 */
import { layerNorm, linear } from "../dsl/layers.ts";
import { add, gelu } from "../dsl/pointwise.ts";
import type { AnyTensor, Blocks, Seq, Tensor } from "../dsl/tensor.ts";
import { fail, scope, type Named } from "../dsl/trace.ts";
import { linearPool, linearUnpool, type Tier } from "./pooling.ts";
import { s4Block } from "./s4-block.ts";

/** Options of `sashimi`. */
export interface SashimiOptions extends Named {
  /** Layers of each tier, with a feed-forward layer behind each. */
  readonly layers: number;
  /** Steps that become one, from the input's rate down. `[4, 4]` where absent. */
  readonly pool?: readonly number[];
  /** How many times as many channels each tier has as the one above it; 2 where absent. */
  readonly expand?: number;
  /** How many times as many channels a feed-forward layer has inside; 2 where absent, none of these layers where 0. */
  readonly feedForward?: number;
  /** Whether there are layers on the way down too, each added to its like on the way up. */
  readonly unet?: boolean;
  /** Whether the layers read their sequences from both ends; such a model has no streams. Not with a `layer` of the caller's. */
  readonly bidirectional?: boolean;
  /** What a tier is made of; an S4 block where absent. Its parameters are named behind `<place>.layer`. */
  readonly layer?: (x: Tier) => Tier;
}

type Layer = (x: Tier) => Tier;

const asTier = (x: AnyTensor): Tier => x as Tier;

/** x + layer(norm(x)) */
const residual =
  (name: string, layer: Layer): Layer =>
  (x) =>
    scope(name, () => {
      const normed = layerNorm(x, { name: "norm" });
      return add(
        x,
        scope("layer", () => layer(normed)),
      );
    });

const feedForwardLayer =
  (factor: number): Layer =>
  (x) => {
    const inner = gelu(linear(x, { width: factor * x.shape.H, name: "ff.0.0" }));
    return linear(inner, { width: x.shape.H, name: "ff.2" });
  };

const downPool =
  (name: string, by: number, width: number): Layer =>
  (x) =>
    asTier(linearPool(x, { by, width, name: `${name}.linear` }));

const upPool =
  (name: string, by: number, width: number): Layer =>
  (x) =>
    asTier(linearUnpool(x as Tensor<Blocks<number>>, { by, width, name: `${name}.linear` }));

/** The layers of one tier, numbered from `first` behind `place`. */
function tier(place: string, first: number, { layers, feedForward = 2, layer, bidirectional = false }: SashimiOptions): Layer[] {
  const own = layer ?? ((x: Tier): Tier => s4Block(x, { bidirectional }));
  const kinds = feedForward === 0 ? [own] : [own, feedForwardLayer(feedForward)];
  return Array.from({ length: layers }, () => kinds)
    .flat()
    .map((kind, i) => residual(`${place}.${first + i}`, kind));
}

/** Runs x through layers in order; sees every result. */
const through = (x: Tier, layers: readonly Layer[], see: (y: Tier) => void = () => {}): Tier =>
  layers.reduce((now, layer) => {
    const next = layer(now);
    see(next);
    return next;
  }, x);

/**
 * A tower of tiers of S4 blocks, down by `pool` and up again, with a layer norm at the end.
 * Shapes: x `[L H]` to `[L H]`, L a multiple of all of `pool` together; `d_layers.<i>.*`, `c_layers.<i>.*`, `u_layers.<b>.<i>.*`, `norm.*`: the scheme `sashimi`.
 * Throws: CompileError `bad-width`.
 * Source: Goel et al. 2022 (2202.09729); names of state-spaces/s4, models/sashimi/sashimi.py.
 */
export function sashimi<H extends number>(x: Tensor<Seq<H>>, options: SashimiOptions): Tensor<Seq<H>> {
  const { layers, pool = [4, 4], expand = 2, unet = false } = options;
  const whole: readonly (readonly [string, number])[] = [["layers", layers], ["expand", expand], ...pool.map((p) => ["pool", p] as const)];
  for (const [what, n] of whole) if (!Number.isInteger(n) || n < 1) fail("bad-width", `${what} of ${n}`, "give a whole number, at least 1");
  const build = (): Tier => {
    const tops: Tier[] = [];
    const keep = (y: Tier): void => void tops.push(y);
    const top = asTier(x);
    keep(top);
    const down = through(top, downLayers(x.shape.H, options), keep);
    let up = withTop(through(down, tier("c_layers", 0, options)), tops);
    [...pool].reverse().forEach((by, b) => {
      const width = up.shape.H / expand;
      const own = tier(`u_layers.${b}`, 1, options);
      up = withTop(upPool(`u_layers.${b}.0`, by, width)(up), tops);
      if (unet) for (const layer of own) up = withTop(layer(up), tops);
      else up = add(through(up, own), up);
    });
    return layerNorm(up, { name: "norm" });
  };
  return scope(options.name ?? "", build) as unknown as Tensor<Seq<H>>;
}

/** The poolings, each behind its tier's layers where `unet` says so. */
function downLayers(channels: number, options: SashimiOptions): readonly Layer[] {
  const { pool = [4, 4], expand = 2, unet = false } = options;
  const all: Layer[] = [];
  let width = channels;
  for (const by of pool) {
    if (unet) all.push(...tier("d_layers", all.length, options));
    width *= expand;
    all.push(downPool(`d_layers.${all.length}`, by, width));
  }
  return all;
}

/** x, with the latest sequence from the way down that nothing was added to yet. */
function withTop(x: Tier, tops: Tier[]): Tier {
  const top = tops.pop();
  return top === undefined ? x : add(x, top);
}
