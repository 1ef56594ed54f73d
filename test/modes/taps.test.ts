import { expect, test } from "vitest";
import { sequence } from "../../src/dsl/index.ts";
import { compileGraph } from "../../src/compile.ts";
import { graphBuilder } from "../../src/ir/build.ts";
import type { Constant } from "../../src/ir/graph.ts";
import { type GraphState, interpret } from "../../src/ir/interpret.ts";
import { errorOf, loadCompiled, toInputs } from "../setup/execute.ts";
import { random } from "../setup/random-graph.ts";
import { sharedDevice } from "../setup/shared-device.ts";

test.each([1, 16, 17, 18, 40])(
  "a depthwise convolution of %i taps is the same whole, in chunks and step by step; its shader does not grow",
  async (taps) => {
    const uniform = random(taps);
    const g = graphBuilder("taps");
    const [B, L, H] = [2, 50, 3];
    const x = g.input("x", sequence(H).type);
    const w = g.param("w", [
      { name: "H", size: H },
      { name: "K", size: taps },
    ]);
    const graph = g.finish([{ name: "y", value: g.conv(x, w) }]);
    const constants = new Map([
      ["w", { shape: [H, taps], data: Float64Array.from({ length: H * taps }, () => Math.fround(uniform() - 0.5)) }],
    ]);
    const inputs = new Map([
      ["x", { shape: [B, L, H], data: Float64Array.from({ length: B * L * H }, () => Math.fround(uniform() - 0.5)) }],
    ]);
    const expected = interpret(graph, constants, inputs).outputs;
    const compiled = await compileGraph(graph, constants, { maxLength: 64 });
    for (const { wgsl } of compiled.plan.kernels) expect(wgsl.length).toBeLessThan(4000);
    const model = await loadCompiled(compiled);
    for (const mode of model.info.modes)
      expect(errorOf(await model.run(toInputs(compiled, inputs), { mode }), expected), mode).toBeLessThan(1e-6);
    const stream = await model.stream({ batch: B });
    const first = await stream.push({ x: { data: cut(0, 21), dims: [B, 21, H] } });
    const second = await stream.push({ x: { data: cut(21, L), dims: [B, L - 21, H] } });
    for (let b = 0; b < B; b++)
      for (let i = 0; i < L * H; i++) {
        const got = i < 21 * H ? first["y"]?.data[b * 21 * H + i] : second["y"]?.data[b * (L - 21) * H + i - 21 * H];
        expect(got).toBeCloseTo(expected.get("y")?.data[b * L * H + i] ?? NaN, 5);
      }
    function cut(from: number, to: number): Float32Array<ArrayBuffer> {
      const data = inputs.get("x")?.data ?? new Float64Array();
      return Float32Array.from(
        { length: B * (to - from) * H },
        (_, i) => data[Math.floor(i / ((to - from) * H)) * L * H + from * H + (i % ((to - from) * H))] ?? NaN,
      );
    }
  },
);

// What the inputs kept add to a push: by direct sums, by an FFT of all of them, in one dispatch or in three, and to pushes longer than the taps.
test.each([
  [300, 60, "conv_response"],
  [300, 180, "fft_line"],
  [200, 260, "fft_line"],
  [2100, 90, "fft_columns_inverse"],
])("a stream resumes a convolution of %i taps by pushes of %i", async (taps, L, kernel) => {
  const uniform = random(taps + L);
  const numbers = (...shape: number[]): Constant => ({
    shape,
    data: Float64Array.from({ length: shape.reduce((a, b) => a * b, 1) }, () => Math.fround(uniform() - 0.5)),
  });
  const g = graphBuilder("taps");
  const [B, H, first] = [2, 2, Math.max(L, taps)];
  const w = g.param("w", [
    { name: "H", size: H },
    { name: "K", size: taps },
  ]);
  const graph = g.finish([{ name: "y", value: g.conv(g.input("x", sequence(H).type), w) }]);
  const constants = new Map([["w", numbers(H, taps)]]);
  const compiled = await compileGraph(graph, constants, { maxLength: 4096 });
  expect(compiled.plan.kernels.map(({ name }) => name)).toContain(kernel);
  const model = await loadCompiled(compiled, { device: await sharedDevice() });
  const stream = await model.stream({ batch: B });
  let state: GraphState | undefined;
  for (const length of [first, L, L]) {
    const inputs = new Map([["x", numbers(B, length, H)]]);
    const expected = interpret(graph, constants, inputs, state === undefined ? {} : { state });
    state = expected.state;
    // An FFT of P points errs by up to 6e-8 log2(P) |w| |x|, which is about that of the largest of a hundred results.
    expect(errorOf(await stream.push(toInputs(compiled, inputs)), expected.outputs), `${length}`).toBeLessThan(1e-5);
  }
});
