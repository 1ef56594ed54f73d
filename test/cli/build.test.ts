import { access, mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { describe, expect, test } from "vitest";
import { pickle, stateDict, torchFile } from "../setup/torch-file.ts";
import { rawFile } from "../weights/bytes.ts";
import { cli, floats, scratch, tensorFile } from "./cli.ts";
import { DENSE, modelFile, TINY, tinyWeights } from "./models.ts";

describe("build", () => {
  test("writes the four files of a bundle; --json says what and how long", async () => {
    const folder = await scratch();
    const weights = await tensorFile(folder, "w.safetensors", tinyWeights());
    const result = await cli(
      "build",
      await modelFile(folder),
      "--weights",
      weights,
      "-o",
      join(folder, "out"),
      "--max-length",
      "64",
      "--json",
    );
    expect([result.code, result.err]).toEqual([0, ""]);
    expect(JSON.parse(result.out)).toMatchObject({
      name: "tiny",
      modes: expect.arrayContaining(["convolution", "scan", "recurrence"]) as unknown,
    });
    expect((await readdir(join(folder, "out"))).sort()).toEqual(["index.d.ts", "index.js", "manifest.json", "weights.safetensors"]);
    const manifest = JSON.parse(await readFile(join(folder, "out", "manifest.json"), "utf8")) as object;
    expect(manifest).toMatchObject({ format: 1, name: "tiny", maxLength: 64, inputs: [{ name: "u", dims: ["B", "L", 1] }] });
    expect(JSON.stringify(manifest)).toContain(" @ model.ts:4:13");
    expect(JSON.stringify(manifest)).not.toContain(basename(folder));
  });

  test("without weights the same seed gives the same bundle, another seed another", async () => {
    const folder = await scratch();
    const model = await modelFile(folder);
    const hash = async (...words: string[]): Promise<string> => {
      expect((await cli("build", model, "-o", join(folder, "out"), ...words)).code).toBe(0);
      return readFile(join(folder, "out", "weights.safetensors"), "latin1");
    };
    expect(await hash()).toBe(await hash("--seed", "0"));
    expect(await hash("--seed", "1")).not.toBe(await hash());
  });

  test("--rate is a factor of every step size", async () => {
    const folder = await scratch();
    const bytes = async (delta: number, ...words: string[]): Promise<string> => {
      const text = DENSE.replace("state: 2,", `state: 2, delta: ${delta},`);
      expect((await cli("build", await modelFile(folder, text), "-o", join(folder, "out"), ...words)).code).toBe(0);
      return readFile(join(folder, "out", "weights.safetensors"), "latin1");
    };
    expect(await bytes(0.25, "--rate", "0.5")).toBe(await bytes(0.125));
    expect(await bytes(0.25)).not.toBe(await bytes(0.125));
    const refused = await cli("build", join(folder, "model.ts"), "-o", join(folder, "out"), "--rate", "0");
    expect([refused.code, refused.err]).toEqual([2, expect.stringContaining('--rate needs a number above 0, not "0"')]);
  });

  const wrong: readonly [string, ReturnType<typeof tinyWeights>, string, string][] = [
    ["a tensor missing", tinyWeights({ "decoder.bias": undefined }), "weights-missing", '"decoder.bias" [3] is not in the file'],
    ["a tensor more", tinyWeights({ extra: floats("extra", [1]) }), "weights-unexpected", '"extra" F32 [1]'],
    [
      "a wrong shape",
      tinyWeights({ "decoder.weight": floats("decoder.weight", [2, 3]) }),
      "weights-shape",
      "[2, 3] in the file and [3, 2] in the model",
    ],
    [
      "a wrong dtype",
      tinyWeights({ "decoder.bias": { name: "decoder.bias", dtype: "I32", shape: [3], data: new Int32Array(3) } }),
      "weights-dtype",
      "I32",
    ],
    ["NaN", tinyWeights({ "decoder.bias": floats("decoder.bias", [3], () => NaN) }), "weights-nan", "holds NaN at element 0"],
  ];
  test.each(wrong)("weights with %s: exit 1 at the declaring line, nothing written", async (_, tensors, code, message) => {
    const folder = await scratch();
    const weights = await tensorFile(folder, "w.safetensors", tensors);
    const result = await cli("build", await modelFile(folder), "--weights", weights, "-o", join(folder, "out"));
    expect([result.code, result.out]).toEqual([1, ""]);
    expect(result.err.startsWith(`error[${code}]: `)).toBe(true);
    expect(result.err).toContain(message);
    if (code !== "weights-unexpected") expect(result.err).toMatch(/model\.ts:6:\d+\n/);
    expect((await readdir(folder)).sort()).toEqual(["model.ts", "w.safetensors"]);
  });

  test.each([
    ["that is cut off", rawFile({ a: { dtype: "F32", shape: [2], data_offsets: [0, 8] } }, new Uint8Array(7)), "weights-file-truncated"],
    ["with a header of 4 GB", rawFile({}, new Uint8Array(8), 2n ** 32n), "weights-file-truncated"],
    [
      "whose tensors overlap",
      rawFile(
        { a: { dtype: "U8", shape: [2], data_offsets: [0, 2] }, b: { dtype: "U8", shape: [2], data_offsets: [1, 3] } },
        new Uint8Array(3),
      ),
      "weights-file-overlap",
    ],
    ["that is no safetensors file", new TextEncoder().encode("<!doctype html><title>404</title>"), "weights-file-truncated"],
  ])("a weight file %s: exit 1, nothing written", async (_, bytes, code) => {
    const folder = await scratch();
    await writeFile(join(folder, "w"), bytes);
    const result = await cli("build", await modelFile(folder), "--weights", join(folder, "w"), "-o", join(folder, "out"));
    expect(result.code).toBe(1);
    expect(result.err).toContain(`error[${code}]`);
    expect((await readdir(folder)).sort()).toEqual(["model.ts", "w"]);
  });

  test("a model that does not type-check: exit 1 with place, frame and fix", async () => {
    const folder = await scratch();
    const model = await modelFile(folder, TINY.replace("linear(u,", "linear(v,"));
    const result = await cli("build", model, "-o", join(folder, "out"));
    expect([result.code, result.out]).toEqual([1, ""]);
    expect(result.err).toMatch(/^error\[[a-z-]+\]: .*'v'/);
    expect(result.err).toMatch(/\n {2}at .*model\.ts:4:20\n/);
    expect(result.err).toContain("> 4 |   const x = linear(v,");
    expect(result.err).toMatch(/\n {2}fix: /);
  });

  test.each([
    ["a model that does not exist", ["absent.ts"], "model-not-found"],
    ["weights that do not exist", ["model.ts", "--weights", "absent.safetensors"], "file-missing"],
    ["a folder for a model", ["."], "model-kind"],
  ])("%s: exit 1", async (_, words, code) => {
    const folder = await scratch();
    await modelFile(folder);
    const paths = words.map((word) => (word.startsWith("-") ? word : join(folder, word)));
    const result = await cli("build", ...paths, "-o", join(folder, "out"));
    expect(result.code).toBe(1);
    expect(result.err.startsWith(`error[${code}]: `)).toBe(true);
    expect(await readdir(folder)).toEqual(["model.ts"]);
  });

  test.each(["model.safetensors", "model.pt", "last.ckpt"])(
    "%s for a model: says that weights are no model, and what to write",
    async (name) => {
      const folder = await scratch();
      const weights = await tensorFile(folder, name, tinyWeights());
      const result = await cli("build", weights, "-o", join(folder, "out"));
      expect([result.code, result.out]).toEqual([1, ""]);
      expect(result.err).toContain(`error[model-kind]: ${weights} holds weights`);
      expect(result.err).toContain(`recurve build model.ts --weights ${weights}`);
    },
  );

  test("weights from a file of torch.save give the bundle that safetensors give", async () => {
    const folder = await scratch();
    const model = await modelFile(folder);
    const { value, storages } = stateDict(
      tinyWeights().map(({ name, shape, data }) => ({ name, shape, storage: "FloatStorage", data: data as Float32Array })),
    );
    await writeFile(
      join(folder, "w.pt"),
      torchFile(
        pickle.dict([
          ["epoch", pickle.int(3)],
          ["state_dict", value],
        ]),
        storages,
      ),
    );
    await tensorFile(folder, "w.safetensors", tinyWeights());
    const hash = async (weights: string): Promise<string> => {
      expect(await cli("build", model, "--weights", join(folder, weights), "-o", join(folder, "out"))).toMatchObject({ code: 0, err: "" });
      return readFile(join(folder, "out", "weights.safetensors"), "latin1");
    };
    expect(await hash("w.pt")).toBe(await hash("w.safetensors"));
  });

  test("what the weights' layout does not tell is among the notes", async () => {
    const folder = await scratch();
    const weights = await tensorFile(folder, "w.safetensors", tinyWeights());
    const model = await modelFile(folder, TINY.replace("\n});", '\n}, { weights: "s4model" });'));
    const built = await cli("build", model, "--weights", weights, "-o", join(folder, "out"));
    expect([built.code, built.err]).toEqual([0, ""]);
    const { notes } = JSON.parse(await readFile(join(folder, "out", "manifest.json"), "utf8")) as { notes: string[] };
    expect(notes).toContainEqual(
      expect.stringMatching(/^weights: no tensor of the layout s4model tells prenorm, discretize, .*; these are what the model file says$/),
    );
  });

  test("output-not-ours: a folder of other things is left as it is", async () => {
    const folder = await scratch();
    await mkdir(join(folder, "out"));
    await writeFile(join(folder, "out", "thesis.tex"), "years of work");
    const result = await cli("build", await modelFile(folder), "-o", join(folder, "out"));
    expect(result.code).toBe(1);
    expect(result.err).toContain("error[output-not-ours]");
    expect(await readFile(join(folder, "out", "thesis.tex"), "utf8")).toBe("years of work");
  });

  test("an output that cannot be made: exit 1", async () => {
    const folder = await scratch();
    await writeFile(join(folder, "file"), "");
    const result = await cli("build", await modelFile(folder), "-o", join(folder, "file", "out"));
    expect(result.code).toBe(1);
    expect(result.err).toMatch(/^error\[output-/);
  });

  test("mode-illegal: a dense state space has no scan", async () => {
    const folder = await scratch();
    const result = await cli("build", await modelFile(folder, DENSE), "-o", join(folder, "out"), "--mode", "scan");
    expect([result.code, result.out]).toEqual([1, ""]);
    expect(result.err).toContain("error[mode-illegal]: dense cannot run by scan");
    await expect(access(join(folder, "out"))).rejects.toThrow("ENOENT");
  });
});
