/**
 * The exponential of a real matrix by scaling and squaring.
 * Source: Higham, "The scaling and squaring method for the matrix exponential revisited", SIAM J. Matrix Anal. 26 (2005).
 */
import { bug } from "../ir/error.ts";
import { addScaled, identity, type Matrix, multiply, oneNorm, scaleMatrix } from "./matrix.ts";
import { solve } from "./solve.ts";

/** Coefficients of the [13/13] Pade numerator. */
const pade = [
  64764752532480000, 32382376266240000, 7771770303897600, 1187353796428800, 129060195264000, 10559470521600, 670442572800, 33522128640,
  1323241920, 40840800, 960960, 16380, 182, 1,
];
/** Up to this one-norm the approximant is exact to double precision. */
const theta = 5.371920351148152;

/** sum_k pade[first + 2k] powers[k], powers of A^2 from 0 to 3, and A^6 times the upper half. */
function halves(first: 0 | 1, powers: readonly Matrix[]): Matrix {
  const [a0, a2, a4, a6] = powers;
  if (a0 === undefined || a2 === undefined || a4 === undefined || a6 === undefined) return bug("four powers are needed");
  const term = (k: number): number => pade[first + 2 * k] ?? 0;
  const high = addScaled(addScaled(scaleMatrix(a6, term(6)), a4, term(5)), a2, term(4));
  const low = addScaled(addScaled(addScaled(scaleMatrix(a6, term(3)), a4, term(2)), a2, term(1)), a0, term(0));
  return addScaled(multiply(a6, high), low);
}

/** e^a. */
export function expm(a: Matrix): Matrix {
  const norm = oneNorm(a);
  if (!Number.isFinite(norm)) return { rows: a.rows, cols: a.cols, data: a.data.map(() => NaN) };
  const squarings = norm > theta ? Math.ceil(Math.log2(norm / theta)) : 0;
  const x = scaleMatrix(a, 2 ** -squarings);
  const x2 = multiply(x, x);
  const x4 = multiply(x2, x2);
  const powers = [identity(a.rows), x2, x4, multiply(x4, x2)];
  const odd = multiply(x, halves(1, powers));
  const even = halves(0, powers);
  let result = solve(addScaled(even, odd, -1), addScaled(even, odd)) ?? bug("the Pade denominator is singular");
  for (let i = 0; i < squarings; i++) result = multiply(result, result);
  return result;
}
