/** LSSL, DSS and the model inside GSS: each against its kernel as the papers write it, in float64 and on the device. */
import { describe, expect, test } from "vitest";
import { dss, gssSsm, lssl, model, sequence, type DssOptions, type Seq, type Tensor } from "../../src/dsl/index.ts";
import type { Constant, Constants } from "../../src/ir/graph.ts";
import { complex, type Complex, add, complexAt, div, exp, expm1, mul, scale } from "../../src/math/complex.ts";
import { entry, identity, type Matrix, matrix, matrixOf, multiply } from "../../src/math/matrix.ts";
import { random } from "../../src/math/random.ts";
import { solve } from "../../src/math/solve.ts";
import { init } from "../../src/passes/init.ts";
import { basisOf } from "../../src/ssm/bases.ts";
import { bilinear } from "../../src/ssm/discretizations/bilinear.ts";
import { lssl as lsslFamily } from "../../src/ssm/families/lssl.ts";
import type { DenseSystem } from "../../src/ssm/system.ts";
import { relativeError } from "../math/golden.ts";
import { expectMeaning, expectOnDevice, type Case } from "../models/golden.ts";

const [H, N, L] = [3, 6, 40];
const modes = ["convolution", "recurrence", "scan"];

/** y = K * u + D u on every channel; `kernel` gives K of output channel o, which reads input channel `from(o)`. */
function convolved(
  u: Float64Array,
  width: number,
  from: (o: number) => number,
  kernel: (o: number) => readonly number[],
  D: Float64Array,
): Constant {
  const data = new Float64Array(L * width);
  for (let o = 0; o < width; o++) {
    const K = kernel(o);
    const at = (t: number): number => u[t * H + from(o)] ?? NaN;
    for (let t = 0; t < L; t++) {
      let sum = (D[o] ?? NaN) * at(t);
      for (let k = 0; k <= t; k++) sum += (K[k] ?? NaN) * at(t - k);
      data[t * width + o] = sum;
    }
  }
  return { shape: [1, L, width], data };
}

type Layer = (x: Tensor<Seq<number>>) => Tensor<Seq<number>>;

/** A layer from its starting values, some of them changed, against what `oracle` makes of them. */
function caseOf(layer: Layer, given: Record<string, Constant>, oracle: (constants: Constants, u: Float64Array) => Constant): Case {
  const { graph } = model("m", { u: sequence(H) }, ({ u }) => ({ y: layer(u) }));
  const started = init.run({ graph, constants: new Map(Object.entries(given)) }, { seed: 3, note: () => undefined, warn: () => undefined });
  const { normal } = random(3, "u");
  const u = Float64Array.from({ length: L * H }, normal);
  return {
    graph,
    constants: started.constants,
    inputs: new Map([["u", { shape: [1, L, H], data: u }]]),
    outputs: new Map([["y", oracle(started.constants, u)]]),
  };
}

const dataOf = (constants: Constants, name: string): Float64Array => constants.get(name)?.data ?? new Float64Array();
const steps = Array.from({ length: L }, (_, k) => k);
const real = (terms: readonly Complex[]): number => terms.reduce((sum, z) => sum + z.re, 0);

/** z_n = lambda_n delta of channel h, the parts of lambda by their own step sizes where there are two. */
function dssSteps(constants: Constants, lambda: (n: number) => Complex, h: number): Complex[] {
  const log = dataOf(constants, "kernel.log_dt");
  const [re, im] = log.length === H ? [h, h] : [2 * h, 2 * h + 1];
  return Array.from({ length: N }, (_, n) => complex(lambda(n).re * Math.exp(log[re] ?? NaN), lambda(n).im * Math.exp(log[im] ?? NaN)));
}

function dssCase(options: DssOptions, given: Record<string, Constant>): Case {
  const layer: Layer = (x) => dss(x, { state: N, name: "", delta: [0.02, 0.3], ...options });
  return caseOf(layer, given, (constants, u) => {
    const lambda = (n: number): Complex =>
      options.softmax === undefined
        ? complex(-Math.exp(dataOf(constants, "kernel.Lambda_log_neg_re")[n] ?? NaN), dataOf(constants, "kernel.Lambda_im")[n])
        : complexAt(dataOf(constants, "kernel.Lambda"), n);
    const kernel = (h: number): number[] => {
      const z = dssSteps(constants, lambda, h);
      const weight = z.map((zn, n) => {
        const W = div(complexAt(dataOf(constants, "kernel.W"), h * N + n), lambda(n));
        if (options.softmax === undefined) return mul(W, expm1(zn));
        const sum = steps.map((k) => exp(scale(zn, k))).reduce(add);
        return div(W, sum);
      });
      return steps.map((k) => real(z.map((zn, n) => mul(weight[n] ?? complex(NaN), exp(scale(zn, k))))));
    };
    return convolved(u, H, (o) => o, kernel, dataOf(constants, "D"));
  });
}

const tensor = (data: readonly number[], ...shape: number[]): Constant => ({ shape, data: Float64Array.from(data) });
const apart = tensor([-2, -1, -3, -4, -1.5, -1.2], H, 2);
const growing = tensor([-0.5, 1, 0.1, 3, -0.2, -2, 0.05, 0, -1, 4, -0.3, 7], N, 2);

describe.each([
  ["exponential", dssCase({}, { "kernel.log_dt": apart })],
  ["exponential with one step size", dssCase({ separateSteps: false }, {})],
  ["softmax", dssCase({ softmax: L }, { "kernel.log_dt": apart })],
])("dss %s", (_name, c) => {
  test("has the kernel of its paper in float64", () => expectMeaning(c, 1e-12));
  test("is within 1e-5 of it on the device", () => expectOnDevice(c, 1e-5, modes));
});

test("the softmax form is exact for poles that grow", () => {
  const c = dssCase({ softmax: L }, { "kernel.log_dt": apart, "kernel.Lambda": growing });
  expectMeaning(c, 1e-12, /pole .* is unstable/);
});

test("dss in softmax form refuses what is no number of steps", () => {
  expect(() => dssCase({ softmax: 0 }, {})).toThrowError(expect.objectContaining({ code: "bad-state" }));
});

describe("gss", () => {
  const c = caseOf(
    (x) => gssSsm(x, { state: N, name: "" }),
    {},
    (constants, u) => {
      const part = (name: string, i: number): number => dataOf(constants, name)[i] ?? NaN;
      const kernel = (h: number): number[] => {
        const lambda = Array.from({ length: N }, (_, n) => complex(-Math.exp(part("Lambda_real", n)), Math.exp(part("Lambda_imag", n))));
        const weight = lambda.map((z, n) => mul(complex(part("C_real", h * N + n), part("C_imag", h * N + n)), div(expm1(z), z)));
        return steps.map((k) => real(lambda.map((z, n) => mul(weight[n] ?? complex(NaN), exp(scale(z, k))))));
      };
      return convolved(u, H, (o) => o, kernel, dataOf(constants, "param_D"));
    },
  );
  test("has the kernel of its paper in float64", () => expectMeaning(c, 1e-12));
  test("is within 1e-5 of it on the device", () => expectOnDevice(c, 1e-5, modes));
});

/** A and B of a channel as the numbers of T say, by elimination on T itself. */
function lsslMatrices(constants: Constants, h: number): { A: Matrix; B: Float64Array } {
  const at = (name: string, n: number, size = N): number => {
    const data = dataOf(constants, `transition.${name}`);
    return data[data.length > size ? h * size + n : n] ?? NaN;
  };
  const T = matrix(N, N, (i, j) => (i === j ? at("d", i) : j === i - 1 ? at("dl", i, N + 1) : j === i + 1 ? at("du", i + 1, N + 1) : 0));
  const right = matrix(N, N, (i, j) => (i === j ? at("pr", j) : 0));
  const inverse = solve(T, right) ?? T;
  return {
    A: matrix(N, N, (i, j) => -at("pl", i) * (entry(inverse, i, j) + (i === j ? at("c", i) * at("pr", i) : 0))),
    B: Float64Array.from({ length: N }, (_, n) => at("pl", n) * at("b", n)),
  };
}

function lsslCase(M: number, perChannel: boolean, given: Record<string, Constant>): Case {
  const layer: Layer = (x) => lssl(x, { width: H * M, state: N, perChannel, name: "", delta: [0.02, 0.3] });
  return caseOf(layer, given, (constants, u) => {
    const kernel = (o: number): number[] => {
      const h = Math.floor(o / M);
      const { A, B } = lsslMatrices(constants, h);
      const half = Math.exp(dataOf(constants, "log_dt")[h] ?? NaN) / 2;
      const left = matrix(N, N, (i, j) => (i === j ? 1 : 0) - half * entry(A, i, j));
      const abar =
        solve(
          left,
          matrix(N, N, (i, j) => (i === j ? 1 : 0) + half * entry(A, i, j)),
        ) ?? identity(N);
      let x =
        solve(
          left,
          matrixOf(
            N,
            1,
            B.map((b) => 2 * half * b),
          ),
        ) ?? identity(N);
      return steps.map(() => {
        const K = x.data.reduce((sum, v, n) => sum + v * (dataOf(constants, "C")[o * N + n] ?? NaN), 0);
        x = multiply(abar, x);
        return K;
      });
    };
    return convolved(u, H * M, (o) => Math.floor(o / M), kernel, dataOf(constants, "D"));
  });
}

/** Numbers near those of LegS, another set for each channel. */
function perChannel(): Record<string, Constant> {
  const { normal } = random(9, "lssl");
  const near = (value: (n: number) => number, size = N): Constant =>
    tensor(
      Array.from({ length: H * size }, (_, i) => value(i % size) + 0.05 * normal()),
      H,
      size,
    );
  return {
    "transition.d": near(() => 1),
    "transition.dl": near(() => -1, N + 1),
    "transition.du": near(() => 0.1, N + 1),
    "transition.c": near((n) => -n / (2 * n + 1)),
  };
}

describe.each([
  ["of one output a channel", lsslCase(1, false, {})],
  ["of two outputs a channel, each channel with an A of its own", lsslCase(2, true, perChannel())],
])("lssl %s", (_name, c) => {
  test("is A and B of its parameters under the bilinear rule in float64", () => expectMeaning(c, 1e-12));
  test("is within 1e-5 of it on the device", () => expectOnDevice(c, 1e-5, ["convolution", "recurrence"]));
});

test("lssl starts from HiPPO: LegS and LagT exactly, Jacobi in its closed form, LegT and Chebyshev up to what is added to keep T regular", () => {
  const systemOf = (measure: string): DenseSystem => {
    const shapes = { C: [1, 1, N], D: [1, 1], log_dt: [1], dl: [N + 1], d: [N], du: [N + 1], pl: [N], pr: [N], c: [N], b: [N] };
    const values = Object.fromEntries(
      Object.entries(shapes).map(([name, shape]) => [
        name,
        { shape, data: lsslFamily.initialize(name, shape, { init: measure }, random(1, name)) },
      ]),
    );
    const system = lsslFamily.evaluate(values, { H: 1, N }, { init: measure }, { discretization: () => bilinear });
    return system.structure === "dense" ? system : expect.fail("it is dense");
  };
  for (const measure of ["legs", "lagt"]) {
    const { A, B } = basisOf(measure, N);
    expect(relativeError(systemOf(measure).A, A.data)).toBeLessThan(1e-14);
    expect(relativeError(systemOf(measure).B, B)).toBeLessThan(1e-14);
  }
  // The inverse of T is all ones on and below the diagonal.
  const p = Array.from({ length: N }, (_, n) => Math.sqrt(2 * n + 2));
  const jacobi = p.flatMap((row, n) => p.map((column, k) => (k <= n ? -row * column : 0)));
  expect(relativeError(systemOf("jac").A, jacobi)).toBeLessThan(1e-14);
  expect(
    relativeError(
      systemOf("jac").B,
      p.map((x) => 2 * x),
    ),
  ).toBeLessThan(1e-14);
  // A window of 1 instead of 2.
  const distance = relativeError(
    systemOf("legt").A,
    basisOf("legt", N).A.data.map((x) => 2 * x),
  );
  expect(distance).toBeLessThan(0.2);
  expect(distance).toBeGreaterThan(1e-6);
  for (const measure of ["cheb", "chebii"]) expect(systemOf(measure).A.every(Number.isFinite)).toBe(true);
});

test("lssl refuses a width that is no multiple of the channels", () => {
  const build = (): unknown => model("m", { u: sequence(3) }, ({ u }) => ({ y: lssl(u, { width: 4 }) }));
  expect(build).toThrowError(expect.objectContaining({ code: "bad-width" }));
});
