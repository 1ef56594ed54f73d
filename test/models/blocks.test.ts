/** The blocks of recurve/models with random weights, against the same in plain loops, in float64 and in every mode of the device. */
import { describe, expect, test } from "vitest";
import {
  concat,
  first,
  last,
  linear as linearLayer,
  lru as lruLayer,
  mean as meanOver,
  model,
  scope,
  sequence,
  silu,
} from "../../src/dsl/index.ts";
import { add as plus, complex, type Complex, div, expm1, mul, scale } from "../../src/math/complex.ts";
import { entry, identity, matrix, matrixOf, multiply } from "../../src/math/matrix.ts";
import { solve } from "../../src/math/solve.ts";
import {
  gssBlock,
  lruBlock,
  lsslBlock,
  residualBlock,
  s5Layer,
  sequenceDecoder,
  sequenceModel,
  type DecoderMode,
  type GatedActivation,
  type NormKind,
  type PoolKind,
  type ResidualKind,
  type Tier,
} from "../../src/models/index.ts";
import { expectMeaning, expectOnDevice, type Case } from "./golden.ts";
import {
  batchNorm,
  blockCase,
  exp,
  gelu,
  geluTanh,
  layerNorm,
  linear,
  map,
  product,
  recurrence,
  scalarNorm,
  sigmoid,
  sum,
  zip,
  type Rows,
  type Weights,
} from "./oracle.ts";

const H = 4;
const all = ["convolution", "recurrence", "scan"];
/** Without a state space model whole sequences run in one way. */
const one = ["convolution", "recurrence"];

const pair = (w: Weights, name: string, i: number): Complex => complex(w.at(name, 2 * i), w.at(name, 2 * i + 1));

/** S5 under zoh, of P stored states. */
function s5(w: Weights, name: string, x: Rows, P: number): Rows {
  const lambda = Array.from({ length: P }, (_, p) => complex(w.at(`${name}.Lambda_re`, p), w.at(`${name}.Lambda_im`, p)));
  const z = lambda.map((l, p) => scale(l, Math.exp(w.at(`${name}.log_step`, p))));
  const factor = z.map((zp, p) => div(expm1(zp), lambda[p] ?? zp));
  return recurrence(
    x,
    z.map(exp),
    (p, h) => mul(factor[p] ?? complex(Number.NaN), pair(w, `${name}.B`, p * H + h)),
    (h, p) => scale(pair(w, `${name}.C`, h * P + p), 2),
    (h) => w.at(`${name}.D`, h),
  );
}

function lru(w: Weights, name: string, x: Rows, N: number): Rows {
  const width = x[0]?.length ?? 0;
  const lambda = Array.from({ length: N }, (_, n) =>
    exp(complex(-Math.exp(w.at(`${name}.nu_log`, n)), Math.exp(w.at(`${name}.theta_log`, n)))),
  );
  return recurrence(
    x,
    lambda,
    (n, h) =>
      scale(complex(w.at(`${name}.B_re`, n * width + h), w.at(`${name}.B_im`, n * width + h)), Math.exp(w.at(`${name}.gamma_log`, n))),
    (h, n) => complex(w.at(`${name}.C_re`, h * N + n), w.at(`${name}.C_im`, h * N + n)),
    (h) => w.at(`${name}.D`, h),
  );
}

const gates: Readonly<Record<GatedActivation, (w: Weights, y: Rows) => Rows>> = {
  full_glu: (w, y) => product(linear(w, "out1", map(y, geluTanh)), map(linear(w, "out2", map(y, geluTanh)), sigmoid)),
  half_glu1: (w, y) => product(map(y, geluTanh), map(linear(w, "out2", map(y, geluTanh)), sigmoid)),
  half_glu2: (w, y) => product(y, map(linear(w, "out2", map(y, geluTanh)), sigmoid)),
  gelu: (_, y) => map(y, geluTanh),
};

const s5Cases = (Object.keys(gates) as GatedActivation[]).map((activation, i): [string, Case] => {
  const [prenorm, batch] = [i % 2 === 0, i >= 2];
  const norm = (w: Weights, x: Rows): Rows => (batch ? batchNorm(w, "norm", x) : layerNorm(w, "norm", x, 1e-6));
  const block = blockCase(
    H,
    (x) => s5Layer(x, { state: 6, activation, prenorm, norm: batch ? "batch" : "layer", delta: [0.01, 0.3] }),
    (w, x) => {
      const y = gates[activation](w, s5(w, "seq", prenorm ? norm(w, x) : x, 3));
      return prenorm ? sum(x, y) : norm(w, sum(x, y));
    },
  );
  return [`s5Layer ${activation}, ${prenorm ? "pre" : "post"}-norm, ${batch ? "batch" : "layer"} norm`, block];
});

const lruCase = blockCase(
  H,
  (x) => lruBlock(x, { state: 5, radius: [0.3, 0.9], prenorm: true }),
  (w, x) => sum(x, gates.full_glu(w, lru(w, "seq", batchNorm(w, "normalization", x), 5))),
);

const gssCase = blockCase(
  H,
  (x) => gssBlock(x, { state: 6, hidden: 5, inner: 3 }),
  (w, x) => {
    const n = layerNorm(w, "norm", x);
    const u = map(linear(w, "to_u.0", n, false), gelu);
    const v = layerNorm(w, "dss.norm", map(linear(w, "to_v.0", n, false), gelu));
    const poles = Array.from({ length: 6 }, (_, k) => complex(-Math.exp(w.at("dss.Lambda_real", k)), Math.exp(w.at("dss.Lambda_imag", k))));
    const inner = v[0]?.length ?? 0;
    const channels = Array.from({ length: inner }, (_, h) =>
      recurrence(
        v.map((row) => [row[h] ?? Number.NaN]),
        poles.map(exp),
        (k) => div(expm1(poles[k] ?? complex(0)), poles[k] ?? complex(0)),
        (_c, k) => complex(w.at("dss.C_real", h * 6 + k), w.at("dss.C_imag", h * 6 + k)),
        () => w.at("dss.param_D", h),
      ),
    );
    const y = map(v, (_v, h, t) => channels[h]?.[t]?.[0] ?? Number.NaN);
    return sum(x, linear(w, "to_out", product(linear(w, "to_gate", y, false), u)));
  },
);

const [N, M] = [4, 2];
/** LSSL with T bidiagonal as LegS, all numbers a little off. */
const lsslCase = blockCase(
  H,
  (x) => lsslBlock(x, { state: N, channels: M, activation: "tanh", delta: [0.02, 0.2] }),
  (w, x) => {
    const tri = (i: number, j: number): number =>
      i === j ? w.at("transition.d", i) : j === i - 1 ? w.at("transition.dl", i) : j === i + 1 ? w.at("transition.du", j) : 0;
    const inverse = solve(matrix(N, N, tri), identity(N)) ?? identity(N);
    const A = matrix(
      N,
      N,
      (i, j) => -w.at("transition.pl", i) * (entry(inverse, i, j) + (i === j ? w.at("transition.c", i) : 0)) * w.at("transition.pr", j),
    );
    const y = x.map((): number[] => []);
    for (let h = 0; h < H; h++) {
      const half = Math.exp(w.at("log_dt", h)) / 2;
      const part = (sign: number) => matrix(N, N, (i, j) => (i === j ? 1 : 0) + sign * half * entry(A, i, j));
      const abar = solve(part(-1), part(1)) ?? A;
      const bbar =
        solve(
          part(-1),
          matrix(N, 1, (n) => 2 * half * w.at("transition.pl", n) * w.at("transition.b", n)),
        ) ?? A;
      let state = matrixOf(N, 1, new Float64Array(N));
      for (const [t, row] of x.entries()) {
        const moved = multiply(abar, state);
        state = matrix(N, 1, (n) => entry(moved, n, 0) + entry(bbar, n, 0) * (row[h] ?? Number.NaN));
        for (let m = 0; m < M; m++) {
          const read = state.data.reduce((total, v, n) => total + v * w.at("C", (h * M + m) * N + n), 0);
          y[t]?.push(Math.tanh(read + w.at("D", h * M + m) * (row[h] ?? Number.NaN)));
        }
      }
    }
    return linear(w, "output_linear", y);
  },
);

/** The layer of the backbone's cases, and its oracle: a linear map and SiLU. */
const mixed = (w: Weights, name: string, x: Rows): Rows => map(linear(w, `${name}.mix`, x), (v) => v * sigmoid(v));
const norms: Readonly<Record<NormKind, (w: Weights, name: string, x: Rows) => Rows>> = {
  layer: layerNorm,
  batch: batchNorm,
  scalar: scalarNorm,
  none: (_w, _name, x) => x,
};
const joins: Readonly<Record<ResidualKind, (w: Weights, name: string, x: Rows, y: Rows, i: number) => Rows>> = {
  residual: (_w, _name, x, y) => sum(x, y),
  affine: (w, name, x, y) => zip(x, y, (a, b) => a + w.at(`${name}.affine`, 0) * b),
  decay: (_w, _name, x, y, i) => zip(x, y, (a, b) => Math.sqrt(1 - 1 / i) * a + b / Math.sqrt(i)),
  highway: (w, name, x, y) => {
    const r = map(sum(linear(w, `${name}.Wx`, x), linear(w, `${name}.Wy`, y)), sigmoid);
    return sum(
      product(
        map(r, (v) => 1 - v),
        x,
      ),
      product(r, y),
    );
  },
  none: (_w, _name, _x, y) => y,
};

const backboneCases = (
  [
    ["layer", true, "residual"],
    ["scalar", true, "affine"],
    ["batch", false, "decay"],
    ["scalar", false, "highway"],
    ["none", true, "none"],
  ] as const
).map(([norm, prenorm, residual]): [string, Case] => [
  `sequenceModel, ${prenorm ? "pre" : "post"}-norm ${norm}, ${residual}`,
  blockCase(
    H,
    (x) => sequenceModel(x, { layers: 2, norm, prenorm, residual, layer: (z) => silu(linearLayer(z, { width: z.shape.H, name: "mix" })) }),
    (w, x) => {
      let y = x;
      for (let i = 0; i < 2; i++) {
        const name = `layers.${i}`;
        const z = prenorm ? norms[norm](w, `${name}.norm.norm`, y) : y;
        const joined = joins[residual](w, `${name}.residual`, y, mixed(w, `${name}.layer`, z), i + 1);
        y = prenorm ? joined : norms[norm](w, `${name}.norm.norm`, joined);
      }
      return prenorm ? norms[norm](w, "norm.norm", y) : y;
    },
  ),
]);

/** The means of blocks of so many steps. */
const means = (x: Rows, by: number): Rows =>
  stepsOf(x, by).map((_, t) => (x[0] ?? []).map((_v, h) => mean(x.slice(by * t, by * (t + 1)).map((row) => row[h] ?? Number.NaN))));
const mean = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0) / values.length;
const stepsOf = (x: Rows, by: number): Rows => x.filter((_, t) => t % by === 0);
const poolings: Readonly<Record<PoolKind, (w: Weights, name: string, x: Rows, by: number, expand: number | undefined) => Rows>> = {
  sample: (_w, _name, x, by, expand = 1) => stepsOf(x, by).map((row) => row.flatMap((v) => Array.from({ length: expand }, () => v))),
  average: (w, name, x, by, expand) => (expand === undefined ? means(x, by) : linear(w, `${name}.linear`, means(x, by))),
  linear: (w, name, x, by) => {
    const packed = stepsOf(x, by).map((row, t) =>
      row.flatMap((_, h) => x.slice(by * t, by * (t + 1)).map((step) => step[h] ?? Number.NaN)),
    );
    return linear(w, `${name}.linear`, packed);
  },
  spectral: (_w, _name, x, by, expand = 1) => lowest(x, by).map((row) => row.flatMap((v) => Array.from({ length: expand }, () => v))),
};

/** e^{2 pi i turns} */
const turned = (turns: number): Complex => exp(complex(0, 2 * Math.PI * turns));
/** The lowest 1/by of the frequencies: forward transform, the bins that are kept, inverse transform, real part. */
function lowest(x: Rows, by: number): Rows {
  const [L, n] = [x.length, x.length / by];
  const bins = Array.from({ length: n }, (_, j) => j - Math.floor(n / 2));
  const spectrum = bins.map((k) =>
    (x[0] ?? []).map((_, h) => x.reduce((s, row, l) => plus(s, scale(turned(-((k * l) % L) / L), row[h] ?? Number.NaN)), complex(0))),
  );
  return Array.from({ length: n }, (_, m) =>
    (x[0] ?? []).map(
      (_v, h) => bins.reduce((s, k, j) => s + mul(spectrum[j]?.[h] ?? complex(Number.NaN), turned(((k * m) % n) / n)).re, 0) / L,
    ),
  );
}

/** Both ends and the mean of what is left of a sequence, so that a case has an output without its rate. */
const ends = (y: Tier) => concat(first(y), last(y), meanOver(y));

const pooledCases = (
  [
    [{ kind: "sample", by: 2 }, 2, true, 1],
    [{ kind: "sample", by: 3, expand: 2 }, 1, false, 1],
    [{ kind: "average", by: 2 }, 2, false, 1],
    [{ kind: "average", by: 2, expand: 2 }, 1, true, 2],
    [{ kind: "linear", by: 2, expand: 2 }, 2, true, 1],
    [{ kind: "spectral", by: 2 }, 2, true, 1],
    [{ kind: "spectral", by: 8, expand: 2 }, 1, false, 1],
  ] as const
).map(([pool, layers, prenorm, repeat]): [string, Case, readonly string[]] => [
  `sequenceModel, ${pool.kind} of ${pool.by} ${"expand" in pool ? "to more channels " : ""}behind every ${repeat} of ${layers * repeat} blocks`,
  blockCase(
    H,
    (x) =>
      ends(sequenceModel(x, { layers, repeat, prenorm, pool, layer: (z) => lruLayer(z, { state: 3, radius: [0.3, 0.9], name: "lru" }) })),
    (w, x) => {
      let y = x;
      for (let i = 0; i < layers * repeat; i++) {
        const name = `layers.${i}`;
        const z = prenorm ? layerNorm(w, `${name}.norm.norm`, y) : y;
        const joined = sum(y, lru(w, `${name}.layer.lru`, z, 3));
        y = prenorm ? joined : layerNorm(w, `${name}.norm.norm`, joined);
        if ((i + 1) % repeat === 0) y = poolings[pool.kind](w, `${name}.pool`, y, pool.by, "expand" in pool ? pool.expand : undefined);
      }
      if (prenorm) y = layerNorm(w, "norm.norm", y);
      return [[...(y[0] ?? []), ...(y.at(-1) ?? []), ...(means(y, y.length)[0] ?? [])]];
    },
  ),
  pool.kind === "spectral" ? ["convolution", "scan"] : all,
]);

const bothWays = blockCase(
  H,
  (x) => {
    const layer = (z: typeof x): typeof x => silu(linearLayer(z, { width: z.shape.H, name: "mix" }));
    return residualBlock(x, { layer, reverseLayer: layer });
  },
  (w, x) => {
    const z = layerNorm(w, "norm.norm", x);
    const [there, back] = [mixed(w, "layer", z), mixed(w, "reverse_layer", z)];
    const both = there.map((row, t) => [...row, ...(back[t] ?? [])]);
    return sum(x, linear(w, "bidirectional_linear", both));
  },
);

const decoders = (
  [
    ["last", (x: Rows) => x.at(-1)],
    ["first", (x: Rows) => x[0]],
    ["pool", (x: Rows) => x[0]?.map((_, h) => x.reduce((total, row) => total + (row[h] ?? 0), 0) / x.length)],
    ["sum", (x: Rows) => x[0]?.map((_, h) => x.reduce((total, row) => total + (row[h] ?? 0), 0))],
  ] as const
).map(([mode, restrict]): [string, Case] => [
  `sequenceDecoder ${mode}`,
  blockCase(
    H,
    (x) => sequenceDecoder(x, { outputs: 3, mode }),
    (w, x) => linear(w, "output_transform", [restrict(x) ?? []]),
  ),
]);

/** What each mode makes of the steps up to t. */
const upTo: Readonly<Record<DecoderMode, (x: Rows, t: number) => readonly number[]>> = {
  last: (x, t) => x[t] ?? [],
  first: (x, t) => x[t] ?? [],
  pool: (x, t) => means(x.slice(0, t + 1), t + 1)[0] ?? [],
  sum: (x, t) => (means(x.slice(0, t + 1), t + 1)[0] ?? []).map((v) => v * (t + 1)),
};

const manyDecoders = (Object.keys(upTo) as DecoderMode[]).map((mode): [string, Case, readonly string[]] => [
  `sequenceDecoder ${mode} of several steps`,
  blockCase(
    H,
    (x) => sequenceDecoder(x, { outputs: 3, mode, steps: 5 }),
    (w, x) => [
      linear(
        w,
        "output_transform",
        [0, 1, 2, 3, 4].map((i) => upTo[mode](x, mode === "first" ? i : x.length - 5 + i)),
      ).flat(),
    ],
  ),
  // Means up to each step are a memory of its own kind, which alone has no convolution.
  { last: one, first: one, sum: all, pool: ["recurrence", "scan"] }[mode],
]);

const cases: readonly (readonly [string, Case, readonly string[]])[] = [
  ...s5Cases.map(([name, c]) => [name, c, all] as const),
  ["lruBlock", lruCase, all],
  ["gssBlock", gssCase, all],
  ["lsslBlock", lsslCase, ["convolution", "recurrence"]],
  ...backboneCases.map(([name, c]) => [name, c, one] as const),
  ...pooledCases,
  ["residualBlock of two layers", bothWays, one],
  ...manyDecoders,
  ...decoders.map(([name, c], i) => [name, c, i === 3 ? all : one] as const),
];

describe.each(cases)("%s", (_name, c, modes) => {
  test("is its oracle's in float64", () => expectMeaning(c, 1e-12));
  test("is within 1e-5 of it on the device, in every mode", () => expectOnDevice(c, 1e-5, modes));
});

test("a block's name stands before those of its parameters", () => {
  const { graph } = model("m", { u: sequence(H) }, ({ u }) => ({ y: scope("a", () => s5Layer(u, { name: "b", activation: "gelu" })) }));
  const names = graph.nodes.flatMap((n) => (n.op === "param" ? [n.name] : []));
  expect(names.every((name) => name.startsWith("a.b."))).toBe(true);
});
