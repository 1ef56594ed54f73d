/**
 * The golden blocks of the published S4 layer on the device, in float32 within 1e-5 of their scale, Fourier included: every mode, other rates and lengths,
 * and any chunks of a stream.
 */
import { describe, expect, test } from "vitest";
import { compileGraph, type Compiled } from "../../src/compile.ts";
import type { Constant } from "../../src/ir/graph.ts";
import type { TensorOutput } from "../../src/runtime/api.ts";
import { errorOf, loadCompiled, rounded, toInputs, type AnyModel } from "../setup/execute.ts";
import { sharedDevice } from "../setup/shared-device.ts";
import { type GoldenBlock, goldenBlock, type Kernel } from "../ssm/s4-block.ts";

const tolerance = 1e-5;

async function open(block: GoldenBlock, rate = 1): Promise<{ compiled: Compiled; model: AnyModel }> {
  const compiled = await compileGraph(block.graph, block.constants, { maxLength: 128, rate });
  return { compiled, model: await loadCompiled(compiled, { device: await sharedDevice() }) };
}

/** Steps `from` to `to` of every sequence. */
function cut({ shape: [B = 0, L = 0, H = 0], data }: Constant, from: number, to: number): Constant {
  const size = (to - from) * H;
  return {
    shape: [B, to - from, H],
    data: Float64Array.from({ length: B * size }, (_, i) => data[Math.floor(i / size) * L * H + from * H + (i % size)] ?? NaN),
  };
}

/** Runs `x` in every mode the model has and compares with `y`. */
async function everyMode(
  { compiled, model }: { compiled: Compiled; model: AnyModel },
  x: Constant,
  y: Constant,
  what: string,
): Promise<void> {
  for (const mode of model.info.modes) {
    const found = await model.run(toInputs(compiled, rounded(new Map([["x", x]]))), { mode });
    expect.soft(errorOf(found, new Map([["y", y]])), `${what} ${mode}`).toBeLessThan(tolerance);
  }
}

const cases: readonly (readonly [string, Kernel, readonly string[]])[] = [
  ["block_diag_bandlimit", "whole", ["convolution", "recurrence", "scan"]],
  ["block_diag_dss", "whole", ["convolution", "recurrence", "scan"]],
  ["block_diag_inv_bilinear_nssm", "whole", ["convolution", "recurrence", "scan"]],
  ["block_diag_legs_bidir", "whole", ["convolution", "scan"]],
  ["block_diag_lin_zoh", "whole", ["convolution", "recurrence", "scan"]],
  ["block_diag_real_softplus", "whole", ["convolution", "recurrence", "scan"]],
  ["block_dplr_fout_ch2", "whole", ["convolution", "recurrence"]],
  ["block_dplr_glu_mix", "whole", ["convolution", "recurrence"]],
  ["block_dplr_hippo_bidir", "whole", ["convolution"]],
  ["block_dplr_legs", "whole", ["convolution", "recurrence"]],
  ["block_dplr_legs_ctilde", "whole", ["convolution", "recurrence"]],
  ["block_dplr_legs_ctilde", "cut", ["recurrence"]],
  ["block_dplr_legt_rank2", "whole", ["convolution", "recurrence"]],
];

describe("every mode, rate and length", () => {
  test.each(cases)("%s, its kernel %s", { timeout: 300_000 }, async (name, kernel, modes) => {
    const block = await goldenBlock(name, kernel);
    const x = await block.read("x");
    const own = await open(block);
    if (kernel === "whole") expect(own.model.info.modes.toSorted()).toEqual(modes);
    else expect(own.model.info.modes).toEqual(expect.arrayContaining([...modes]));
    await everyMode(own, x, await block.read("y"), "y");
    for (const tensor of block.names) {
      const rate = /^y_rate_(.*)_exact$/.exec(tensor)?.[1];
      const length = /^y_L(\d+)$/.exec(tensor)?.[1];
      const beyond = kernel === "whole" && block.config.l_max !== undefined && block.config.l_max !== null;
      if (beyond || (rate === undefined && length === undefined)) continue;
      const at = rate === undefined ? own : await open(block, Number(rate));
      await everyMode(at, length === undefined ? x : await block.read(`x_L${length}`), await block.read(tensor), tensor);
    }
  });
});

describe("any chunks of a stream", () => {
  const streams = cases.filter(([, , modes]) => modes.includes("recurrence"));
  test.each(streams)("%s, its kernel %s", { timeout: 300_000 }, async (name, kernel) => {
    const block = await goldenBlock(name, kernel);
    const { compiled, model } = await open(block);
    const [x, y] = [await block.read("x"), await block.read("y")];
    const [B = 0, L = 0] = x.shape;
    const stream = await model.stream({ batch: B });
    const places = [0, 1, 6, 7, L];
    const largest = y.data.reduce((most, v) => Math.max(most, Math.abs(v)), 0);
    for (const [i, from] of places.slice(0, -1).entries()) {
      const to = places[i + 1] ?? L;
      const found: Record<string, TensorOutput> = await stream.push(toInputs(compiled, rounded(new Map([["x", cut(x, from, to)]]))));
      const want = cut(y, from, to).data;
      const worst = want.reduce((most, v, k) => Math.max(most, Math.abs(v - (found["y"]?.data[k] ?? NaN))), 0);
      expect(worst / largest).toBeLessThan(tolerance);
    }
  });
});
