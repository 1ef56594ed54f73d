/** Finds structure in a dense system instead of being told: diagonal and normal state matrices become poles. */
import { add, complex, complexArray, type Complex, conj, scale } from "../math/complex.ts";
import { entry, type Matrix, matrixOf } from "../math/matrix.ts";
import { normalEigen } from "../math/normal.ts";
import type { Mode } from "../math/skew.ts";
import type { DenseSystem, DiagonalSystem } from "./system.ts";

/** The largest ||A V - V Lambda|| / ||A|| a diagonal form may have. */
export const residualLimit = 1e-12;

/** What was found, and how exact it is. */
export interface Diagonalisation {
  readonly system: DiagonalSystem;
  /** `diagonal` where A was that already. */
  readonly found: "diagonal" | "normal";
  readonly residual: number;
  /** max |V* V - I| */
  readonly defect: number;
}

/** Why there is no exact diagonal form. */
export interface Refusal {
  readonly residual: number;
}

interface Poles {
  readonly modes: readonly Mode[];
  readonly residual: number;
  readonly defect: number;
  readonly found: "diagonal" | "normal";
}

const isDiagonal = (A: Matrix): boolean => A.data.every((x, i) => x === 0 || i % (A.cols + 1) === 0);

function polesOf(A: Matrix): Poles {
  if (!isDiagonal(A)) return { ...normalEigen(A), found: "normal" };
  const unit = (n: number): Complex[] => Array.from({ length: A.rows }, (_, i) => complex(i === n ? 1 : 0));
  const modes = Array.from({ length: A.rows }, (_, n): Mode => ({ lambda: complex(entry(A, n, n)), vector: unit(n), paired: false }));
  return { modes, residual: 0, defect: 0, found: "diagonal" };
}

const sumOf = (vector: readonly Complex[], f: (x: Complex) => Complex, weights: Float64Array): Complex =>
  vector.reduce((sum, x, i) => add(sum, scale(f(x), weights[i] ?? NaN)), complex(0));

/** A pole that decays and is read by nothing, where channels have different numbers of poles. */
const idle = { A: complex(-1), B: complex(0), C: complex(0) };

/**
 * The same system with diagonal A, one input and output a channel, or why there is none that is exact.
 * B becomes V* B, C becomes C V, of each conjugate pair one is kept.
 */
export function diagonalise(system: DenseSystem, channels: number): Diagonalisation | Refusal {
  const { groups, states: n } = system;
  const poles: Poles[] = [];
  for (let g = 0; g < groups; g++) {
    const found = polesOf(matrixOf(n, n, system.A.slice(g * n * n, (g + 1) * n * n)));
    if (!(found.residual <= residualLimit)) return { residual: found.residual };
    poles.push(found);
  }
  const states = Math.max(...poles.map((p) => p.modes.length));
  const pairs = poles.some((p) => p.modes.some((m) => m.paired));
  const stored = poles.map(({ modes }, g) => {
    const B = system.B.subarray(g * n, (g + 1) * n);
    const C = system.C.subarray(g * n, (g + 1) * n);
    return modes.map(({ lambda, vector, paired }) => ({
      A: lambda,
      B: sumOf(vector, conj, B),
      // With pairs every state counts twice: a real eigenvalue, which has no conjugate, gives half.
      C: scale(
        sumOf(vector, (x) => x, C),
        pairs && !paired ? 0.5 : 1,
      ),
    }));
  });
  const group = (h: number): number => (groups === 1 ? 0 : h);
  const of = (key: "A" | "B" | "C"): Float64Array =>
    complexArray(channels * states, (i) => (stored[group(Math.floor(i / states))]?.[i % states] ?? idle)[key]);
  return {
    system: {
      structure: "diagonal",
      channels,
      states,
      pairs,
      A: of("A"),
      B: of("B"),
      C: of("C"),
      D: Float64Array.from({ length: channels }, (_, h) => system.D[group(h)] ?? NaN),
      delta: Float64Array.from({ length: channels * states }, (_, i) => system.delta[group(Math.floor(i / states))] ?? NaN),
    },
    found: poles.every((p) => p.found === "diagonal") ? "diagonal" : "normal",
    residual: Math.max(...poles.map((p) => p.residual)),
    defect: Math.max(...poles.map((p) => p.defect)),
  };
}
