/**
 * The real Schur form A = Q T Q^T, T block upper triangular with blocks of one real eigenvalue or of a conjugate pair,
 * by Hessenberg reduction and Francis' implicit double shift. Backward stable for any real matrix; for a normal one T is
 * block diagonal to rounding.
 * Source: Golub and Van Loan, Matrix Computations, algorithms 7.5.1 and 7.5.2.
 */
import { bug } from "../ir/error.ts";
import { complex, type Complex } from "./complex.ts";
import { applyLeft, applyRight, hessenberg, reflector } from "./hessenberg.ts";
import { entry, type Matrix } from "./matrix.ts";

export interface Schur {
  readonly T: Matrix;
  readonly Q: Matrix;
  /** First row and size (1 or 2) of every diagonal block. */
  readonly blocks: readonly { readonly start: number; readonly size: 1 | 2 }[];
}

/** Sweeps allowed for one block; two to four is usual. */
const maxSweeps = 100;
/** Every so many sweeps an exceptional shift breaks a cycle. */
const exceptional = 11;

/** One double-shift sweep on rows lo .. hi. */
function francis(T: Matrix, Q: Matrix, lo: number, hi: number, odd: boolean): void {
  const h = (i: number, j: number): number => entry(T, i, j);
  const kick = Math.abs(h(hi, hi - 1)) + Math.abs(h(hi - 1, hi - 2));
  const trace = odd ? 1.5 * kick : h(hi - 1, hi - 1) + h(hi, hi);
  const det = odd ? kick * kick : h(hi - 1, hi - 1) * h(hi, hi) - h(hi - 1, hi) * h(hi, hi - 1);
  let column = Float64Array.of(
    h(lo, lo) * h(lo, lo) + h(lo, lo + 1) * h(lo + 1, lo) - trace * h(lo, lo) + det,
    h(lo + 1, lo) * (h(lo, lo) + h(lo + 1, lo + 1) - trace),
    h(lo + 1, lo) * h(lo + 2, lo + 1),
  );
  for (let k = lo; k < hi; k++) {
    const p = reflector(column, k);
    if (p !== undefined) {
      applyLeft(T, p, Math.max(lo, k - 1));
      applyRight(T, p, Math.min(hi, k + 3) + 1);
      applyRight(Q, p);
    }
    for (let i = k + 1; k > lo && i <= Math.min(k + 2, hi); i++) T.data[i * T.cols + k - 1] = 0;
    column = Float64Array.from({ length: Math.min(3, hi - k) }, (_, i) => h(k + 1 + i, k));
  }
}

/** Turns a 2x2 block with real eigenvalues upper triangular; says whether it did. */
function split(T: Matrix, Q: Matrix, i: number): boolean {
  const [a, b, c, d] = [entry(T, i, i), entry(T, i, i + 1), entry(T, i + 1, i), entry(T, i + 1, i + 1)];
  const half = (a - d) / 2;
  const discriminant = half * half + b * c;
  if (discriminant < 0) return false;
  const larger = half + (half < 0 ? -1 : 1) * Math.sqrt(discriminant);
  /** (A - lambda I) v = 0 for lambda = d + larger: v = (larger, c). */
  const p = reflector(Float64Array.of(larger, c), i);
  if (p !== undefined) {
    applyLeft(T, p, i);
    applyRight(T, p, i + 2);
    applyRight(Q, p);
  }
  T.data[(i + 1) * T.cols + i] = 0;
  return true;
}

/** Shapes: A, T, Q `[N N]`. */
export function schur(A: Matrix): Schur {
  const { H: T, Q } = hessenberg(A);
  const n = A.rows;
  const norm = Math.max(...Array.from({ length: n }, (_, i) => Math.abs(entry(T, i, i)) + Math.abs(i > 0 ? entry(T, i, i - 1) : 0)), 0);
  const negligible = (i: number): boolean => {
    const near = Math.abs(entry(T, i - 1, i - 1)) + Math.abs(entry(T, i, i));
    return Math.abs(entry(T, i, i - 1)) <= Number.EPSILON * (near === 0 ? norm : near);
  };
  const blocks: { start: number; size: 1 | 2 }[] = [];
  for (let hi = n - 1, sweeps = 0; hi >= 0;) {
    let lo = hi;
    while (lo > 0 && !negligible(lo)) lo--;
    if (lo > 0) T.data[lo * n + lo - 1] = 0;
    if (hi - lo > 1) {
      if (sweeps++ > maxSweeps) bug("the QR algorithm does not converge");
      francis(T, Q, lo, hi, sweeps % exceptional === 0);
      continue;
    }
    if (lo === hi) blocks.unshift({ start: lo, size: 1 });
    else if (split(T, Q, lo)) blocks.unshift({ start: lo, size: 1 }, { start: hi, size: 1 });
    else blocks.unshift({ start: lo, size: 2 });
    hi = lo - 1;
    sweeps = 0;
  }
  return { T, Q, blocks };
}

/** All eigenvalues, both of a pair. */
export function eigenvalues(A: Matrix): readonly Complex[] {
  const { T, blocks } = schur(A);
  return blocks.flatMap(({ start: i, size }) => {
    if (size === 1) return [complex(entry(T, i, i))];
    const mean = (entry(T, i, i) + entry(T, i + 1, i + 1)) / 2;
    const half = (entry(T, i, i) - entry(T, i + 1, i + 1)) / 2;
    const im = Math.sqrt(Math.max(0, -half * half - entry(T, i, i + 1) * entry(T, i + 1, i)));
    return [complex(mean, im), complex(mean, -im)];
  });
}
