/** C told from C (I - Abar^L): by the series where rows decay, by powers where they do not. */
import { expect, test } from "vitest";
import { complex, complexArray, complexAt, sub } from "../../src/math/complex.ts";
import { random } from "../../src/math/random.ts";
import { step } from "../../src/runtime/powers.ts";
import { discretizeSystem } from "../../src/ssm/discretize.ts";
import { discretizationNamed } from "../../src/ssm/discretizations.ts";
import { nplr } from "../../src/ssm/nplr.ts";
import { outputOfTruncated } from "../../src/ssm/truncated-output.ts";
import { dplr } from "./runs.ts";

const rule = discretizationNamed("bilinear");

/** [init, N, rank, step size, length]: rows that are nothing at once, soon, after many terms, and never. */
const cases = [
  ["legs", 16, 1, 0.1, 2000],
  ["legs", 64, 1, 0.01, 16_384],
  ["legs", 32, 1, 0.001, 3001],
  ["legs", 32, 1, 0.001, 512],
  ["legt", 16, 2, 0.002, 1024],
  ["legs", 16, 1, 1e-4, 64],
  ["legs", 8, 1, 0.001, 16],
] as const;

test.each(cases)("%s, N = %d, rank %d, step size %d, %d steps", (init, N, rank, delta, length) => {
  const next = random(7, init);
  const { lambda, P, B } = nplr(init, N, rank);
  const C = lambda.map(() => complex(next.normal(), next.normal()));
  const system = dplr(lambda, P, B, C, delta);
  const discrete = discretizeSystem(system, rule);
  if (discrete.structure !== "dplr") throw new Error("no longer of low rank");
  const dual = { a: discrete.abar.data, p: discrete.q.data, q: discrete.p.data, inner: new Float64Array(rank) };
  const after = system.C.slice();
  for (let l = 0; l < length; l++) step(after, dual);
  const truncated = complexArray(C.length, (i) => sub(complexAt(system.C, i), complexAt(after, i)));
  const found = outputOfTruncated({ ...system, C: truncated }, rule, length);
  const scale = Math.max(...system.C.map(Math.abs));
  const error = Math.max(...found.map((value, i) => Math.abs(value - (system.C[i] ?? NaN)))) / scale;
  expect(error).toBeLessThan(1e-9);
});
