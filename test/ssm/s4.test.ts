/** The family `s4`: golden blocks of the published layer in float64, whole, from a state, step by step, at other rates. */
import { describe, expect, test } from "vitest";
import type { Constant, Constants, Graph, SsmNode } from "../../src/ir/graph.ts";
import { bug } from "../../src/ir/error.ts";
import { emptyState, type GraphState, interpret } from "../../src/ir/interpret.ts";
import { complex, type Complex, complexAt, div, mul, setComplex } from "../../src/math/complex.ts";
import { discretize } from "../../src/passes/discretize.ts";
import { init } from "../../src/passes/init.ts";
import { structure } from "../../src/passes/structure.ts";
import { discretizationNamed } from "../../src/ssm/discretizations.ts";
import { discretizeSystem } from "../../src/ssm/discretize.ts";
import { goldenCases, type GoldenComplex, relativeError, toComplex } from "../math/golden.ts";
import { dplr, runDplr } from "./runs.ts";
import { type GoldenBlock, goldenBlock } from "./s4-block.ts";

const context = { seed: 1, note: () => undefined, warn: (message: string) => expect.fail(message) };
/** The discrete model at a rate. */
const discretized = ({ graph, constants }: GoldenBlock, rate = 1): { graph: Graph; constants: Constants } => {
  const at = { ...context, rate };
  return discretize.run(structure.run(init.run({ graph, constants }, at), at), at);
};

interface Run {
  readonly y: Float64Array;
  readonly state: GraphState;
}
function run(module: Module, x: Constant, state = emptyState): Run {
  const { outputs, state: after } = interpret(module.graph, module.constants, new Map([["x", x]]), { state });
  return { y: outputs.get("y")?.data ?? new Float64Array(), state: after };
}

type Module = { readonly graph: Graph; readonly constants: Constants };

/** The one ssm node of a discrete model: where its state is kept, and what that must be multiplied by to be the reference's. */
function theSsm(discrete: Module, block: GoldenBlock): { id: number; factor: (h: number, n: number) => Complex } {
  const isSsm = (node: Graph["nodes"][number]): node is SsmNode => node.op === "ssm";
  const id = discrete.graph.nodes.findIndex(isSsm);
  const { graph, constants } = structure.run(init.run(block, context), context);
  const { form, args } = graph.nodes.find(isSsm) ?? bug("no ssm");
  if (form.stage !== "continuous") return bug("not continuous");
  if (form.structure === "dplr") return { id, factor: () => complex(1) };
  /** The state of a diagonal system receives u itself, the reference's Bbar times it. */
  const [A, B, , , delta] = args.slice(1).map((arg) => {
    const param = graph.nodes[arg];
    return constants.get(param?.op === "param" ? param.name : "")?.data ?? bug("no constant");
  });
  const rule = discretizationNamed(form.discretization);
  const factor = (i: number): Complex =>
    mul(rule.scalar(complexAt(A ?? bug("no A"), i), delta?.[i] ?? NaN).bbar, complexAt(B ?? bug("no B"), i));
  return { id, factor: (h, n) => factor(h * form.state + n) };
}

/** Our state of the ssm node from the reference's `[B H N c]`, which all outputs of a feature share; or back. */
function convert(block: GoldenBlock, module: Module, from: Constant, back?: Float64Array): Float64Array {
  const { factor } = theSsm(module, block);
  const [B = 0, G = 0, N = 0] = from.shape;
  const H = G * ((block.config.channels ?? 1) * (block.config.activation === "glu" ? 2 : 1));
  const result = new Float64Array(back === undefined ? B * 2 * N * H : 2 * B * G * N);
  for (let b = 0; b < B; b++)
    for (let h = 0; h < (back === undefined ? H : G); h++)
      for (let n = 0; n < N; n++) {
        const ours = (part: 0 | 1): number => (b * 2 * N + 2 * n + part) * H + h;
        const i = (b * G + (h % G)) * N + n;
        if (back === undefined) {
          const z = div(complexAt(from.data, i), factor(h, n));
          result[ours(0)] = z.re;
          result[ours(1)] = z.im;
        } else setComplex(result, i, mul({ re: back[ours(0)] ?? NaN, im: back[ours(1)] ?? NaN }, factor(h, n)));
      }
  return result;
}

/**
 * The reference's own float64 differs by this much from the exact answer. INDEX.md: Fourier cases lose digits in its states
 * (1e-8), and DSS goes through float32 (1e-6).
 */
const tolerances: Readonly<Record<string, number>> = { block_diag_dss: 1e-6, block_dplr_fout_ch2: 1e-8 };

describe.each([
  "block_diag_bandlimit",
  "block_diag_dss",
  "block_diag_inv_bilinear_nssm",
  "block_diag_legs_bidir",
  "block_diag_lin_zoh",
  "block_diag_real_softplus",
  "block_dplr_fout_ch2",
  "block_dplr_glu_mix",
  "block_dplr_hippo_bidir",
  "block_dplr_legs",
  "block_dplr_legs_ctilde",
  "block_dplr_legt_rank2",
])("%s", (name) => {
  const tolerance = tolerances[name] ?? 1e-11;

  test("gives the reference's outputs, whole and step by step, and its last state", async () => {
    const block = await goldenBlock(name);
    const module = discretized(block);
    const x = await block.read("x");
    const { y, state } = run(module, x);
    expect(relativeError(y, (await block.read("y")).data)).toBeLessThan(tolerance);
    if (!block.names.has("y_step")) return;
    expect(relativeError(y, (await block.read("y_step")).data)).toBeLessThan(tolerance);
    const final = await block.read("state_final");
    const ours = state.nodes.get(theSsm(module, block).id) ?? bug("no state");
    expect(relativeError(convert(block, module, final, ours), final.data)).toBeLessThan(tolerance);
  });

  test("continues from a state, to a state", async () => {
    const block = await goldenBlock(name);
    if (!block.names.has("state0")) return;
    const module = discretized(block);
    const { id } = theSsm(module, block);
    const start = convert(block, module, await block.read("state0"));
    const { y, state } = run(module, await block.read("x"), { position: 0, nodes: new Map([[id, start]]) });
    expect(relativeError(y, (await block.read("y_state0")).data)).toBeLessThan(tolerance);
    const final = await block.read("state1");
    expect(relativeError(convert(block, module, final, state.nodes.get(id)), final.data)).toBeLessThan(tolerance);
  });

  test("gives the exact outputs at other rates and lengths, cut off after l_max steps", async () => {
    const block = await goldenBlock(name, "cut");
    for (const tensor of block.names) {
      const rate = /^y_rate_(.*)_exact$/.exec(tensor)?.[1];
      const length = /^y_L(\d+)$/.exec(tensor)?.[1];
      if (rate === undefined && length === undefined) continue;
      const x = await block.read(length === undefined ? "x" : `x_L${length}`);
      const { y } = run(discretized(block, Number(rate ?? 1)), x);
      expect(relativeError(y, (await block.read(tensor)).data), tensor).toBeLessThan(tolerance);
    }
  });
});

interface Sequences {
  readonly kind: "dplr" | "diag";
  readonly init: string;
  readonly N: number;
  readonly lambda: GoldenComplex;
  readonly P: GoldenComplex<number[][]>;
  readonly B: GoldenComplex;
  readonly C: GoldenComplex<number[][]>;
  readonly D: number[];
  readonly u: number[];
  readonly x0: GoldenComplex;
  readonly results: readonly {
    readonly dt: number;
    readonly method: string;
    readonly y_zero: number[][];
    readonly xL_zero: GoldenComplex;
    readonly y_x0: number[][];
    readonly xL_x0: GoldenComplex;
  }[];
}

describe("golden sequences of normal plus low rank, from zero and from a state, to 1e-11 of their scale", () => {
  const cases = goldenCases<Sequences>("seq.json").filter((c) => c.kind === "dplr");
  test.each(cases.map((c) => [`${c.init} N=${c.N}`, c] as const))("%s", (_, c) => {
    const rows = (z: GoldenComplex<number[][]>): Complex[][] => z.re.map((re, r) => toComplex({ re, im: z.im[r] ?? [] }));
    const x0 = Float64Array.from(toComplex(c.x0).flatMap(({ re, im }) => [re, im]));
    const results = c.results.filter((r) => r.method === "bilinear");
    expect(results.length).toBeGreaterThan(0);
    for (const r of results) {
      const runs = rows(c.C).map((row, p) => {
        const system = { ...dplr(toComplex(c.lambda), rows(c.P), toComplex(c.B), row, r.dt), D: Float64Array.of(c.D[p] ?? NaN) };
        const discrete = discretizeSystem(system, discretizationNamed(r.method));
        if (discrete.structure !== "dplr") return bug("not O(N R)");
        return [runDplr(discrete, 0, c.u), runDplr(discrete, 0, c.u, x0)] as const;
      });
      runs.forEach(([zero, from], p) => {
        expect(relativeError(zero.y, r.y_zero[p] ?? [])).toBeLessThan(1e-11);
        expect(relativeError(from.y, r.y_x0[p] ?? [])).toBeLessThan(1e-11);
        const state = (z: GoldenComplex): number[] => toComplex(z).flatMap(({ re, im }) => [re, im]);
        expect(relativeError(zero.state, state(r.xL_zero))).toBeLessThan(1e-11);
        expect(relativeError(from.state, state(r.xL_x0))).toBeLessThan(1e-11);
      });
    }
  });
});
