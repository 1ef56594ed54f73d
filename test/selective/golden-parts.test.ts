/** The golden op cases of what stands around a recurrence: causal convolutions and gated norms, in float64 and on the device. */
import { describe, expect, onTestFinished, test } from "vitest";
import { compileGraph } from "../../src/compile.ts";
import { graphBuilder } from "../../src/ir/build.ts";
import { arg, call } from "../../src/ir/expr.ts";
import type { Constant, Graph } from "../../src/ir/graph.ts";
import { emptyState, interpret } from "../../src/ir/interpret.ts";
import { relativeError } from "../math/golden.ts";
import { loadCompiled, toInputs } from "../setup/execute.ts";
import { sharedDevice } from "../setup/shared-device.ts";
import { opCases, opTensor, type OpCase } from "./golden.ts";

interface Part {
  readonly graph: Graph;
  readonly constants: ReadonlyMap<string, Constant>;
  readonly inputs: ReadonlyMap<string, Constant>;
  readonly y: Constant;
  /** The last K - 1 inputs before the first, oldest first, as a stream keeps them. */
  readonly before?: Float64Array | undefined;
}

const silu = call("mul", arg(0), call("sigmoid", arg(0)));
const gate = call("mul", arg(0), call("mul", arg(1), call("sigmoid", arg(1))));

async function convolution(c: OpCase): Promise<Part> {
  const of = (name: string): Promise<Constant> => opTensor(`${c.name}.in.${name}`);
  const [x, w] = [await of("x"), await of("w")];
  const [H = 0, K = 0] = w.shape;
  const g = graphBuilder("conv");
  const constants = new Map([["w", w]]);
  const input = g.input("x", sequence(H));
  let y = g.conv(
    input,
    g.param("w", [
      { name: "H", size: H },
      { name: "K", size: K },
    ]),
  );
  if (c.inputs.includes("b")) {
    constants.set("b", await of("b"));
    y = g.map(call("add", arg(0), arg(1)), [y, g.param("b", [{ name: "H", size: H }])]);
  }
  if (c.opts["silu"] === true) y = g.map(silu, [y]);
  const graph = g.finish([{ name: "y", value: y }]);
  return { graph, constants, inputs: new Map([["x", x]]), y: await opTensor(`${c.name}.out.y`), before: await kept(c, H, K) };
}

/** From the golden state, `[B H K]`, of which a step never reads the oldest. */
async function kept(c: OpCase, H: number, K: number): Promise<Float64Array | undefined> {
  if (!c.inputs.includes("state")) return undefined;
  const { shape, data } = await opTensor(`${c.name}.in.state`);
  const rows = (shape[0] ?? 0) * (K - 1);
  return Float64Array.from({ length: rows * H }, (_, i) => {
    const [b, k, h] = [Math.floor(i / (H * (K - 1))), Math.floor(i / H) % (K - 1), i % H];
    return data[(b * H + h) * K + k + 1] ?? NaN;
  });
}

async function norm(c: OpCase): Promise<Part> {
  const of = (name: string): Promise<Constant> => opTensor(`${c.name}.in.${name}`);
  const [x, w] = [rows(await of("x")), await of("w")];
  const H = w.data.length;
  const g = graphBuilder("norm");
  const inputs = new Map([["x", x]]);
  const input = g.input("x", sequence(H));
  const gated = c.inputs.includes("z");
  if (gated) inputs.set("z", rows(await of("z")));
  const z = gated ? g.input("z", sequence(H)) : undefined;
  const first = c.opts["norm_before_gate"] === true;
  const source = z === undefined || first ? input : g.map(gate, [input, z]);
  const size = c.opts["group_size"];
  const normed = g.norm(source, "rms", Number(c.opts["eps"]), undefined, size === null ? 1 : H / Number(size));
  const scaled = g.map(call("mul", arg(0), arg(1)), [normed, g.param("w", [{ name: "H", size: H }])]);
  const value = z === undefined || !first ? scaled : g.map(gate, [scaled, z]);
  const graph = g.finish([{ name: "y", value }]);
  return { graph, constants: new Map([["w", w]]), inputs, y: rows(await opTensor(`${c.name}.out.y`)) };
}

/** `[.. H]` as sequences. */
const rows = ({ shape, data }: Constant): Constant => {
  const H = shape.at(-1) ?? 1;
  return shape.length === 3 ? { shape, data } : { shape: [1, data.length / H, H], data };
};

const sequence = (size: number) => ({
  dtype: "f32" as const,
  dims: [
    { name: "B", size: "B" as const },
    { name: "L", size: "L" as const },
    { name: "H", size },
  ],
});

const cases = opCases.filter(({ op }) => ["causal_conv", "gated_rmsnorm"].includes(op));

describe("what stands around a recurrence", () => {
  test.each(cases)("$op $name", async (c) => {
    const { graph, constants, inputs, y, before } = await (c.op === "causal_conv" ? convolution(c) : norm(c));
    const node = graph.nodes.findIndex((n) => n.op === "conv");
    const state = before === undefined ? emptyState : { position: 0, nodes: new Map([[node, before]]) };
    expect(relativeError(interpret(graph, constants, inputs, { state }).outputs.get("y")?.data ?? [], y.data)).toBeLessThan(1e-12);
    const compiled = await compileGraph(graph, constants, { maxLength: 64 });
    const model = await loadCompiled(compiled, { device: await sharedDevice() });
    const stream = await model.stream({ batch: y.shape[0] ?? 1 });
    onTestFinished(() => stream.destroy());
    const start = await stream.save();
    if (before !== undefined)
      await stream.restore({
        ...start,
        states: Object.fromEntries(Object.keys(start.states).map((name) => [name, Float32Array.from(before)])),
      });
    const found = await stream.push(toInputs(compiled, inputs));
    expect(relativeError(found["y"]?.data ?? [], y.data)).toBeLessThan(2e-5);
  });
});
