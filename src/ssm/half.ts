/**
 * One state of each conjugate pair: orthonormal modes of a real matrix as the vectors of a half. Eigenvectors have arbitrary
 * phases; the canonical ones make what drives them, v^* B, real and positive.
 */
import { bug } from "../ir/error.ts";
import { abs, add, complex, type Complex, conj, mul, scale } from "../math/complex.ts";
import type { Mode } from "../math/skew.ts";

/** v^* x of a real x. */
export const project = (v: readonly Complex[], x: ArrayLike<number>): Complex =>
  v.reduce((sum, z, i) => add(sum, scale(conj(z), x[i] ?? NaN)), complex(0));

const dot = (a: readonly number[], b: ArrayLike<number>): number => a.reduce((sum, x, i) => sum + x * (b[i] ?? NaN), 0);

/** What remains of x without its components along orthonormal `others`, of unit length; undefined where nothing does. */
function remainder(x: readonly number[], others: readonly (readonly number[])[], least: number): number[] | undefined {
  let rest = [...x];
  // Twice is enough for orthogonality to rounding.
  for (let round = 0; round < 2; round++)
    for (const other of others) {
      const along = dot(rest, other);
      rest = rest.map((v, i) => v - along * (other[i] ?? NaN));
    }
  const length = Math.hypot(...rest);
  return length > least ? rest.map((v) => v / length) : undefined;
}

/**
 * Real vectors of one eigenvalue as half as many complex ones, (q1 + i q2) / sqrt 2. Any such pairing is a valid half; this
 * one is unique in two dimensions: q1 lies along what B has of the eigenspace, the largest component of q2 is positive.
 */
export function pairReal(modes: readonly Mode[], B: ArrayLike<number>): Complex[][] {
  const basis = modes.map((m) => m.vector.map((z) => z.re));
  const along = basis.reduce(
    (sum: number[], q) => sum.map((x, i) => x + dot(q, B) * (q[i] ?? NaN)),
    Array.from({ length: B.length }, () => 0),
  );
  const chosen: number[][] = [];
  for (const candidate of [along, ...basis]) {
    const q = remainder(candidate, chosen, 1e-6 * Math.hypot(...candidate));
    if (q === undefined || chosen.length === basis.length) continue;
    const largest = q.reduce((best, x) => (Math.abs(x) > Math.abs(best) + 1e-12 ? x : best), 0);
    chosen.push(chosen.length > 0 && largest < 0 ? q.map((x) => -x) : q);
  }
  return Array.from({ length: basis.length / 2 }, (_, k) =>
    (chosen[2 * k] ?? bug("an eigenspace lost a dimension")).map((x, i) =>
      scale(complex(x, chosen[2 * k + 1]?.[i] ?? bug("an eigenspace lost a dimension")), Math.SQRT1_2),
    ),
  );
}

/** v times the phase that makes v^* B real and positive; as it is where v^* B vanishes. */
export function canonicalPhase(v: readonly Complex[], B: ArrayLike<number>): Complex[] {
  const b = project(v, B);
  const size = abs(b);
  // (e^{i p} v)^* B = e^{-i p} b
  return size > 1e-13 * Math.hypot(...Array.from(B)) ? v.map((z) => mul(z, scale(b, 1 / size))) : [...v];
}
