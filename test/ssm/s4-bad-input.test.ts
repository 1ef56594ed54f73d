/** The families of the published S4 layer refuse what contradicts itself, and say what does. */
import { describe, expect, test } from "vitest";
import type { Constant, SsmForm } from "../../src/ir/graph.ts";
import { random } from "../../src/math/random.ts";
import { familySystem } from "../../src/ssm/evaluate.ts";
import { familyNamed } from "../../src/ssm/families.ts";
import { paramDims } from "../../src/ssm/family.ts";
import { storedValue, transformNamed, transformNames } from "../../src/ssm/transforms.ts";

const sizes = { H: 4, N: 4, M: 1, P: 1, Q: 1, G: 4, R: 1, S: 4, T: 1 };
type Options = Extract<SsmForm, { stage: "family" }>["options"];

function evaluate(changes: Partial<typeof sizes> = {}, options: Options = {}, replaced: Readonly<Record<string, Constant>> = {}): void {
  const s4 = familyNamed("s4");
  const operands = [...paramDims(s4, { ...sizes, ...changes })].map(([param, dims]) => {
    const shape = dims.map((d) => Number(d.size));
    return replaced[param] ?? { shape, data: s4.initialize(param, shape, {}, random(1, param)) };
  });
  familySystem({ stage: "family", family: "s4", discretization: "bilinear", state: 4, options }, operands, { channels: 4 });
}
const lone = (value: number): Constant => ({ shape: [], data: Float64Array.of(value) });
const refused = (code: string, message: string): unknown => expect.objectContaining({ code, message: expect.stringContaining(message) });

describe("shapes", () => {
  test.each([
    ["systems that the features cannot share", { S: 3 }, {}, "3 systems cannot be shared by 4 features"],
    ["features and outputs that make other channels", { G: 2, S: 1 }, {}, "2 features of 1 outputs each make 2 channels, not 4"],
    ["rows of C for half a direction", { Q: 3 }, {}, "C has 3 rows for 1 outputs"],
    ["no rows of C for the way back", {}, { direction: "backward" }, "C has no rows for a system that runs backwards"],
    ["step sizes for some states", { T: 3 }, {}, "3 step sizes for 2 states"],
    ["several inputs", { M: 2 }, {}, "B has 2 inputs"],
  ])("%s", (_, changes, options, message) => {
    expect(() => evaluate()).not.toThrow();
    expect(() => evaluate(changes, options as Options)).toThrowError(refused("ssm-shape", message));
  });
});

describe("ssm-length", () => {
  test.each([1.5, -1])("l_kernel of %d is no number of steps", (length) => {
    expect(() => evaluate({}, {}, { l_kernel: lone(length) })).toThrowError(refused("ssm-length", `l_kernel is ${length}`));
  });

  test.each([1.5, -1])("l_max of %d is no number of steps", (l_max) => {
    expect(() => evaluate({}, { l_max })).toThrowError(refused("ssm-length", `l_max is ${l_max}`));
  });

  test("a kernel cut off after more steps than C was made for contradicts it; after as many or fewer it does not", () => {
    const made = { l_kernel: lone(64) };
    expect(() => evaluate({}, { l_max: 65 }, made)).toThrowError(refused("ssm-length", "C was made for kernels of 64 steps"));
    expect(() => evaluate({}, { l_max: 64 }, made)).not.toThrow();
    expect(() => evaluate({}, { l_max: 65 })).not.toThrow();
  });

  test("a system that does not change within L steps does not tell C from C (I - Abar^L)", () => {
    const still = { shape: [4, 2], data: new Float64Array(8) };
    const noP = { shape: [1, 4, 2, 2], data: new Float64Array(16) };
    const replaced = { A_real: still, A_imag: still, P: noP, l_kernel: lone(8) };
    expect(() => evaluate({}, { real_transform: "none" }, replaced)).toThrowError(refused("ssm-length", "I - Abar^8"));
  });
});

describe("transforms", () => {
  test.each(transformNames)("%s gives back what it stores", (name) => {
    for (const value of [1e-3, 0.3, 0.99]) expect(transformNamed(name).value(storedValue(name, value))).toBeCloseTo(value, 12);
    if (name === "none" || name === "sigmoid") return;
    for (const value of [1, 40, 700]) expect(transformNamed(name).value(storedValue(name, value)) / value).toBeCloseTo(1, 12);
  });

  test("softplus of large numbers neither overflows nor vanishes", () => {
    const { value } = transformNamed("softplus");
    expect([value(1000), value(-30) / Math.exp(-30)]).toEqual([1000, expect.closeTo(1, 12)]);
  });

  test("one that reaches no such start, and one that is none, are refused", () => {
    const start = (options: Options): unknown => familyNamed("s4").initialize("A_real", [4, 2], options, random(1, "a"));
    expect(() => start({ init: "diag-real", real_transform: "sigmoid" })).toThrowError(
      refused("ssm-option", "sigmoid reaches no starting value"),
    );
    expect(() => start({ real_transform: "square" })).toThrowError(refused("ssm-option", "square"));
    expect(() => transformNamed("square")).toThrowError(refused("ssm-option", 'no transform "square"'));
  });
});

test("an unknown start, and a basis of a higher rank than P has, are refused", () => {
  const start = (init: string): unknown => familyNamed("s4").initialize("P", [1, 4, 2, 2], { init }, random(1, "P"));
  expect(() => start("hermite")).toThrowError(refused("ssm-option", "hermite"));
  expect(() => start("legt")).toThrowError(refused("ssm-option", "rank 2"));
});
