/**
 * Random small models for property tests: DAGs over all ops with numbers for their parameters and inputs. A model is
 * built from a recipe of plain numbers, any of which gives a valid model, so failing cases shrink to few nodes; they
 * print as IR text. Where a model packs steps its length is a multiple of theirs.
 */
import fc from "fast-check";
import { graphBuilder, type GraphBuilder } from "../../src/ir/build.ts";
import { arg, call, constant } from "../../src/ir/expr.ts";
import type { Constant, Dim, ValueId } from "../../src/ir/graph.ts";
import { isSequence } from "../../src/ir/infer.ts";
import { printGraph } from "../../src/ir/print.ts";
import type { Module } from "../../src/passes/pass.ts";
import { activations, bounded, random, randomExpr, type Dice } from "./random-expr.ts";

export { random } from "./random-expr.ts";

/** What one step of a recipe adds: an op, or a usual group of them. */
export const steps = [
  "map",
  "activation",
  "bias",
  "residual",
  "matmul",
  "glu",
  "gate",
  "norm",
  "affine",
  "pool",
  "diagonal",
  "dense",
  "conv",
  "embed",
  "slice",
  "concat",
  "repeat",
  "cumulate",
  "rotate",
  "tower",
] as const;
export type Step = (typeof steps)[number] | "reverse" | "lowpass";

export interface RandomModelOptions {
  /** Which steps may occur; all but those that need whole sequences where absent. */
  readonly steps?: readonly Step[];
  readonly maxSteps?: number;
  readonly maxB?: number;
  readonly maxL?: number;
  readonly maxH?: number;
  /** Stored states a channel. */
  readonly maxN?: number;
  /** No functions that jump (floor, sign, comparisons): for comparisons with float32. On where absent. */
  readonly smooth?: boolean;
}

export interface RandomModel {
  readonly module: Module;
  readonly inputs: Map<string, Constant>;
  readonly B: number;
  readonly L: number;
}

/** Discrete ssm nodes with stable poles, magnitudes near 1; input `u` `[B L H]`, and `ids` where something embeds. */
export function arbitraryModule(options: RandomModelOptions = {}): fc.Arbitrary<RandomModel> {
  const { maxB = 2, maxL = 12, maxH = 4, maxN = 3, maxSteps = 8, smooth = true } = options;
  const step = fc.record({ step: fc.constantFrom(...(options.steps ?? steps)), pick: fc.nat(1000), seed: fc.nat(1e6) });
  return fc
    .record({
      B: fc.integer({ min: 1, max: maxB }),
      L: fc.integer({ min: 1, max: maxL }),
      H: fc.integer({ min: 1, max: maxH }),
      steps: fc.array(step, { minLength: 1, maxLength: maxSteps }),
      seed: fc.nat(1e6),
    })
    .map((recipe) => printable(build(recipe, { maxH, maxN, smooth })));
}

interface Recipe {
  readonly B: number;
  readonly L: number;
  readonly H: number;
  readonly seed: number;
  readonly steps: readonly { readonly step: Step; readonly pick: number; readonly seed: number }[];
}

interface Sizes {
  readonly maxH: number;
  readonly maxN: number;
  readonly smooth: boolean;
}

function printable(model: RandomModel): RandomModel {
  const shown = (): string => `B=${model.B} L=${model.L}\n${printGraph(model.module.graph)}`;
  return Object.defineProperty(model, fc.toStringMethod, { value: shown, enumerable: false });
}

/** What a step may use: the builder, the values so far, and the numbers of this step. */
interface Scene extends Sizes, Dice {
  readonly b: GraphBuilder;
  readonly constants: Map<string, Constant>;
  /** Sequences and pooled values, oldest first. */
  readonly values: ValueId[];
  readonly pick: number;
  /** Token ids, added to the inputs on first use. */
  readonly ids: () => ValueId;
}

const named = (name: string, size: Dim["size"]): Dim => ({ name, size });
const batch = named("B", "B");
const length = named("L", "L");
const vocabulary = 5;

/** How many steps a tower packs into one of its lower tier, and of its lowest. */
const packed = (pick: number): readonly [number, number] => [2 + (pick % 2), 1 + (pick % 3)];

function build(recipe: Recipe, sizes: Sizes): RandomModel {
  const { B, H } = recipe;
  const periods = recipe.steps.map(({ step, pick }) => {
    const [by, again] = packed(pick);
    return step === "tower" ? by * again : step === "lowpass" ? by : 1;
  });
  const period = [1, 2, 3, 4, 6, 9, 12, 18, 36].find((n) => periods.every((p) => n % p === 0)) ?? 36;
  const L = period * Math.ceil(recipe.L / period);
  const b = graphBuilder("random");
  const constants = new Map<string, Constant>();
  const inputs = new Map([["u", tensor([B, L, H], random(recipe.seed), (x) => 2 * x - 1)]]);
  const values = [b.input("u", { dtype: "f32", dims: [batch, length, named("H", H)] })];
  let tokens: ValueId | undefined;
  const ids = (): ValueId => {
    inputs.set(
      "ids",
      tensor([B, L], random(recipe.seed + 1), (x) => Math.floor(x * vocabulary)),
    );
    return (tokens ??= b.input("ids", { dtype: "i32", dims: [batch, length] }));
  };
  for (const { step, pick, seed } of recipe.steps) {
    const next = random(seed);
    values.push(table[step]({ ...sizes, b, constants, values, pick, next, int: (n) => Math.floor(next() * n), ids }));
  }
  const last = values.at(-1) ?? 0;
  const other = values[recipe.seed % values.length] ?? 0;
  const outputs =
    recipe.seed % 3 === 0
      ? [
          { name: "y", value: last },
          { name: "z", value: other },
        ]
      : [{ name: "y", value: last }];
  return { module: { graph: b.finish(outputs), constants }, inputs, B, L };
}

function tensor(shape: readonly number[], next: () => number, of: (x: number) => number): Constant {
  return { shape, data: Float64Array.from({ length: shape.reduce((x, y) => x * y, 1) }, () => of(next())) };
}

/** A parameter with numbers in [-scale, scale). */
function param(s: Scene, dims: readonly Dim[], scale: number): ValueId {
  return paramOf(
    s,
    dims,
    tensor(
      dims.map((d) => Number(d.size)),
      s.next,
      (x) => scale * (2 * x - 1),
    ),
  );
}

function paramOf(s: Scene, dims: readonly Dim[], value: Constant): ValueId {
  const name = `p${s.constants.size}`;
  s.constants.set(name, value);
  return s.b.param(name, dims);
}

const widthOf = (s: Scene, x: ValueId): number => Number(s.b.typeOf(x).dims.at(-1)?.size);
const isSequenceValue = (s: Scene, x: ValueId): boolean => isSequence(s.b.typeOf(x));
/** One of the values; recent ones more often. */
const value = (s: Scene): ValueId => s.values.at(-1 - (s.pick % Math.min(s.values.length, 3))) ?? 0;
const sequence = (s: Scene): ValueId => [...s.values].reverse().filter((v) => isSequenceValue(s, v))[s.pick % 2] ?? 0;
/** Values one can meet x in a map: same dims. */
const fellows = (s: Scene, x: ValueId): ValueId[] =>
  s.values.filter((v) => v !== x && isSequenceValue(s, v) === isSequenceValue(s, x) && widthOf(s, v) === widthOf(s, x));
const channels = (n: number): Dim[] => [named("H", n)];

const poolKinds = ["mean", "max", "last", "first"] as const;

/** Every step gives one new value. */
const table: { readonly [K in Step]: (s: Scene) => ValueId } = {
  map: (s) => {
    const x = value(s);
    const args = [
      x,
      fellows(s, x)[s.int(8)] ?? x,
      s.int(2) === 0 ? param(s, channels(widthOf(s, x)), 1) : x,
      s.int(4) === 0 ? param(s, [], 1) : x,
    ];
    return s.b.map(bounded(s, randomExpr(s, 4, 3)), args);
  },
  activation: (s) => s.b.map(activations[s.int(activations.length)] ?? arg(0), [value(s)]),
  bias: (s) => {
    const x = value(s);
    const p = param(s, channels(widthOf(s, x)), 1);
    return s.b.map(call("add", arg(0), arg(1)), [x, s.int(2) === 0 ? p : s.b.map(call("exp", call("neg", arg(0))), [p])]);
  },
  residual: (s) => {
    const x = value(s);
    return s.b.map(call("add", arg(0), arg(1)), [x, fellows(s, x)[s.int(8)] ?? x]);
  },
  matmul: (s) => linear(s, value(s), 1 + s.int(s.maxH)),
  glu: (s) => {
    const parts = 2 + s.int(2);
    const width = 1 + s.int(s.maxH);
    let y = linear(s, value(s), parts * width);
    if (s.int(2) === 0) y = s.b.map(call("add", arg(0), arg(1)), [y, param(s, channels(parts * width), 1)]);
    const halves = Array.from({ length: parts }, (_, i) => s.b.slice(y, i * width, width));
    return s.b.map(call("mul", arg(0), call("sigmoid", arg(parts - 1))), halves);
  },
  gate: (s) => {
    const x = value(s);
    return s.b.map(call("mul", arg(0), call("sigmoid", arg(1))), [
      x,
      s.b.map(call("mul", arg(0), constant(2)), [fellows(s, x)[s.int(8)] ?? x]),
    ]);
  },
  norm: (s) => s.b.norm(value(s), s.int(2) === 0 ? "layer" : "rms", s.int(2) === 0 ? 0.1 : 1e-3),
  affine: (s) => {
    const x = s.b.norm(value(s), "layer", 0.1);
    return s.b.map(call("add", call("mul", arg(0), arg(1)), arg(2)), [
      x,
      param(s, channels(widthOf(s, x)), 1),
      param(s, channels(widthOf(s, x)), 1),
    ]);
  },
  pool: (s) => pool(s, sequence(s)),
  diagonal: (s) => diagonal(s, sequence(s)),
  dense: (s) => dense(s, sequence(s)),
  conv: (s) => {
    const x = sequence(s);
    return s.b.conv(x, param(s, [...channels(widthOf(s, x)), named("K", 1 + s.int(4))], 0.7));
  },
  embed: (s) => s.b.embed(s.ids(), param(s, [named("V", vocabulary), named("H", 1 + s.int(s.maxH))], 1)),
  slice: (s) => {
    const x = value(s);
    const start = s.int(widthOf(s, x));
    const step = 1 + s.int(2);
    return s.b.slice(x, start, 1 + s.int(Math.ceil((widthOf(s, x) - start) / step)), undefined, step);
  },
  tower: (s) => {
    const x = sequence(s);
    const [by, again] = packed(s.pick);
    const low = layer(s, s.b.pack(x, by, s.int(4) === 0 ? s.int(by) : undefined));
    const lowest = s.b.unpack(linear(s, layer(s, s.b.pack(low, again)), again * 2), again);
    if (s.int(6) === 0) return pool(s, low);
    const both = s.b.map(call("add", arg(0), arg(1)), [linear(s, low, 2), lowest]);
    return s.b.unpack(linear(s, layer(s, both), by * (1 + s.int(s.maxH))), by);
  },
  concat: (s) => {
    const x = value(s);
    const others = s.values.filter((v) => isSequenceValue(s, v) === isSequenceValue(s, x) && widthOf(s, v) <= s.maxH);
    const more = Array.from({ length: 1 + s.int(2) }, () => others[s.int(others.length)] ?? x);
    return s.b.concat(s.int(2) === 0 ? [x, ...more] : [...more, x]);
  },
  repeat: (s) => {
    const x = value(s);
    const blocks = [1, 2, widthOf(s, x)].filter((n) => widthOf(s, x) % n === 0);
    const y = s.b.repeat(x, blocks[s.int(blocks.length)] ?? 1, 1 + s.int(3));
    // Kept narrow; parts of what is repeated are read, too.
    return s.int(2) === 0 ? y : linear(s, y, 1 + s.int(s.maxH));
  },
  cumulate: (s) => {
    const x = s.b.map(bounded(s, randomExpr(s, 1, 2)), [sequence(s)]);
    return s.int(2) === 0 ? s.b.cumulate("sum", [x]) : s.b.cumulate("max-plus", [x, fellows(s, x)[s.int(8)] ?? x]);
  },
  rotate: (s) => {
    const size = 2 * (1 + s.int(2));
    const x = s.b.map(bounded(s, randomExpr(s, 1, 2)), [linear(s, sequence(s), 2 * size)]);
    const planes = 1 + s.int(size / 2);
    const angles = linear(s, sequence(s), planes * (1 + s.int(2)));
    return linear(s, s.b.rotate(x, angles, { size, planes, pairs: s.int(2) === 0 ? "neighbours" : "halves" }), 1 + s.int(s.maxH));
  },
  reverse: (s) => s.b.reverse(sequence(s)),
  lowpass: (s) => {
    const [by] = packed(s.pick);
    return s.b.unpack(linear(s, s.b.lowpass(sequence(s), by), by * (1 + s.int(s.maxH))), by);
  },
};

/** Of the last and the first step sometimes several. */
function pool(s: Scene, x: ValueId): ValueId {
  const kind = poolKinds[s.int(4)] ?? "mean";
  return s.b.pool(x, kind, undefined, kind === "last" || kind === "first" ? 1 + s.int(4) : 1);
}

/** A layer that keeps a state or sees one step, narrowed to few channels. */
function layer(s: Scene, x: ValueId): ValueId {
  const narrow = linear(s, x, 1 + s.int(s.maxH));
  const kind = s.int(4);
  if (kind === 0) return s.b.norm(narrow, "layer", 0.1);
  if (kind === 1) return s.b.conv(narrow, param(s, [...channels(widthOf(s, narrow)), named("K", 1 + s.int(4))], 0.7));
  return kind === 2 ? dense(s, narrow) : diagonal(s, narrow);
}

function linear(s: Scene, x: ValueId, width: number): ValueId {
  const k = widthOf(s, x);
  return s.b.matmul(x, param(s, [named("H", width), named("K", k)], 1.5 / Math.sqrt(k)));
}

function diagonal(s: Scene, x: ValueId): ValueId {
  const [h, n] = [widthOf(s, x), 1 + s.int(s.maxN)];
  const abar: number[] = [];
  const gain: number[] = [];
  for (let i = 0; i < h * n; i++) {
    const [radius, angle] = [1 - 10 ** (-3 * s.next()) * 0.9, Math.PI * s.next()];
    const size = (1 - radius) * (1 + s.next());
    abar.push(radius * Math.cos(angle), radius * Math.sin(angle));
    gain.push(size * (2 * s.next() - 1), size * (2 * s.next() - 1));
  }
  const dims = [named("H", h), named("N", n), named("c", 2)];
  const of = (data: number[]): ValueId => paramOf(s, dims, { shape: [h, n, 2], data: Float64Array.from(data) });
  return s.b.ssm({ stage: "discrete", structure: "diagonal", state: n }, [x, of(abar), of(gain), param(s, channels(h), 1)]);
}

function dense(s: Scene, x: ValueId): ValueId {
  const [h, n] = [widthOf(s, x), 1 + s.int(s.maxN)];
  const g = s.int(2) === 0 ? 1 : h;
  const abar = tensor([g, n, n], s.next, (v) => 2 * v - 1);
  for (let i = 0; i < g; i++) {
    const system = abar.data.subarray(i * n * n, (i + 1) * n * n);
    const norm = Math.hypot(...system);
    system.forEach((v, j) => (system[j] = (0.97 * v) / norm));
  }
  const [G, N] = [named("G", g), named("N", n)];
  return s.b.ssm({ stage: "discrete", structure: "dense", state: n }, [
    x,
    paramOf(s, [G, N, named("N2", n)], abar),
    param(s, [G, N], 1),
    param(s, [G, N], 0.5),
    param(s, [G], 1),
  ]);
}
