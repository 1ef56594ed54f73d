/**
 * Checkpoints of S4 of version 2 (February 2022). C is made for a length that only the nodes `omega` of its transform tell. A is in
 * Hurwitz form, or has a Q of its own: diag(w) - P Q^T, which is read where Q is still conj(P), as the later versions need it.
 */
import type { Constant } from "../../ir/graph.ts";
import { kernelRules, olderParameter, type KernelRules } from "../older-s4.ts";
import type { Scheme, Stored } from "../scheme.ts";
import { as, counts, leafOf, s4Options, s4Untold } from "../sources.ts";

/** How far Q may be from conj(P), relative to the largest of P; float32 rounds to 6e-8. */
const SAME = 1e-6;

/** The length L of the nodes e^(-2 pi i k / L), k = 0 .. L/2. */
function lengthOf({ shape, data }: Constant): Float64Array | string {
  const [nodes = 0, parts = 0] = shape;
  const [, , re = 1, im = 0] = data;
  if (parts !== 2 || nodes < 1) return "omega is no list of complex nodes";
  if (nodes === 1) return Float64Array.of(1);
  const turns = (2 * Math.PI) / Math.abs(Math.atan2(im, re));
  const even = 2 * (nodes - 1);
  const length = Math.abs(turns - even) < Math.abs(turns - even - 1) ? even : even + 1;
  return Math.abs(turns - length) < 0.25
    ? Float64Array.of(length)
    : `omega has ${nodes} nodes, and its first step is 1 / ${turns} of a turn`;
}

/** One part of w, where A = diag(w) - P P^*. */
function fromPoles(at: (leaf: string) => string, shape: readonly number[], value: (w: number) => number, part: 0 | 1): Stored {
  return {
    from: [{ name: at("w"), shapes: [[...shape, 2]] }, { name: at("P") }, { name: at("Q") }],
    make: (tensor) => {
      const [w, P, Q] = [tensor(0).data, tensor(1).data, tensor(2).data];
      const scale = P.reduce((most, x) => Math.max(most, Math.abs(x)), 0);
      const same = P.length === Q.length && P.every((x, i) => Math.abs(x - (i % 2 === 0 ? 1 : -1) * (Q[i] ?? NaN)) <= SAME * scale);
      if (!same) return "Q is not conj(P): A is no diagonal plus P P^*, and may be unstable where it runs step by step";
      const values = Float64Array.from({ length: w.length / 2 }, (_, i) => value(w[2 * i + part] ?? NaN));
      return values.every(Number.isFinite) ? values : "w has a real part that is not below 0, of which there is no logarithm";
    },
  };
}

const rules: KernelRules = {
  ...kernelRules,
  A_real: (at, shape, held) => (held.has(at("w")) ? fromPoles(at, shape, (re) => Math.log(-re), 0) : kernelRules.A_real(at, shape, held)),
  A_imag: (at, shape, held) => (held.has(at("w")) ? fromPoles(at, shape, (im) => -im, 1) : kernelRules.A_imag(at, shape, held)),
  l_kernel: (at, shape, held) =>
    held.has(at("L")) ? as(at("L"), shape) : { from: [{ name: at("omega") }], make: (tensor) => lengthOf(tensor(0)) },
};

export const s4v2: Scheme = {
  name: "s4-v2",
  doc: "D and kernel.kernel.{log_dt, B, C, P} with log_w_real and w_imag, or w and Q; the length of C from the buffer omega.",
  source: "state-spaces/s4, tag v2, src/models/sequence/ss/standalone/s4.py",
  stored: (param, held) => olderParameter(param, held, rules),
  ignores: (name) => counts(name) || ["omega", "z"].includes(leafOf(name)),
  options: s4Options,
  untold: s4Untold,
};
