/**
 * Systems of all channels (MIMO): what they are as a recurrence, and what they are as parts that have kernels of their
 * own: a real matrix, diagonal systems of one state on real channels, a real matrix.
 */
import type { Loc } from "../ir/error.ts";
import type { MimoSystem as DiscreteMimoSystem } from "../ir/interpret.ts";
import { complex, complexArray, complexAt, mul, scale } from "../math/complex.ts";
import type { Discretization } from "./discretization.ts";
import { discretizeSystem } from "./discretize.ts";
import type { DiagonalSystem, MimoSystem } from "./system.ts";

/** Diagonal systems of one state: channel i has the pole of state `state(i)`, B = 1 and C = `read(i)`. */
function singleStates(
  { A, delta }: MimoSystem,
  channels: number,
  state: (i: number) => number,
  read: (i: number) => ReturnType<typeof complex>,
): DiagonalSystem {
  return {
    structure: "diagonal",
    channels,
    states: 1,
    pairs: false,
    A: complexArray(channels, (i) => complexAt(A, state(i))),
    B: complexArray(channels, () => complex(1)),
    C: complexArray(channels, read),
    D: new Float64Array(channels),
    delta: Float64Array.from({ length: channels }, (_, i) => delta[state(i)] ?? NaN),
  };
}

/**
 * The recurrence of a system of all channels.
 * Throws: CompileError `singular-step`, as `discretizeSystem`.
 */
export function discretizeMimo(system: MimoSystem, rule: Discretization, loc?: Loc): DiscreteMimoSystem {
  const { channels: H, states: N, B, C, D, pairs } = system;
  const unit = singleStates(
    system,
    N,
    (n) => n,
    () => complex(1),
  );
  const discrete = discretizeSystem(unit, rule, loc);
  const { abar } = discrete;
  const bbar = discrete.structure === "diagonal" ? discrete.gain.data : new Float64Array();
  return {
    structure: "mimo",
    abar: { shape: [N, 2], data: abar.data },
    bbar: { shape: [N, H, 2], data: complexArray(N * H, (i) => mul(complexAt(bbar, Math.floor(i / H)), complexAt(B, i))) },
    c: { shape: [H, N, 2], data: complexArray(H * N, (i) => scale(complexAt(C, i), pairs ? 2 : 1)) },
    d: { shape: [H], data: D },
  };
}

/** y = output (system (input u)) + skip u, all matrices real. */
export interface StatesBetween {
  /** `[4N H]` */
  readonly input: Float64Array;
  /** 4N channels of one state each. */
  readonly system: DiagonalSystem;
  /** `[H 4N]` */
  readonly output: Float64Array;
  /** `[H]` */
  readonly skip: Float64Array;
}

/**
 * A system of all channels in parts. A channel drives its state with a real number and reads one real number from it, so
 * a complex state that is driven and read in both parts is four channels: driven by Re(B u) and read as Re x and Im x, and
 * the same for Im(B u), whose state counts i times.
 */
export function splitStates(system: MimoSystem): StatesBetween {
  const { channels: H, states: N, B, C, D, pairs } = system;
  /** Re z, Im z = Re(-i z), Re(i z), Im(i z) = Re z. */
  const reads = [complex(1), complex(0, -1), complex(0, 1), complex(1)];
  const part = (i: number): number => Math.floor(i / N);
  const weight = pairs ? 2 : 1;
  return {
    input: Float64Array.from({ length: 4 * N * H }, (_, i) => {
      const [row, h] = [Math.floor(i / H), i % H];
      return B[2 * ((row % N) * H + h) + (part(row) < 2 ? 0 : 1)] ?? NaN;
    }),
    system: singleStates(
      system,
      4 * N,
      (i) => i % N,
      (i) => reads[part(i)] ?? complex(NaN),
    ),
    output: Float64Array.from({ length: H * 4 * N }, (_, i) => {
      const [h, column] = [Math.floor(i / (4 * N)), i % (4 * N)];
      const { re, im } = complexAt(C, h * N + (column % N));
      return weight * (part(column) % 2 === 0 ? re : -im);
    }),
    skip: D,
  };
}
