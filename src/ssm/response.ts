/**
 * What a discrete system answers, in float64: to a unit impulse, and to a steady oscillation. For reading a model
 * (`recurve inspect`), not for running it. The transfer function is evaluated as it is written, C (I - Abar/z)^-1 Bbar + D;
 * no truncated kernel is transformed.
 */
import { bug } from "../ir/error.ts";
import type { Constant, Dim, Graph, Node } from "../ir/graph.ts";
import { type DiscreteSystem, interpret } from "../ir/interpret.ts";
import { abs, add, type Complex, complex, complexAt, conj, div, mul, scale, sub } from "../math/complex.ts";
import { entry, type Matrix, matrix, matrixOf } from "../math/matrix.ts";
import { type Schur, schur } from "../math/schur.ts";
import { solve } from "../math/solve.ts";

/** H(z) of y_t = C x_t + D u_t: the factor by which an input z^t comes out. */
export type Transfer = (z: Complex) => Complex;

const one = complex(1);
const zero = complex(0);

/** e^(2 pi i f), f in cycles a sample. */
export const onCircle = (f: number): Complex => complex(Math.cos(2 * Math.PI * f), Math.sin(2 * Math.PI * f));

/** The part of a stored tensor that belongs to one channel, its leading dim gone. */
function part({ shape: [rows = 1, ...shape], data }: Constant, h: number): Constant {
  const size = data.length / rows;
  return { shape, data: data.subarray(h * size, (h + 1) * size) };
}

/** The transfer function of the `h`-th stored system: of channel h, or of all channels where they share one. */
export function transferFunction(system: DiscreteSystem, h: number): Transfer {
  switch (system.structure) {
    case "diagonal":
      return diagonalTransfer(part(system.abar, h), part(system.gain, h), system.d.data[h] ?? NaN);
    case "dense": {
      const { shape, data } = part(system.abar, h);
      const abar = matrixOf(shape[0] ?? 0, shape[1] ?? 0, data);
      return denseTransfer(schur(abar), part(system.bbar, h).data, part(system.c, h).data, system.d.data[h] ?? NaN);
    }
    case "dplr":
      return dplrTransfer(system, h);
  }
}

/** sum_n g_n / (1 - abar_n / z) over the stored states and, halved, over their conjugates: the response is a real part. */
function diagonalTransfer(abar: Constant, gain: Constant, d: number): Transfer {
  const n = abar.shape[0] ?? 0;
  return (z) => {
    const w = div(one, z);
    let sum = zero;
    for (let i = 0; i < n; i++) {
      const [a, g] = [complexAt(abar.data, i), complexAt(gain.data, i)];
      sum = add(sum, add(div(g, sub(one, mul(a, w))), div(conj(g), sub(one, mul(conj(a), w)))));
    }
    return add(scale(sum, 0.5), complex(d));
  };
}

/** Q^T v */
const turned = (Q: Matrix, v: Float64Array): Float64Array =>
  Float64Array.from({ length: Q.cols }, (_, j) => v.reduce((sum, x, i) => sum + x * entry(Q, i, j), 0));

/** With Abar = Q T Q^T once, every frequency is one back substitution. */
function denseTransfer({ T, Q, blocks }: Schur, bbar: Float64Array, c: Float64Array, d: number): Transfer {
  const [into, out] = [turned(Q, bbar), turned(Q, c)];
  return (z) => {
    const w = div(one, z);
    const x = Array.from({ length: T.rows }, () => zero);
    const at = (i: number): Complex => x[i] ?? zero;
    for (const { start, size } of blocks.toReversed()) {
      /** Bbar + w times what the states solved already give to row i. */
      const right = (i: number): Complex => {
        let [re, im] = [0, 0];
        for (let j = start + size; j < T.cols; j++) {
          re += entry(T, i, j) * at(j).re;
          im += entry(T, i, j) * at(j).im;
        }
        return add(complex(into[i] ?? NaN), mul(w, complex(re, im)));
      };
      const diagonal = (i: number): Complex => sub(one, scale(w, entry(T, i, i)));
      if (size === 1) x[start] = div(right(start), diagonal(start));
      else {
        const [p, q, r, s] = [
          diagonal(start),
          scale(w, -entry(T, start, start + 1)),
          scale(w, -entry(T, start + 1, start)),
          diagonal(start + 1),
        ];
        const [u, v] = [right(start), right(start + 1)];
        const determinant = sub(mul(p, s), mul(q, r));
        x[start] = div(sub(mul(u, s), mul(q, v)), determinant);
        x[start + 1] = div(sub(mul(p, v), mul(r, u)), determinant);
      }
    }
    return x.reduce((sum, value, i) => add(sum, scale(value, out[i] ?? NaN)), complex(d));
  };
}

/**
 * With s_r = Re(q_r x), X = (1 - abar/z)^-1 (Bbar - p s / z) for the states and the same of conjugates for theirs, so
 * that s solves (I + M(p) / z) s = M(Bbar), M(v)_r = Re-like(q_r (1 - abar/z)^-1 v).
 */
function dplrTransfer(system: Extract<DiscreteSystem, { structure: "dplr" }>, h: number): Transfer {
  const [abar, bbar, c] = [part(system.abar, h), part(system.bbar, h), part(system.c, h)];
  const [p, q] = [part(system.p, h), part(system.q, h)];
  const [rank = 0, n = 0] = p.shape;
  const row = ({ data }: Constant, r: number): Float64Array => data.subarray(2 * r * n, 2 * (r + 1) * n);
  return (z) => {
    const w = div(one, z);
    const poles = Array.from({ length: n }, (_, i) => {
      const a = complexAt(abar.data, i);
      return [div(one, sub(one, mul(a, w))), div(one, sub(one, mul(conj(a), w)))] as const;
    });
    /** Half of l (1 - abar/z)^-1 r and of the same of the conjugates. */
    const between = (l: Float64Array, r: Float64Array): Complex =>
      poles.reduce((sum, [own, other], i) => {
        const product = mul(complexAt(l, i), complexAt(r, i));
        return add(sum, scale(add(mul(product, own), mul(conj(product), other)), 0.5));
      }, zero);
    const rows = Array.from({ length: rank }, (_, r) => row(q, r));
    const left = rows.map((l, r) => Array.from({ length: rank }, (_, k) => add(complex(r === k ? 1 : 0), mul(w, between(l, row(p, k))))));
    const s = solveComplex(
      left,
      rows.map((l) => between(l, bbar.data)),
    );
    const direct = add(between(c.data, bbar.data), complex(system.d.data[h] ?? NaN));
    return s.reduce((sum, value, r) => sub(sum, mul(mul(w, value), between(c.data, row(p, r)))), direct);
  };
}

/** A few complex equations as twice as many real ones; NaN where they are singular, at a pole. */
function solveComplex(left: readonly (readonly Complex[])[], right: readonly Complex[]): readonly Complex[] {
  const n = right.length;
  const at = (i: number, j: number): Complex => left[i]?.[j] ?? zero;
  const real = matrix(2 * n, 2 * n, (i, j) => {
    const value = at(i % n, j % n);
    return i < n === j < n ? value.re : i < n ? -value.im : value.im;
  });
  const x = solve(
    real,
    matrix(2 * n, 1, (i) => right[i % n]?.[i < n ? "re" : "im"] ?? NaN),
  );
  return right.map((_, i) => complex(x?.data[i] ?? NaN, x?.data[n + i] ?? NaN));
}

/** H(z) = sum_k w_k z^-k of a causal kernel, `taps` with the newest input's first. */
export const kernelTransfer =
  (taps: Float64Array): Transfer =>
  (z) => {
    const w = div(one, z);
    return taps.reduceRight((sum, tap) => add(mul(sum, w), complex(tap)), zero);
  };

/** Shapes: one array of `steps` for each of `channels`, which number stored systems. */
export function impulseResponses(system: DiscreteSystem, channels: readonly number[], steps: number): readonly Float64Array[] {
  const H = channels.length;
  const { structure, ...tensors } = system;
  const operands = Object.entries<Constant>(tensors).map(([name, value]) => {
    const parts = channels.map((h) => part(value, h));
    const shape = [H, ...value.shape.slice(1)];
    const data = Float64Array.from(parts.flatMap((p) => [...p.data]));
    return { name, value: { shape, data } };
  });
  const dims: readonly Dim[] = [
    { name: "B", size: "B" },
    { name: "L", size: "L" },
    { name: "H", size: H },
  ];
  const params = operands.map(({ name, value: { shape } }): Node => ({
    op: "param",
    name,
    type: { dtype: "f32", dims: shape.map((size, i) => ({ name: `${i}`, size })) },
    args: [],
  }));
  const type = { dtype: "f32", dims } as const;
  const form = { stage: "discrete", structure, state: system.abar.shape[1] ?? 0 } as const;
  const nodes: readonly Node[] = [
    { op: "input", name: "u", type, args: [] },
    ...params,
    { op: "ssm", form, type, args: [0, ...params.map((_, i) => i + 1)] },
  ];
  const graph: Graph = { name: "impulse", nodes, outputs: [{ name: "y", value: nodes.length - 1 }] };
  const u: Constant = { shape: [1, steps, H], data: new Float64Array(steps * H).fill(1, 0, H) };
  const values = new Map(operands.map(({ name, value }) => [name, value]));
  const y = interpret(graph, values, new Map([["u", u]])).outputs.get("y")?.data ?? bug("no response");
  return channels.map((_, k) => Float64Array.from({ length: steps }, (_unused, t) => y[t * H + k] ?? NaN));
}

/** Poles as near to the circle as this have a peak no drawing holds. */
const undamped = 1e-9;

/**
 * Frequencies that show a system with these discrete poles: evenly spaced in the logarithm from below its slowest decay to
 * half a cycle a sample, and where each pole resonates that decays at all. Units: cycles a sample.
 */
export function telling(poles: readonly Complex[], count = 192): Float64Array {
  const slowest = Math.min(1, ...poles.map((z) => Math.abs(1 - abs(z))));
  const low = Math.min(1e-2, Math.max(1e-6, slowest / (20 * Math.PI)));
  const even = Array.from({ length: count }, (_, i) => low * (0.5 / low) ** (i / (count - 1)));
  const resonant = poles
    .filter((z) => abs(z) < 1 - undamped)
    .map(({ re, im }) => Math.abs(Math.atan2(im, re)) / (2 * Math.PI))
    .filter((f) => f > low && f < 0.5);
  return Float64Array.from(new Set([...even, ...resonant])).sort();
}
