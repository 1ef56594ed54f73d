/** What S4 (normal plus low rank) costs: to compile, to make its kernels at load, and a step of it beside one of S4D. */
import { evaluatePlan } from "../src/codegen/plan-source.ts";
import { compileGraph, type Compiled } from "../src/compile.ts";
import { gelu, glu, layerNorm, linear, model, residual, s4, s4d, sequence, type Seq, type Tensor } from "../src/dsl/index.ts";
import { ownArity, type Constant, type Constants, type Graph } from "../src/ir/graph.ts";
import type { Plan } from "../src/runtime/plan.ts";
import { type AnyModel, loadPlan } from "../test/setup/execute.ts";
import { sharedDevice } from "../test/setup/shared-device.ts";
import type { Bench, Figure } from "./figure.ts";

const [L, H, N, LAYERS] = [16_384, 256, 64, 6];

const seconds = (since: number): number => (performance.now() - since) / 1000;
const s4Layer = <W extends number>(x: Tensor<Seq<W>>): Tensor<Seq<W>> => s4(x, { state: N, init: "legs" });

/** Pre-norm blocks of S4, GELU, GLU. */
const deep = () =>
  model("deep", { u: sequence(1) }, ({ u }) => {
    let x: Tensor<Seq<typeof H>> = linear(u, { width: H });
    for (let i = 0; i < LAYERS; i++) x = residual(x, (r) => glu(gelu(s4Layer(layerNorm(r))), { width: H }));
    return { y: x };
  });

/** A checkpoint's word that C is C (I - Abar^L) in every layer. */
const truncated = (graph: Graph): Constants =>
  new Map(
    graph.nodes.flatMap((node) =>
      node.op === "param" && node.name.endsWith("l_kernel") ? [[node.name, { shape: [], data: Float64Array.of(L) }]] : [],
    ),
  );

async function compileTime(): Promise<Figure[]> {
  const timed = async (what: string, constants: (graph: Graph) => Constants): Promise<Figure> => {
    const { graph } = deep();
    const start = performance.now();
    await compileGraph(graph, constants(graph), { maxLength: L });
    return { name: `compile ${LAYERS} layers, H = ${H}, N = ${N}, L = ${L}${what}`, value: seconds(start), unit: "s", atMost: 3 };
  };
  return [await timed("", () => new Map()), await timed(`, l_kernel = ${L}`, truncated)];
}

const load = async (compiled: Compiled): Promise<AnyModel> =>
  loadPlan(evaluatePlan(compiled.plan), compiled.shards, { device: await sharedDevice() });

/** The operands of the only state space model, by the names of its discrete form. */
function operands({ module: { graph, constants } }: Compiled): Record<"abar" | "p" | "q" | "bbar" | "c" | "d", Constant> {
  const node = graph.nodes.find((n) => n.op === "ssm");
  if (node?.op !== "ssm") throw new Error("no ssm");
  const values = node.args.slice(1, ownArity(node)).map((id) => {
    const param = graph.nodes[id];
    return param?.op === "param" ? constants.get(param.name) : undefined;
  });
  const [abar, p, q, bbar, c, d] = values;
  if (!abar || !p || !q || !bbar || !c || !d) throw new Error("not normal plus low rank");
  return { abar, p, q, bbar, c, d };
}

/** K `[H L]` by the recurrence in float64: what a page would do without tables. */
function kernelByRecurrence({ abar, p, q, bbar, c, d }: ReturnType<typeof operands>): Float64Array {
  const [channels = 0, rank = 0, n = 0] = p.shape;
  const K = new Float64Array(channels * L);
  for (let h = 0; h < channels; h++) {
    const part = ({ data }: Constant, ranks = 1): Float64Array => data.subarray(2 * h * ranks * n, 2 * (h + 1) * ranks * n);
    channelKernel(K.subarray(h * L, (h + 1) * L), part(abar), part(p, rank), part(q, rank), part(bbar).slice(), part(c));
    K[h * L] = (K[h * L] ?? NaN) + (d.data[h] ?? NaN);
  }
  return K;
}

/** `x` starts as Bbar. */
function channelKernel(K: Float64Array, a: Float64Array, p: Float64Array, q: Float64Array, x: Float64Array, c: Float64Array): void {
  const size = x.length;
  const sums = new Float64Array(p.length / size);
  for (let l = 0; l < K.length; l++) {
    K[l] = realProduct(c, 0, x);
    for (let r = 0; r < sums.length; r++) sums[r] = realProduct(q, r * size, x);
    for (let i = 0; i < size; i += 2) {
      const [re, im, ar, ai] = [x[i] ?? 0, x[i + 1] ?? 0, a[i] ?? 0, a[i + 1] ?? 0];
      x[i] = re * ar - im * ai;
      x[i + 1] = re * ai + im * ar;
    }
    for (let r = 0; r < sums.length; r++) for (let i = 0; i < size; i++) x[i] = (x[i] ?? 0) - (p[r * size + i] ?? 0) * (sums[r] ?? 0);
  }
}

/** Re(sum_n a_n x_n), `a` from `at`. */
function realProduct(a: Float64Array, at: number, x: Float64Array): number {
  let sum = 0;
  for (let i = 0; i < x.length; i += 2) sum += (a[at + i] ?? 0) * (x[i] ?? 0) - (a[at + i + 1] ?? 0) * (x[i + 1] ?? 0);
  return sum;
}

/** The plan without what follows its kernels in time: their spectra, and the convolution. */
function kernelsOnly(plan: Plan): Plan {
  const { convolution } = plan.whole;
  const prepare = convolution?.prepare.filter(({ kernel }) => plan.kernels[kernel]?.name === "ssm_kernel") ?? [];
  if (convolution === undefined || prepare.length !== 1) throw new Error("the plan makes its kernels in another way");
  return { ...plan, whole: { convolution: { ...convolution, prepare, body: [] } } };
}

async function kernelsAtLoad(): Promise<Figure[]> {
  const compiled = await compileGraph(model("kernels", { u: sequence(H) }, ({ u }) => ({ y: s4Layer(u) })).graph, new Map(), {
    maxLength: L,
    mode: "convolution",
  });
  const u = { data: new Float32Array(L * H).fill(1, 0, H), dims: [1, L, H] };
  const device = await sharedDevice();
  /** Seconds from a plan to its first results, without those of a second run; shaders are compiled once a device, which is not measured. */
  const firstRun = async (plan: Plan) => {
    const warm = await loadPlan(plan, compiled.shards, { device });
    await warm.run({ u }, { mode: "convolution" });
    warm.destroy();
    const start = performance.now();
    const loaded = await loadPlan(plan, compiled.shards, { device });
    const { y } = await loaded.run({ u }, { mode: "convolution" });
    const made = seconds(start);
    const again = performance.now();
    await loaded.run({ u }, { mode: "convolution" });
    const own = made - seconds(again);
    loaded.destroy();
    return { own, y };
  };
  const plan = evaluatePlan(compiled.plan);
  const { own } = await firstRun(kernelsOnly(plan));
  const { own: transformed, y } = await firstRun(plan);
  const system = operands(compiled);
  const baseline = performance.now();
  const K = kernelByRecurrence(system);
  const stepped = seconds(baseline);
  const scale = K.reduce((largest, v) => Math.max(largest, Math.abs(v)), 0);
  let error = 0;
  for (let h = 0; h < H; h++)
    for (let l = 0; l < L; l++) error = Math.max(error, Math.abs((y?.data[l * H + h] ?? NaN) - (K[h * L + l] ?? NaN)) / scale);
  return [
    { name: `kernels at load, H = ${H}, N = ${N}, L = ${L}`, value: own, unit: "s" },
    { name: "the same recurrence in JavaScript, float64", value: stepped, unit: "s" },
    { name: "of the recurrence's time", value: own / stepped, unit: "", atMost: 0.5 },
    { name: "kernels and their spectra at load", value: transformed, unit: "s" },
    { name: "impulse response, largest error of scale", value: error, unit: "", atMost: 1e-5 },
  ];
}

/** Seconds of one step of each model in recurrence mode, the best of several turns taken one after the other. */
async function stepTimes(models: readonly AnyModel[], width: number): Promise<number[]> {
  const [steps, turns] = [128, 15];
  const u = { data: new Float32Array(steps * width).fill(0.1), dims: [1, steps, width] };
  const best = models.map(() => Infinity);
  for (let turn = 0; turn < turns; turn++)
    for (const [i, m] of models.entries()) {
      const start = performance.now();
      await m.run({ u }, { mode: "recurrence" });
      best[i] = Math.min(best[i] ?? Infinity, seconds(start) / steps);
    }
  return best;
}

async function stepRatio(): Promise<Figure[]> {
  const width = 64;
  const layer = (kind: (u: Tensor<Seq<typeof width>>) => Tensor<Seq<typeof width>>) =>
    model("layer", { u: sequence(width) }, ({ u }) => ({ y: glu(gelu(kind(u)), { width }) }));
  const layers = [layer(s4Layer), layer((u) => s4d(u, { state: N }))];
  const compiled = await Promise.all(layers.map(({ graph }) => compileGraph(graph, new Map(), { maxLength: 128 })));
  const models = await Promise.all(compiled.map(load));
  const [dplr = NaN, diagonal = NaN] = await stepTimes(models, width);
  for (const m of models) m.destroy();
  return [
    { name: `a step of an S4 layer, H = ${width}, N = ${N}`, value: 1e3 * dplr, unit: "ms" },
    { name: "a step of an S4D layer of the same sizes", value: 1e3 * diagonal, unit: "ms" },
    { name: "S4 over S4D", value: dplr / diagonal, unit: "", atMost: 1.5 },
  ];
}

export const s4Costs: Bench = {
  name: "s4",
  doc: "S4: compile time, kernels made at load, a step beside S4D's",
  device: true,
  run: async () => [...(await compileTime()), ...(await kernelsAtLoad()), ...(await stepRatio())],
};
