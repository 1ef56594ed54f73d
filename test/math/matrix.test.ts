/** Linear systems, the matrix exponential and the eigensolvers, on matrices whose answer is known. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { abs, type Complex, complex, conj, mul, sub } from "../../src/math/complex.ts";
import { expm } from "../../src/math/expm.ts";
import {
  addScaled,
  entry,
  frobenius,
  identity,
  type Matrix,
  matrix,
  multiply,
  oneNorm,
  scaleMatrix,
  transpose,
} from "../../src/math/matrix.ts";
import { normalEigen } from "../../src/math/normal.ts";
import { random } from "../../src/math/random.ts";
import { eigenvalues, schur } from "../../src/math/schur.ts";
import { type Mode, skewModes } from "../../src/math/skew.ts";
import { solve } from "../../src/math/solve.ts";
import { largestSymmetric, symmetricEigen } from "../../src/math/symmetric.ts";
import { normalMatrix, randomMatrix, randomPoles, skewMatrix } from "./systems.ts";

const seeds = fc.integer({ min: 0, max: 1e9 });
const sizes = fc.integer({ min: 1, max: 24 });
const error = (a: Matrix, b: Matrix): number => frobenius(addScaled(a, b, -1)) / Math.max(frobenius(b), 1e-300);
const nearest = (z: Complex, among: readonly Complex[]): number => Math.min(...among.map((w) => abs(sub(z, w))));

test("solve gives X with A X = B, backward stable, and nothing for a singular A", () => {
  fc.assert(
    fc.property(seeds, sizes, (seed, n) => {
      const g = random(seed, "solve");
      const [A, B] = [randomMatrix(n, g), randomMatrix(n, g)];
      const X = solve(A, B) ?? identity(n);
      expect(frobenius(addScaled(multiply(A, X), B, -1))).toBeLessThan(1e-13 * frobenius(A) * frobenius(X));
    }),
  );
  expect(
    solve(
      matrix(2, 2, () => 1),
      identity(2),
    ),
  ).toBeUndefined();
});

test("expm of a skew matrix is orthogonal, e^A e^-A = I, e^2A = (e^A)^2", () => {
  fc.assert(
    fc.property(seeds, sizes, fc.double({ min: -3, max: 1.5, noNaN: true }), (seed, n, size) => {
      const K = scaleMatrix(skewMatrix(n, random(seed, "skew")), 10 ** size);
      const E = expm(K);
      const tolerance = 1e-13 * Math.max(1, oneNorm(K));
      expect(error(multiply(E, transpose(E)), identity(n))).toBeLessThan(tolerance);
      expect(error(multiply(E, expm(scaleMatrix(K, -1))), identity(n))).toBeLessThan(tolerance);
      expect(error(expm(scaleMatrix(K, 2)), multiply(E, E))).toBeLessThan(tolerance);
    }),
  );
});

test("expm of a nilpotent matrix is its finite series; of zero, I; of infinity, NaN", () => {
  const A = matrix(3, 3, (i, j) => (j === i + 1 ? 100 : 0));
  expect(error(expm(A), addScaled(addScaled(identity(3), A), multiply(A, A), 0.5))).toBeLessThan(1e-15);
  expect(expm(matrix(2, 2, () => 0)).data).toEqual(identity(2).data);
  expect(expm(matrix(2, 2, () => Infinity)).data.every(Number.isNaN)).toBe(true);
});

test("the Schur form is A = Q T Q^T with Q orthogonal and T zero below its blocks", () => {
  fc.assert(
    fc.property(seeds, sizes, (seed, n) => {
      const A = randomMatrix(n, random(seed, "schur"));
      const { T, Q, blocks } = schur(A);
      expect(error(multiply(multiply(Q, T), transpose(Q)), A)).toBeLessThan(1e-13);
      expect(error(multiply(Q, transpose(Q)), identity(n))).toBeLessThan(1e-13);
      const inside = matrix(n, n, (i, j) =>
        i <= j || blocks.some((b) => b.size === 2 && b.start === j && i === j + 1) ? 0 : entry(T, i, j),
      );
      expect(frobenius(inside)).toBe(0);
      expect(blocks.reduce((sum, b) => sum + b.size, 0)).toBe(n);
    }),
  );
});

test("eigenvalues of a companion matrix are the roots it was made from", () => {
  // (x - 1)(x + 2)(x^2 + 2x + 5) = x^4 + 3x^3 + 5x^2 + x - 10
  const A = matrix(4, 4, (i, j) => (i === 0 ? ([-3, -5, -1, 10][j] ?? 0) : j === i - 1 ? 1 : 0));
  const found = eigenvalues(A);
  for (const root of [complex(1), complex(-2), complex(-1, 2), complex(-1, -2)]) expect(nearest(root, found)).toBeLessThan(1e-13);
});

test("a cyclic permutation, on which an unshifted QR step stands still, has the roots of unity", () => {
  const found = eigenvalues(matrix(6, 6, (i, j) => (j === (i + 1) % 6 ? 1 : 0)));
  for (let k = 0; k < 6; k++) expect(nearest(complex(Math.cos((k * Math.PI) / 3), Math.sin((k * Math.PI) / 3)), found)).toBeLessThan(1e-14);
});

test("a normal matrix is diagonalised with its own eigenvalues, to 1e-14 up to N = 64", () => {
  fc.assert(
    fc.property(seeds, fc.integer({ min: 0, max: 30 }), fc.integer({ min: 1, max: 4 }), (seed, pairs, reals) => {
      const g = random(seed, "normal");
      const poles = randomPoles(pairs, reals, g);
      const A = normalMatrix(poles, g);
      const { modes, residual, defect } = normalEigen(A);
      expect(residual).toBeLessThan(1e-14);
      expect(defect).toBeLessThan(2e-14);
      const found = modes.flatMap((m) => (m.paired ? [m.lambda, conj(m.lambda)] : [m.lambda]));
      expect(found.length).toBe(A.rows);
      for (const pole of poles) expect(nearest(pole, found)).toBeLessThan(1e-14 * frobenius(A));
      for (const m of modes) if (m.paired) expect(m.lambda.im).toBeLessThanOrEqual(0);
    }),
    { numRuns: 40 },
  );
});

test("repeated eigenvalues are no obstacle: a rotated multiple of I, a projection, a doubled rotation", () => {
  const g = random(3, "repeated");
  const repeated = [
    Array.from({ length: 6 }, () => complex(-2)),
    [0, 0, 1, 1, 1].map((x) => complex(x)),
    [complex(-1, 2), complex(-1, 2), complex(-1, 2)],
  ];
  for (const poles of repeated) {
    const { modes, residual, defect } = normalEigen(normalMatrix(poles, g));
    expect(residual).toBeLessThan(1e-14);
    expect(defect).toBeLessThan(1e-14);
    for (const m of modes) expect(nearest(m.lambda, [...poles, ...poles.map(conj)])).toBeLessThan(1e-14);
  }
});

test("clusters of any width converge: poles that agree to 1e-k, doubled, real or complex", () => {
  fc.assert(
    fc.property(seeds, fc.integer({ min: 1, max: 8 }), fc.integer({ min: 0, max: 16 }), fc.constantFrom(0, 2), (seed, count, k, im) => {
      const g = random(seed, "cluster");
      const near = (x: number): number => (x === 0 ? 0 : x + 10 ** -k * g.normal());
      const poles = Array.from({ length: count }, (_, i) => (i % 3 === 2 ? complex(-Math.exp(g.normal())) : complex(near(-1), near(im))));
      const { modes, residual, defect } = normalEigen(normalMatrix([...poles, ...poles], g));
      expect(residual).toBeLessThan(1e-14);
      expect(defect).toBeLessThan(2e-14);
      const found = modes.flatMap((m) => [m.lambda, conj(m.lambda)]);
      for (const pole of poles) expect(nearest(pole, found)).toBeLessThan(1e-13);
    }),
  );
});

test("matrices that are hard for QR have a backward stable Schur form", () => {
  const hard: Record<string, (n: number) => Matrix> = {
    "lower Jordan block": (n) => matrix(n, n, (i, j) => (i === j + 1 ? 1 : i === j ? 2 : 0)),
    nilpotent: (n) => matrix(n, n, (i, j) => (i === j + 1 ? 1 : 0)),
    "rank one": (n) => matrix(n, n, () => 1),
    zero: (n) => matrix(n, n, () => 0),
    Hilbert: (n) => matrix(n, n, (i, j) => 1 / (i + j + 1)),
    "cyclic shift": (n) => matrix(n, n, (i, j) => ((i + 1) % n === j ? 1 : 0)),
    Frank: (n) => matrix(n, n, (i, j) => (j >= i - 1 ? n - Math.max(i, j) : 0)),
    graded: (n) => matrix(n, n, (i, j) => 10 ** ((i - j) / 2) * Math.sin(i * 7 + j * 3)),
  };
  for (const make of Object.values(hard))
    for (const n of [1, 2, 3, 5, 16, 33]) {
      const A = make(n);
      const { T, Q } = schur(A);
      expect(frobenius(addScaled(multiply(multiply(Q, T), transpose(Q)), A, -1))).toBeLessThanOrEqual(2e-14 * frobenius(A));
    }
});

test("a random dense matrix has a residual that says it is not normal", () => {
  fc.assert(
    fc.property(seeds, fc.integer({ min: 2, max: 24 }), (seed, n) => {
      expect(normalEigen(randomMatrix(n, random(seed, "dense"))).residual).toBeGreaterThan(1e-6);
    }),
  );
});

test("the residual of a nearly normal matrix is of the size of what is added to it", () => {
  const g = random(11, "near");
  const A = normalMatrix(randomPoles(8, 0, g), g);
  const E = randomMatrix(16, g);
  for (const size of [1e-6, 1e-9, 1e-11]) {
    const { residual } = normalEigen(addScaled(A, E, (size * frobenius(A)) / frobenius(E)));
    expect(residual).toBeGreaterThan(size / 100);
    expect(residual).toBeLessThan(size * 100);
  }
});

test("a symmetric matrix of low rank and rounding, whose small entries large ones keep alive, is rebuilt to 1e-14", () => {
  for (let seed = 0; seed < 8; seed++) {
    const n = 64;
    const { normal } = random(seed, "low rank");
    const rows = Array.from({ length: 1 + (seed % 4) }, () => Float64Array.from({ length: n }, (_, i) => (i + 1) * normal()));
    const noise = randomMatrix(n, random(seed, "rounding"));
    const lowRank = (i: number, j: number): number =>
      rows.reduce((sum, u, k) => sum + (k % 2 === 0 ? 1 : -1) * (u[i] ?? NaN) * (u[j] ?? NaN), 0);
    const S = matrix(n, n, (i, j) => lowRank(i, j) + 4e-12 * (entry(noise, i, j) + entry(noise, j, i)));
    const { values, vectors } = symmetricEigen(S);
    const rebuilt = multiply(
      matrix(n, n, (i, k) => entry(vectors, i, k) * (values[k] ?? NaN)),
      transpose(vectors),
    );
    expect(frobenius(addScaled(rebuilt, S, -1)) / frobenius(S)).toBeLessThan(1e-14);
    expect(frobenius(addScaled(multiply(transpose(vectors), vectors), identity(n), -1))).toBeLessThan(1e-12);
  }
});

test("the largest eigenvalue of a symmetric matrix", () => {
  const g = random(5, "symmetric");
  expect(
    largestSymmetric(
      normalMatrix(
        [-3, -1, 2, 2.5].map((x) => complex(x)),
        g,
      ),
    ),
  ).toBeCloseTo(2.5, 13);
});

/** The largest entry of |V V* - I| over the modes and their conjugates, and of K less V Lambda V*, of the size of K. */
function rebuilt(K: Matrix, modes: readonly Mode[]): { readonly identity: number; readonly matrix: number } {
  let [one, same] = [0, 0];
  const size = Math.max(1e-300, ...K.data.map(Math.abs));
  for (let i = 0; i < K.rows; i++)
    for (let j = 0; j < K.cols; j++) {
      let [unit, value] = [0, 0];
      for (const { lambda, vector, paired } of modes) {
        const outer = mul(vector[i] ?? complex(NaN), conj(vector[j] ?? complex(NaN)));
        unit += (paired ? 2 : 1) * outer.re;
        value += (paired ? 2 : 1) * mul(lambda, outer).re;
      }
      one = Math.max(one, Math.abs(unit - (i === j ? 1 : 0)));
      same = Math.max(same, Math.abs(value - entry(K, i, j)) / size);
    }
  return { identity: one, matrix: same };
}

test("a skew matrix is rebuilt from one mode of each pair and the real ones, to 1e-14", () => {
  fc.assert(
    fc.property(seeds, sizes, (seed, n) => {
      const K = skewMatrix(n, random(seed, "skew"));
      const modes = skewModes(K);
      expect(modes.reduce((sum, m) => sum + (m.paired ? 2 : 1), 0)).toBe(n);
      const paired = modes.filter((m) => m.paired).map((m) => m.lambda.im);
      expect(paired).toEqual([...paired].sort((a, b) => a - b));
      expect(Math.max(-1, ...paired)).toBeLessThan(0);
      const error = rebuilt(K, modes);
      expect(error.identity).toBeLessThan(1e-14);
      expect(error.matrix).toBeLessThan(2e-14);
    }),
  );
  expect(skewModes(matrix(3, 3, () => 0)).map((m) => [m.lambda.im, m.paired])).toEqual([
    [0, false],
    [0, false],
    [0, false],
  ]);
});

test("pairs stay pairs, and vectors orthonormal, however near to 0 and to each other their frequencies lie", () => {
  fc.assert(
    fc.property(seeds, fc.array(fc.integer({ min: -17, max: 0 }), { minLength: 1, maxLength: 6 }), fc.nat(3), (seed, exponents, nulls) => {
      const g = random(seed, "near");
      const poles = exponents.map((e) => complex(0, 10 ** e * (1 + 0.5 * g.uniform())));
      const K = normalMatrix([complex(0, 1), ...poles, ...Array.from({ length: nulls }, () => complex(0))], g);
      const skew = matrix(K.rows, K.cols, (i, j) => (entry(K, i, j) - entry(K, j, i)) / 2);
      const error = rebuilt(skew, skewModes(skew));
      expect(error.identity).toBeLessThan(1e-14);
      expect(error.matrix).toBeLessThan(1e-13);
    }),
  );
});

test.each([64, 256])("N = %i: a random skew matrix is diagonalised to 1e-13", (n) => {
  const { residual, defect } = normalEigen(skewMatrix(n, random(n, "large")));
  expect(residual).toBeLessThan(1e-14);
  expect(defect).toBeLessThan(1e-14);
});
