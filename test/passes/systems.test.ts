/** The passes structure and discretize as text, and the numbers they leave. */
import { describe, expect, test } from "vitest";
import { discretize } from "../../src/passes/discretize.ts";
import type { Module } from "../../src/passes/pass.ts";
import { structure } from "../../src/passes/structure.ts";
import { expectRewrite } from "./texts.ts";

/** The values of `cell:A`, ... by role; digits that rounding leaves are cut. */
const valuesOf = ({ constants }: Module): Record<string, number[]> =>
  Object.fromEntries(
    [...constants].flatMap(([name, { data }]) => {
      const [, role] = name.split(":");
      return role === undefined ? [] : [[role, [...data].map((x) => Math.round(x * 1e12) / 1e12 + 0)]];
    }),
  );

const dense = (after: string): string => `
  %0: [B L H=1] = input u
  %1: [N=2 N2=2] = param cell.A
  %2: [N=2 M=1] = param cell.B
  %3: [P=1 N=2] = param cell.C
  %4: [P=1 M=1] = param cell.D
  %5: [] = param cell.delta
  %6: [B L H=1] = ssm family dense zoh state=2 options={} %0 %1 %2 %3 %4 %5
  return y: %6
  ---
  ${after}`;

const poles = `
  %0: [B L H=1] = input u
  %1: [H=1 N=1 c=2] = param "cell:A"
  %2: [H=1 N=1 c=2] = param "cell:B"
  %3: [H=1 N=1 c=2] = param "cell:C"
  %4: [H=1] = param "cell:D"
  %5: [H=1 N=1] = param "cell:delta"
  %6: [B L H=1] = ssm continuous diagonal zoh state=1 pairs %0 %1 %2 %3 %4 %5
  return y: %6`;

describe("structure", () => {
  test("s4d becomes A, B, C, D and a step size, one pole of each conjugate pair", () => {
    const module = expectRewrite(
      structure,
      `%0: [B L H=1] = input u
       %1: [H=1 N=1 c=2] = param cell.C
       %2: [H=1] = param cell.log_dt
       %3: [H=1 N=1] = param cell.log_A_real
       %4: [H=1 N=1] = param cell.A_imag
       %5: [H=1] = param cell.D
       %6: [B L H=1] = ssm family s4d zoh state=2 options={} %0 %1 %2 %3 %4 %5
       return y: %6
       ---
       ${poles}`,
      { "cell.C": [1, -2], "cell.log_dt": [Math.log(0.5)], "cell.log_A_real": [0], "cell.A_imag": [3], "cell.D": [5] },
    );
    expect(valuesOf(module)).toEqual({ A: [-1, 3], B: [1, 0], C: [1, -2], D: [5], delta: [0.5] });
  });

  test("a finite response becomes a convolution, its taps oldest first", () => {
    const module = expectRewrite(
      structure,
      `%0: [B L H=1] = input u
       %1: [H=1 N=3] = param cell.B
       %2: [H=1 N=3] = param cell.C
       %3: [H=1] = param cell.D
       %4: [B L H=1] = ssm family shift zoh state=3 options={} %0 %1 %2 %3
       return y: %4
       ---
       %0: [B L H=1] = input u
       %1: [H=1 K=3] = param "cell:taps"
       %2: [B L H=1] = conv %0 %1
       return y: %2`,
      { "cell.B": [1, 10, 0], "cell.C": [1, 2, 3], "cell.D": [5] },
    );
    expect(valuesOf(module)).toEqual({ taps: [3, 32, 26] });
  });

  test("a dense A that rotates and decays is normal, and becomes one pole of its pair", () => {
    const values = { "cell.A": [-1, -2, 2, -1], "cell.B": [1, 0], "cell.C": [1, 0], "cell.D": [5], "cell.delta": [0.5] };
    const { A, B, C, D, delta } = valuesOf(expectRewrite(structure, dense(poles), values));
    expect([A?.[0], Math.abs(A?.[1] ?? NaN), D, delta]).toEqual([-1, 2, [5], [0.5]]);
    const [[br = 0, bi = 0] = [], [cr = 0, ci = 0] = []] = [B, C];
    // exp(-t) cos(2t) is half of each pole of the pair.
    expect(br * cr - bi * ci).toBeCloseTo(0.5, 11);
    expect(br * ci + bi * cr).toBeCloseTo(0, 11);
  });

  test("a dense A that is not normal stays dense", () => {
    const values = { "cell.A": [-1, 4, 0, -2], "cell.B": [1, 0], "cell.C": [0, 1], "cell.D": [5], "cell.delta": [0.5] };
    const module = expectRewrite(
      structure,
      dense(`
        %0: [B L H=1] = input u
        %1: [G=1 N=2 N2=2] = param "cell:A"
        %2: [G=1 N=2] = param "cell:B"
        %3: [G=1 N=2] = param "cell:C"
        %4: [G=1] = param "cell:D"
        %5: [G=1] = param "cell:delta"
        %6: [B L H=1] = ssm continuous dense zoh state=2 %0 %1 %2 %3 %4 %5
        return y: %6`),
      values,
    );
    expect(valuesOf(module)).toEqual({ A: [-1, 4, 0, -2], B: [1, 0], C: [0, 1], D: [5], delta: [0.5] });
  });
});

const discretePoles = `
  %0: [B L H=1] = input u
  %1: [H=1 N=1 c=2] = param "cell:abar"
  %2: [H=1 N=1 c=2] = param "cell:gain"
  %3: [H=1] = param "cell:d"
  %4: [B L H=1] = ssm discrete diagonal state=1 %0 %1 %2 %3
  return y: %4`;

/** A real pole at -1 over ln 2: half of the state is left, half of the input gets in. */
const halving = { "cell:A": [-1, 0], "cell:B": [1, 0], "cell:C": [3, 0], "cell:D": [2], "cell:delta": [Math.LN2] };

describe("discretize", () => {
  test("a pole becomes its exponential, and B and C its gain", () => {
    const module = expectRewrite(discretize, `${poles.replace(" pairs", "")}\n---\n${discretePoles}`, halving);
    expect(valuesOf(module)).toMatchObject({ abar: [0.5, 0], gain: [1.5, 0], d: [2] });
  });

  test("the gain of a conjugate pair is twice that of its stored pole", () => {
    const module = expectRewrite(discretize, `${poles}\n---\n${discretePoles}`, halving);
    expect(valuesOf(module)).toMatchObject({ abar: [0.5, 0], gain: [3, 0], d: [2] });
  });

  test("a dense system keeps its B and C apart", () => {
    const module = expectRewrite(
      discretize,
      `%0: [B L H=3] = input u
       %1: [G=1 N=1 N2=1] = param "cell:A"
       %2: [G=1 N=1] = param "cell:B"
       %3: [G=1 N=1] = param "cell:C"
       %4: [G=1] = param "cell:D"
       %5: [G=1] = param "cell:delta"
       %6: [B L H=3] = ssm continuous dense bilinear state=1 %0 %1 %2 %3 %4 %5
       return y: %6
       ---
       %0: [B L H=3] = input u
       %1: [G=1 N=1 N2=1] = param "cell:abar"
       %2: [G=1 N=1] = param "cell:bbar"
       %3: [G=1 N=1] = param "cell:c"
       %4: [G=1] = param "cell:d"
       %5: [B L H=3] = ssm discrete dense state=1 %0 %1 %2 %3 %4
       return y: %5`,
      { "cell:A": [-2], "cell:B": [3], "cell:C": [7], "cell:D": [5], "cell:delta": [0.5] },
    );
    // (1 - 1/2) / (1 + 1/2), and 3 / 2 / (1 + 1/2)
    expect(valuesOf(module)).toMatchObject({ abar: [0.333333333333], bbar: [1], c: [7], d: [5] });
  });
});
