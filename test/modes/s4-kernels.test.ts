/**
 * Golden kernels of 50 digits through the families `s4` and `s4-diagonal`: in float64 as INDEX.md of the golden data asks (1e-11 of the scale, long ones 1e-12),
 * on the device in float32 within 1e-5. Many systems are channels of one model, each with a step size of its own.
 * Scale is max |K| in every mode.
 */
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { compileGraph } from "../../src/compile.ts";
import { graphBuilder } from "../../src/ir/build.ts";
import type { Constant, Dim, SsmForm } from "../../src/ir/graph.ts";
import { interpret } from "../../src/ir/interpret.ts";
import { complex, type Complex } from "../../src/math/complex.ts";
import { bytesSource, openSafetensors } from "../../src/weights/safetensors.ts";
import { goldenCases, type GoldenComplex, toComplex } from "../math/golden.ts";
import { loadCompiled, toInputs } from "../setup/execute.ts";
import { sharedDevice } from "../setup/shared-device.ts";

/** One system of a half form, its step size, and its kernel. */
interface Row {
  readonly lambda: readonly Complex[];
  readonly P: readonly (readonly Complex[])[];
  readonly B: readonly Complex[];
  readonly C: readonly Complex[];
  readonly dt: number;
  readonly K: ArrayLike<number>;
}

/** The rows as the features of one layer, each with a system of its own; of what they lack, P has zeros. */
function parameters(rows: readonly Row[], dplr: boolean): ReadonlyMap<string, Constant> {
  const [S, n] = [rows.length, rows[0]?.lambda.length ?? 0];
  const rank = Math.max(1, ...rows.map((row) => row.P.length));
  const zeros = Array.from({ length: n }, () => complex(0));
  const tensor = (data: readonly number[], ...shape: readonly number[]): Constant => ({ shape, data: Float64Array.from(data) });
  const all = (f: (row: Row) => readonly Complex[]): number[] => flat(rows.flatMap(f));
  const P = Array.from({ length: rank }, (_, r) => all((row) => row.P[r] ?? zeros)).flat();
  return new Map([
    [
      "A_real",
      tensor(
        rows.flatMap((row) => row.lambda.map(({ re }) => -re)),
        S,
        n,
      ),
    ],
    [
      "A_imag",
      tensor(
        rows.flatMap((row) => row.lambda.map(({ im }) => -im)),
        S,
        n,
      ),
    ],
    [
      "B",
      tensor(
        all((row) => row.B),
        1,
        S,
        n,
        2,
      ),
    ],
    [
      "C",
      tensor(
        all((row) => row.C),
        1,
        S,
        n,
        2,
      ),
    ],
    ...(dplr ? ([["P", tensor(P, rank, S, n, 2)]] as const) : []),
    [
      "inv_dt",
      tensor(
        rows.map((row) => row.dt),
        S,
        1,
      ),
    ],
    ...(dplr ? ([["l_kernel", tensor([0])]] as const) : []),
    [
      "D",
      tensor(
        rows.map(() => 0),
        1,
        S,
      ),
    ],
  ]);
}
const flat = (z: readonly Complex[]): number[] => z.flatMap(({ re, im }) => [re, im]);

/** Each row's kernel as the layer's response to an impulse: the largest error in float64, and in each mode of the device. */
async function errors(rows: readonly Row[], rule: string): Promise<ReadonlyMap<string, number>> {
  const dplr = rows.some((row) => row.P.length > 0);
  const H = rows.length;
  const L = Math.max(...rows.map((row) => row.K.length));
  const constants = parameters(rows, dplr);
  const g = graphBuilder("kernels");
  const dims: Dim[] = [
    { name: "B", size: "B" },
    { name: "L", size: "L" },
    { name: "H", size: H },
  ];
  const x = g.input("x", { dtype: "f32", dims });
  const args = [...constants].map(([name, { shape }]) =>
    g.param(
      name,
      shape.map((size, i) => ({ name: `${name}${i}`, size })),
    ),
  );
  const form: SsmForm = {
    stage: "family",
    family: dplr ? "s4" : "s4-diagonal",
    discretization: rule,
    state: 2 * (rows[0]?.lambda.length ?? 0),
    options: { real_transform: "none", dt_transform: "none" },
  };
  const compiled = await compileGraph(g.finish([{ name: "y", value: g.ssm(form, [x, ...args]) }]), constants, {
    maxLength: Math.max(4096, L),
  });
  const inputs = new Map([["x", { shape: [1, L, H], data: new Float64Array(L * H).fill(1, 0, H) }]]);
  const worst = (y: ArrayLike<number>): number =>
    Math.max(...rows.map(({ K }, h) => largest(Array.from(K, (v, k) => (y[k * H + h] ?? NaN) - v)) / largest(Array.from(K))));
  const { outputs } = interpret(compiled.module.graph, compiled.module.constants, inputs);
  const found = new Map([["float64", worst(outputs.get("y")?.data ?? [])]]);
  const model = await loadCompiled(compiled, { device: await sharedDevice() });
  for (const mode of model.info.modes) {
    const { y } = await model.run(toInputs(compiled, inputs), { mode });
    found.set(mode, worst(y?.data ?? []));
  }
  return found;
}

/** The largest magnitude; infinite where one is no number. */
const largest = (values: readonly number[]): number =>
  values.reduce((most, v) => (Number.isNaN(v) ? Infinity : Math.max(most, Math.abs(v))), 0);

function check(found: ReadonlyMap<string, number>, float64: number): void {
  expect(found.size).toBeGreaterThan(1);
  for (const [where, error] of found) expect.soft(error, where).toBeLessThan(where === "float64" ? float64 : 1e-5);
}

interface Golden {
  readonly kind: "dplr" | "diag";
  readonly init: string;
  readonly N: number;
  readonly lambda: GoldenComplex;
  readonly P: GoldenComplex<number[][]>;
  readonly B: GoldenComplex;
  readonly C: GoldenComplex;
  readonly results: readonly { readonly dt: number; readonly method: string; readonly K: number[] }[];
}
const lowRank = (P: GoldenComplex<number[][]>): Complex[][] => P.re.map((re, r) => toComplex({ re, im: P.im[r] ?? [] }));

const files = ["kernels.json", "kernels_n32.json"] as const;
const groups = files.flatMap((file) => {
  const cases = goldenCases<Golden>(file);
  const kinds = new Set(cases.map((c) => `${c.kind} ${c.N}`));
  return [...kinds].flatMap((kind) =>
    (kind.startsWith("dplr") ? ["bilinear"] : ["bilinear", "zoh"]).map((rule) => {
      const rows = cases
        .filter((c) => `${c.kind} ${c.N}` === kind)
        .flatMap((c) =>
          c.results
            .filter((r) => r.method === rule)
            .map(({ dt, K }): Row => {
              return { lambda: toComplex(c.lambda), P: c.kind === "dplr" ? lowRank(c.P) : [], B: toComplex(c.B), C: toComplex(c.C), dt, K };
            }),
        );
      return [file, kind, rule, rows] as const;
    }),
  );
});

test.each(groups)("%s: %s states, %s", { timeout: 300_000 }, async (_file, _kind, rule, rows) => {
  expect(rows.length).toBeGreaterThan(1);
  check(await errors(rows, rule), 1e-11);
});

test("long kernels, to 4,096 steps and 64 states", { timeout: 300_000 }, async () => {
  const folder = new URL("../../../shared/golden/s4/", import.meta.url);
  const file = await openSafetensors(bytesSource(readFileSync(new URL("kernels_long.safetensors", folder)), "kernels_long"));
  const { cases } = JSON.parse(readFileSync(new URL("kernels_long.json", folder), "utf8")) as {
    readonly cases: Readonly<
      Record<string, { readonly kind: string; readonly N: number; readonly dt: number; readonly method: string; readonly L: number }>
    >;
  };
  const banks = new Map<string, Row[]>();
  for (const [i, { kind, N, dt, method, L }] of Object.entries(cases)) {
    const read = async (name: string): Promise<Complex[]> => {
      const data = await file.read(`${i}.${name}`);
      return Array.from({ length: data.length / 2 }, (_, k) => complex(data[2 * k] ?? NaN, data[2 * k + 1]));
    };
    const P = kind === "dplr" ? await read("P") : [];
    const row = {
      lambda: await read("lambda"),
      P: Array.from({ length: (2 * P.length) / N }, (_, r) => P.slice((r * N) / 2, ((r + 1) * N) / 2)),
      B: await read("B"),
      C: await read("C"),
      dt,
      K: await file.read(`${i}.K`),
    };
    expect(row.K.length).toBe(L);
    const key = `${kind} ${N} ${method}`;
    banks.set(key, [...(banks.get(key) ?? []), row]);
  }
  expect(banks.size).toBe(4);
  for (const [key, rows] of banks) check(await errors(rows, key.split(" ")[2] ?? ""), 1e-12);
});
