/** Random matrices for tests: orthogonal, normal with known eigenvalues, skew. */
import { type Complex, complex } from "../../src/math/complex.ts";
import { applyLeft, applyRight, reflector } from "../../src/math/hessenberg.ts";
import { type Matrix, matrix } from "../../src/math/matrix.ts";
import type { Random } from "../../src/math/random.ts";

export const vector = (n: number, f: () => number): Float64Array => Float64Array.from({ length: n }, f);
export const randomMatrix = (n: number, { normal }: Random): Matrix => matrix(n, n, normal);

/** A normal matrix with these eigenvalues (and the conjugates of those that are not real) in a random orthogonal basis. */
export function normalMatrix(eigenvalues: readonly Complex[], generator: Random): Matrix {
  const blocks = eigenvalues.flatMap((z) => (z.im === 0 ? [z] : [z, undefined]));
  const n = blocks.length;
  const A = matrix(n, n, () => 0);
  blocks.forEach((z, i) => {
    if (z === undefined) return;
    A.data[i * n + i] = z.re;
    if (z.im === 0) return;
    A.data[(i + 1) * n + i + 1] = z.re;
    A.data[i * n + i + 1] = z.im;
    A.data[(i + 1) * n + i] = -z.im;
  });
  for (let k = 0; k < n; k++) {
    const p = reflector(vector(n, generator.normal), 0);
    if (p === undefined) continue;
    applyLeft(A, p);
    applyRight(A, p);
  }
  return A;
}

export function skewMatrix(n: number, { normal }: Random): Matrix {
  const A = matrix(n, n, () => 0);
  for (let i = 0; i < n; i++)
    for (let j = 0; j < i; j++) {
      const x = normal();
      A.data[i * n + j] = x;
      A.data[j * n + i] = -x;
    }
  return A;
}

/** Poles with decay rates and frequencies of very different sizes; the last `reals` are real. */
export const randomPoles = (pairs: number, reals: number, { uniform, normal }: Random): Complex[] => [
  ...Array.from({ length: pairs }, () => complex(-Math.exp(normal()), Math.exp(2 * normal()))),
  ...Array.from({ length: reals }, () => complex(-2 * uniform())),
];
