/** Golden checkpoints in float64: what is read from a folder is the published model. Blocks of Mamba-3 also on the device. */
import { copyFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { readCheckpoint } from "../../src/checkpoints/checkpoint.ts";
import { compileGraph } from "../../src/compile.ts";
import { model, sequence } from "../../src/dsl/index.ts";
import type { Constants, Graph } from "../../src/ir/graph.ts";
import { interpret } from "../../src/ir/interpret.ts";
import { mamba3Block, type Mamba3BlockOptions } from "../../src/models/index.ts";
import { init } from "../../src/passes/init.ts";
import { evaluateSystem } from "../../src/ssm/evaluate.ts";
import { loadWeights } from "../../src/weights/load.ts";
import type { TensorFile } from "../../src/weights/safetensors.ts";
import { mamba } from "../../src/weights/schemes/mamba.ts";
import { scratch } from "../cli/cli.ts";
import { loadCompiled, toInputs } from "../setup/execute.ts";
import { sharedDevice } from "../setup/shared-device.ts";
import { relativeError } from "../math/golden.ts";
import { goldenFile, goldenModels, goldenPath, nameOf, tensorOf } from "./golden.ts";

/** The values from a checkpoint, and those of the model's own numbers. */
const withFixed = (graph: Graph, constants: Constants): Constants =>
  init.run({ graph, constants }, { seed: 0, note: (note) => expect.fail(note), warn: (warning) => expect.fail(warning) }).constants;

describe("the logits of a golden checkpoint", () => {
  test.each(goldenModels.map((golden) => [nameOf(golden), golden] as const))(
    "%s",
    async (_, { item, form, options, variant = "", ...sizes }) => {
      const { graph, constants, vocabulary } = await readCheckpoint(goldenPath(`${item}/${form}`), options);
      const file = await goldenFile(`${item}/golden.safetensors`);
      const logits = await tensorOf(file, `${variant}logits`);
      const { outputs } = interpret(graph, withFixed(graph, constants), new Map([["ids", await tensorOf(file, "input_ids")]]), {
        systems: evaluateSystem,
      });
      expect(outputs.get("logits")?.shape).toEqual(logits.shape);
      expect({ vocabulary, rows: logits.shape.at(-1) }).toEqual(sizes);
      expect(relativeError(outputs.get("logits")?.data ?? [], logits.data)).toBeLessThan(1e-11);
    },
  );

  test("mamba1-a from pytorch_model.bin: the same values", async () => {
    const folder = await scratch();
    for (const name of ["config.json", "pytorch_model.bin"]) await copyFile(goldenPath(`mamba1-a/original/${name}`), join(folder, name));
    const { constants } = await readCheckpoint(goldenPath("mamba1-a/original"));
    expect((await readCheckpoint(folder)).constants).toEqual(constants);
    expect((await readCheckpoint(goldenPath("mamba1-a/hf"))).constants).toEqual(constants);
    expect((await readCheckpoint(folder, { weights: goldenPath("mamba1-a/hf/model.safetensors") })).constants).toEqual(constants);
  });
});

/** The tensors of a file that begin with `prefix`, without it. */
function behind(prefix: string, file: TensorFile): TensorFile {
  const own = [...file.entries].filter(([name]) => name.startsWith(prefix));
  return {
    ...file,
    entries: new Map(own.map(([name, entry]) => [name.slice(prefix.length), entry])),
    read: (name) => file.read(prefix + name),
  };
}

test.each<[string, Mamba3BlockOptions]>([
  ["mamba3-siso-a", { state: 16, headDim: 8 }],
  ["mamba3-siso-b-norm-rope1", { state: 8, headDim: 8, groups: 2, turning: 1, outNorm: true }],
  ["mamba3-mimo-a", { state: 16, headDim: 8, rank: 2 }],
  ["mamba3-siso-softplusA", { state: 8, headDim: 8, decay: "softplus" }],
])("the golden block %s", async (name, options) => {
  const { graph } = model("block", { u: sequence(16) }, ({ u }) => ({ y: mamba3Block(u, options) }));
  const file = await goldenFile(`${name}/block.safetensors`);
  const constants = await loadWeights(graph, behind("w.", file), mamba);
  const { outputs } = interpret(graph, withFixed(graph, constants), new Map([["u", await tensorOf(file, "u")]]), {
    systems: evaluateSystem,
  });
  const wanted = await tensorOf(file, "y");
  expect(relativeError(outputs.get("y")?.data ?? [], wanted.data)).toBeLessThan(1e-11);
  const compiled = await compileGraph(graph, constants, { maxLength: 64 });
  const onDevice = await loadCompiled(compiled, { device: await sharedDevice() });
  for (const mode of onDevice.info.modes) {
    const found = await onDevice.run(toInputs(compiled, new Map([["u", await tensorOf(file, "u")]])), { mode });
    expect.soft(relativeError(found["y"]?.data ?? [], wanted.data), mode).toBeLessThan(2e-5);
  }
});
