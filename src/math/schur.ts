/**
 * The real Schur form A = Q T Q^T, T block upper triangular with blocks of one real eigenvalue or of a conjugate pair,
 * by Hessenberg reduction and Francis' implicit double shift. Backward stable for any real matrix; for a normal one T is
 * block diagonal to rounding.
 * Source: Golub and Van Loan, Matrix Computations, algorithms 7.5.1 and 7.5.2.
 */
import { bug } from "../ir/error.ts";
import { complex, type Complex } from "./complex.ts";
import { applyLeft, applyRight, hessenberg, reflector } from "./hessenberg.ts";
import { copy, entry, frobenius, identity, type Matrix, matrix } from "./matrix.ts";

export interface Schur {
  readonly T: Matrix;
  readonly Q: Matrix;
  /** First row and size (1 or 2) of every diagonal block. */
  readonly blocks: readonly { readonly start: number; readonly size: 1 | 2 }[];
}

/** Sweeps allowed for one block; two to four is usual. */
const maxSweeps = 100;
/** Sweeps after which a subdiagonal entry at the rounding error of the whole matrix counts as zero. */
const patience = 8;
/** Every so many sweeps an exceptional shift breaks a cycle. */
const exceptional = 11;

/**
 * The shift and its conjugate: the eigenvalues of the trailing 2x2 block, or where those are real the one nearest its
 * corner, twice (with both of a cluster, the first column of the shifted product is nothing but rounding).
 */
function shiftOf(a: number, b: number, c: number, d: number): Complex {
  const half = (a - d) / 2;
  const discriminant = half * half + b * c;
  if (discriminant < 0) return complex((a + d) / 2, Math.sqrt(-discriminant));
  const larger = half + (half < 0 ? -1 : 1) * Math.sqrt(discriminant);
  return complex(larger === 0 ? d : d - (b * c) / larger);
}

/** One double-shift sweep on rows lo .. hi. */
function francis(T: Matrix, Q: Matrix, lo: number, hi: number, odd: boolean): void {
  const h = (i: number, j: number): number => entry(T, i, j);
  const kick = Math.abs(h(hi, hi - 1)) + Math.abs(h(hi - 1, hi - 2));
  const shift = odd ? complex(h(hi, hi) + 0.75 * kick, 0.66 * kick) : shiftOf(h(hi - 1, hi - 1), h(hi - 1, hi), h(hi, hi - 1), h(hi, hi));
  const [first, second] = [h(lo, lo) - shift.re, h(lo + 1, lo + 1) - shift.re];
  let column = Float64Array.of(
    first * first + shift.im * shift.im + h(lo, lo + 1) * h(lo + 1, lo),
    h(lo + 1, lo) * (first + second),
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

/** What the coordinates in reverse order say of A; a lower triangular A is upper triangular in it. */
const reversed = (A: Matrix): Matrix => matrix(A.rows, A.cols, (i, j) => entry(A, A.rows - 1 - i, A.cols - 1 - j));

/** The form of a matrix that is triangular as it is: no rounding, however sensitive its eigenvalues are (HiPPO's are). */
function triangular(A: Matrix): Schur | undefined {
  const blocks = Array.from({ length: A.rows }, (_, start) => ({ start, size: 1 as const }));
  const isUpper = (M: Matrix): boolean => M.data.every((x, i) => x === 0 || i % M.cols >= Math.floor(i / M.cols));
  if (isUpper(A)) return { T: copy(A), Q: identity(A.rows), blocks };
  const T = reversed(A);
  return isUpper(T) ? { T, Q: matrix(A.rows, A.cols, (i, j) => (i + j === A.rows - 1 ? 1 : 0)), blocks } : undefined;
}

/** Shapes: A, T, Q `[N N]`. */
export function schur(A: Matrix): Schur {
  return triangular(A) ?? reduced(A);
}

function reduced(A: Matrix): Schur {
  const { H: T, Q } = hessenberg(A);
  const n = A.rows;
  const norm = frobenius(T) / Math.sqrt(Math.max(n, 1));
  /** Relative to its neighbours; to the whole matrix where rounding keeps it from falling that far (clusters do). */
  const negligible = (i: number, sweeps: number): boolean => {
    const near = Math.abs(entry(T, i - 1, i - 1)) + Math.abs(entry(T, i, i));
    return Math.abs(entry(T, i, i - 1)) <= Number.EPSILON * (near === 0 ? norm : sweeps > patience ? near + n * norm : near);
  };
  const blocks: { start: number; size: 1 | 2 }[] = [];
  for (let hi = n - 1, sweeps = 0; hi >= 0;) {
    let lo = hi;
    while (lo > 0 && !negligible(lo, sweeps)) lo--;
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
