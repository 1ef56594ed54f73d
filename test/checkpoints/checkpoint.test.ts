/** What is told of folders that are no checkpoint of a known architecture, and what is taken where a configuration is silent. */
import { copyFile, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import type { CheckpointOptions } from "../../src/checkpoints/architecture.ts";
import { architectures, describe as describeConfig } from "../../src/checkpoints/architectures.ts";
import { graphOf, readCheckpoint } from "../../src/checkpoints/checkpoint.ts";
import { parseConfig } from "../../src/checkpoints/config.ts";
import { withTensorFile } from "../../src/files.ts";
import { writeSafetensors, type WriteTensor } from "../../src/weights/write.ts";
import { cli, floats, scratch } from "../cli/cli.ts";
import { pickle, stateDict, torchFile } from "../setup/torch-file.ts";
import { goldenPath } from "./golden.ts";

type Changes = Readonly<Record<string, unknown>>;

/** The description of a configuration. */
const described = (values: Changes, options: CheckpointOptions = {}) =>
  describeConfig(parseConfig("config.json", JSON.stringify(values)), options);

/** A golden checkpoint with keys of its configuration changed, and its tensors. */
async function folderOf(name: string, config: Changes, change: (tensors: WriteTensor[]) => WriteTensor[] = (t) => t): Promise<string> {
  const folder = await scratch();
  const golden = goldenPath(name);
  const values = parseConfig("config.json", await readFile(join(golden, "config.json"), "utf8")).values;
  await writeFile(
    join(folder, "config.json"),
    JSON.stringify({ ...values, ...config }, (_, value: unknown) => (value === Infinity ? { __float__: "Infinity" } : value)),
  );
  await withTensorFile(join(golden, "model.safetensors"), async ({ entries, read }) => {
    const tensors: WriteTensor[] = [];
    for (const [tensor, { shape }] of entries)
      tensors.push({ name: tensor, dtype: "F32", shape, data: new Float32Array(await read(tensor)) });
    await writeFile(join(folder, "model.safetensors"), writeSafetensors(change(tensors)));
  });
  return folder;
}

describe("where a configuration is silent", () => {
  test("it has the sizes of the code that wrote it", () => {
    expect(described({ d_model: 64 })).toMatchObject({
      name: "mamba",
      origin: "state-spaces/mamba",
      stack: { width: 64, layers: 64, rows: 50280, vocabulary: 50277, norm: "rms", eps: 1e-5, mlp: undefined, tied: true },
    });
    expect(described({ model_type: "mamba" }).stack).toMatchObject({ width: 768, layers: 32, rows: 50280, tied: true });
    expect(described({ model_type: "falcon_mamba", hidden_size: null }).stack).toMatchObject({
      width: 768,
      layers: 32,
      rows: 50280,
      tied: true,
    });
    expect(described({ model_type: "mamba2" }).stack).toMatchObject({ width: 4096, layers: 64, rows: 32768, tied: false });
    expect(described({ d_model: 64, d_intermediate: 100, rms_norm: false, pad_vocab_size_multiple: 16 }).stack).toMatchObject({
      rows: 50288,
      norm: "layer",
      mlp: 128,
    });
  });

  test("mamba-130m and mamba2-130m have the published numbers of parameters", () => {
    const count = (values: Changes): number =>
      graphOf(described(values)).nodes.reduce(
        (sum, n) => (n.op === "param" ? sum + n.type.dims.reduce((product, { size }) => product * Number(size), 1) : sum),
        0,
      );
    expect(count({ d_model: 768, n_layer: 24 })).toBe(129_135_360);
    expect(count({ d_model: 768, n_layer: 24, pad_vocab_size_multiple: 16, ssm_cfg: { layer: "Mamba2" } })).toBe(128_989_632);
  });

  test("the notes say what was taken", async () => {
    const notes = async (name: string, options?: CheckpointOptions): Promise<string> =>
      (await readCheckpoint(goldenPath(name), options)).notes.join("\n");
    expect(await notes("mamba1-a/original")).toContain("4 of 104 rows of the embedding pad it");
    expect(await notes("mamba2-b-groups/hf")).toContain("the gated norm is over the whole width, as in transformers");
    expect(await notes("mamba2-b-groups/original")).toContain("the gated norm is over each group of heads, as in state-spaces/mamba");
    expect(await notes("mamba3-lm-siso/original")).toContain("the activation of A is heavy-tail, which no key of config.json says");
    expect(await notes("mamba3-lm-siso/original", { aActivation: "softplus" })).toContain("the activation of A is softplus, as asked for");
  });
});

describe("a configuration that is refused", () => {
  test.each<[string, Changes]>([
    ['model_type "llama"', { model_type: "llama", hidden_size: 64 }],
    ["model_type 3", { model_type: 3 }],
    ["neither model_type nor d_model", { hidden_size: 64 }],
    ['ssm_cfg.layer "Mamba9"', { d_model: 64, ssm_cfg: { layer: "Mamba9" } }],
  ])("checkpoint-architecture: %s", (what, values) => {
    expect(() => described(values)).toThrow(
      expect.objectContaining({
        code: "checkpoint-architecture",
        message: `config.json has ${what}: of this architecture nothing is known`,
        fix: expect.stringMatching(/mamba, falcon_mamba, mamba2 of transformers, .*Mamba1, Mamba2, Mamba3 of state-spaces/),
      }),
    );
  });

  test.each<[Changes, RegExp]>([
    [{ d_model: "64" }, /has d_model: "64"/],
    [{ d_model: 1e30 }, /has d_model: 1e\+30/],
    [{ d_model: 64, n_layer: 1e9 }, /has n_layer: 1000000000/],
    [{ d_model: 64, vocab_size: -1 }, /has vocab_size: -1/],
    [{ d_model: 64, ssm_cfg: [] }, /has ssm_cfg: \[\]/],
    [{ d_model: 64, ssm_cfg: { d_state: 1e9 } }, /ssm_cfg has d_state: 1000000000/],
    [{ d_model: 64, ssm_cfg: { dt_rank: "all" } }, /ssm_cfg has dt_rank: "all"/],
    [{ d_model: 64, ssm_cfg: { layer: "Mamba2", headdim: 48 } }, /gives 128 channels no whole number of heads/],
    [{ d_model: 64, ssm_cfg: { layer: "Mamba2", ngroups: 3 } }, /has 2 heads in 3 groups/],
    [{ d_model: 64, ssm_cfg: { layer: "Mamba2", d_ssm: 256 } }, /gives the state space model 256 of 128 channels/],
    [{ d_model: 64, ssm_cfg: { layer: "Mamba3", headdim: 48 } }, /has 128 channels in heads of 48 and 1 groups/],
    [{ d_model: 64, ssm_cfg: { layer: "Mamba3", rope_fraction: 0.7 } }, /has rope_fraction: 0.7/],
    [{ d_model: 64, ssm_cfg: { layer: "Mamba3", is_mimo: "yes" } }, /has is_mimo: "yes"/],
    [{ model_type: "mamba2", num_heads: 3 }, /has 3 heads of 64 channels, and expand makes 8192 channels/],
    [{ model_type: "mamba2", time_step_limit: [1, 0] }, /has time_step_limit: \[1,0\]/],
    [{ model_type: "mamba", tie_word_embeddings: 1 }, /has tie_word_embeddings: 1/],
  ])("checkpoint-config: %j", (values, message) => {
    expect(() => described(values)).toThrow(
      expect.objectContaining({ code: "checkpoint-config", message: expect.stringMatching(message) }),
    );
  });

  test.each<[Changes, RegExp]>([
    [{ d_model: 64, attn_layer_idx: [1, 9] }, /has layers of attention \(attn_layer_idx: 1, 9\), which is not read/],
    [{ model_type: "mamba", hidden_act: "relu" }, /has the activation "relu", which is not read/],
  ])("checkpoint-unsupported: %j", (values, message) => {
    expect(() => described(values)).toThrow(
      expect.objectContaining({ code: "checkpoint-unsupported", message: expect.stringMatching(message) }),
    );
  });

  test.each<[Changes, CheckpointOptions]>([
    [{ model_type: "mamba" }, { aActivation: "softplus" }],
    [{ d_model: 64, ssm_cfg: { layer: "Mamba3" } }, { gatedNorm: "whole" }],
  ])("checkpoint-option: %j with %j", (values, options) => {
    expect(() => described(values, options)).toThrow(expect.objectContaining({ code: "checkpoint-option" }));
  });

  test("every architecture is read from one kind of configuration at least, under a name of its own", () => {
    expect(new Set(architectures.map(({ name }) => name)).size).toBe(architectures.length);
    expect(architectures.filter(({ original, transformers }) => original === undefined && transformers === undefined)).toEqual([]);
  });
});

describe("tensors that do not fit", () => {
  const without = (tensor: string) => (tensors: WriteTensor[]) => tensors.filter(({ name }) => name !== tensor);
  const norm = "backbone.layers.1.norm.weight";

  test.each<[string, string, Changes, (tensors: WriteTensor[]) => WriteTensor[], RegExp]>([
    ["weights-missing", "mamba1-a/hf", {}, without(norm), /"backbone.layers.1.norm.weight" \[32\] is not in the file/],
    ["weights-missing", "mamba1-a/hf", { tie_word_embeddings: false }, (t) => t, /"lm_head.weight" \[104, 32\] is not in the file/],
    [
      "weights-unexpected",
      "mamba1-a/original",
      { n_layer: 1 },
      (t) => t,
      /"backbone.layers.1.mixer.A_log" F32 \[64, 16\] belongs to no parameter/,
    ],
    [
      "weights-shape",
      "mamba2-a/hf",
      { vocab_size: 80 },
      (t) => t,
      /"backbone.embeddings.weight" is \[96, 32\] in the file and \[80, 32\] in the model/,
    ],
    [
      "weights-nan",
      "mamba1-a/hf",
      {},
      (tensors) => tensors.map((t) => (t.name === norm ? floats(norm, [32], (i) => (i === 3 ? NaN : 1)) : t)),
      /"backbone.layers.1.norm.weight" holds NaN at element 3/,
    ],
    [
      "checkpoint-config",
      "mamba1-a/original",
      {},
      (tensors) => tensors.map((t) => (t.name === "lm_head.weight" ? floats(t.name, t.shape) : t)),
      /ties the head of .* to its embedding, and "lm_head.weight" has other values/,
    ],
  ])("%s in %s with %j", async (code, name, config, change, message) => {
    const folder = await folderOf(name, config, change);
    await expect(readCheckpoint(folder)).rejects.toMatchObject({ code, message: expect.stringMatching(message) });
  });

  test("a .model in front of every name is left out", async () => {
    const renamed = await folderOf("mamba2-b-groups/hf", {}, (tensors) => tensors.map((t) => ({ ...t, name: `model.${t.name}` })));
    const { constants } = await readCheckpoint(renamed);
    expect(constants).toEqual((await readCheckpoint(goldenPath("mamba2-b-groups/hf"))).constants);
  });

  test("weights-file-global: a pickle that names a callable; nothing is left behind", async () => {
    const folder = await scratch();
    await copyFile(goldenPath("mamba1-a/original/config.json"), join(folder, "config.json"));
    await writeFile(join(folder, "pytorch_model.bin"), torchFile(pickle.call("os", "system", pickle.text("true"))));
    const { code, out, err } = await cli("build", folder, "-o", join(folder, "out"));
    expect([code, out]).toEqual([1, ""]);
    expect(err).toMatch(/^error\[weights-file-global\]: .*"os.system"/);
    expect((await readdir(folder)).sort()).toEqual(["config.json", "pytorch_model.bin"]);
  });

  test("weights-file-zip: a .bin that was cut off", async () => {
    const folder = await scratch();
    await copyFile(goldenPath("mamba1-a/original/config.json"), join(folder, "config.json"));
    const { value, storages } = stateDict([{ name: "a", storage: "FloatStorage", shape: [64], data: new Float32Array(64) }]);
    await writeFile(join(folder, "pytorch_model.bin"), torchFile(value, storages).slice(0, -40));
    await expect(readCheckpoint(folder)).rejects.toMatchObject({ code: "weights-file-zip" });
  });
});

test("inspect --html shows a checkpoint and its recurrences", async () => {
  const page = join(await scratch(), "page.html");
  expect(await cli("inspect", goldenPath("mamba2-b-groups/hf"), "--html", page, "--max-length", "64")).toMatchObject({ code: 0, err: "" });
  const text = await readFile(page, "utf8");
  expect(text).toContain("12 heads of 12 x 8 numbers in 2 groups");
  for (const layer of [0, 1, 2]) expect(text).toContain(`<h3>backbone.layers.${layer}.mixer</h3>`);
});

test("options of a checkpoint are wrong usage elsewhere", async () => {
  const folder = await scratch();
  await writeFile(join(folder, "model.ts"), "");
  const { code, err } = await cli("build", join(folder, "model.ts"), "-o", join(folder, "out"), "--a-activation", "softplus");
  expect([code, err.split("\n")[0]]).toEqual([2, expect.stringContaining("--a-activation needs the folder of a checkpoint")]);
  const wrong = await cli("inspect", goldenPath("mamba2-a/hf"), "--gated-norm", "heads");
  expect([wrong.code, wrong.err]).toEqual([2, expect.stringContaining("--gated-norm is one of groups, whole")]);
});
