/** Loading model files: graphs that know the user's lines, from several files, again after a change, and from the built package. */
import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { codeFrame, withFrame } from "../../src/frontend/frame.ts";
import { loadModel } from "../../src/frontend/load.ts";
import { CompileError } from "../../src/ir/error.ts";
import { printGraph } from "../../src/ir/print.ts";

describe("loadModel", () => {
  test("the examples have the parameters of their checkpoints' scheme", async () => {
    const { graph, meta } = await loadModel("examples/s4d-kws-raw/model.ts");
    const names = graph.nodes.flatMap((n) => (n.op === "param" ? [n.name] : []));
    expect(meta.weights).toBe("s4model");
    expect(names.filter((n) => !/^(s4_layers|norms)\.[12]\./.test(n)).sort()).toEqual([
      "decoder.bias",
      "decoder.weight",
      "encoder.bias",
      "encoder.weight",
      "norms.0.bias",
      "norms.0.weight",
      "s4_layers.0.D",
      "s4_layers.0.kernel.A_imag",
      "s4_layers.0.kernel.C",
      "s4_layers.0.kernel.log_A_real",
      "s4_layers.0.kernel.log_dt",
      "s4_layers.0.output_linear.bias",
      "s4_layers.0.output_linear.weight",
    ]);
    expect(graph.nodes.every((n) => n.loc?.file === "examples/s4d-kws-raw/model.ts" && n.loc.line > 3)).toBe(true);
  });

  test("every node knows its line, in whichever file it is; captured numbers are resolved", async () => {
    const { graph, meta } = await loadModel("test/frontend/models/two-files.ts");
    expect(meta.files).toHaveLength(3);
    expect(printGraph(graph)).toMatchInlineSnapshot(`
      "graph two-files {
        %0: [B L H=3] = input u @ test/frontend/models/two-files.ts:9:16
        %1: [O=6 I=3] = param first.up.weight init uniform(-0.5773502691896258, 0.5773502691896258) @ test/frontend/models/blocks.ts:11:19
        %2: [B L H=6] = matmul %0 %1 @ test/frontend/models/blocks.ts:11:19
        %3: [H=6] = param first.up.bias init uniform(-0.5773502691896258, 0.5773502691896258) @ test/frontend/models/blocks.ts:11:19
        %4: [B L H=6] = map {($0 + $1)} %2 %3 @ test/frontend/models/blocks.ts:11:19
        %5: [B L H=6] = map {min(max(select(($0 > 0), $0, ((0.25 * $0) + 0.0625)), neg(6)), 6)} %4 @ test/frontend/models/blocks.ts:12:27
        %6: [O=3 I=6] = param first.down.weight init uniform(-0.4082482904638631, 0.4082482904638631) @ test/frontend/models/blocks.ts:12:12
        %7: [B L H=3] = matmul %5 %6 @ test/frontend/models/blocks.ts:12:12
        %8: [H=3] = param first.down.bias init uniform(-0.4082482904638631, 0.4082482904638631) @ test/frontend/models/blocks.ts:12:12
        %9: [B L H=3] = map {($0 + $1)} %7 %8 @ test/frontend/models/blocks.ts:12:12
        %10: [B L H=3] = map {($0 + $1)} %0 %9 @ test/frontend/models/two-files.ts:10:11
        %11: [] = param leak.log_rate init constant(0) @ test/frontend/models/two-files.ts:11:35
        %12: [B L H=3] = ssm family dense zoh state=1 options={delta: 1} A=[[neg(exp($0))]] B=[[1]] C=[[1]] D=[[0]] %10 %11 @ test/frontend/models/two-files.ts:11:35
        %13: [B H=3] = pool mean %12 @ test/frontend/models/two-files.ts:12:15
        return y: %13
      }
      "
    `);
  });

  test("a block generic in its width type-checks and loads; unnamed layers are numbered scope by scope", async () => {
    const { graph } = await loadModel("test/frontend/models/gated.ts");
    const names = graph.nodes.flatMap((n) => (n.op === "param" && n.name.endsWith("weight") ? [n.name] : []));
    expect(names).toEqual([
      "embed0.weight",
      ...["layers.0", "layers.1"].flatMap((layer) => ["norm0", "linear0", "conv0", "linear1"].map((name) => `${layer}.${name}.weight`)),
      "linear0.weight",
    ]);
    expect(graph.nodes.at(-1)?.type.dims.map((d) => d.size)).toEqual(["B", 10]);
  });

  test("blocks of recurve/models have their nodes where the user called them", async () => {
    const { graph, meta } = await loadModel("test/frontend/models/blocks-of-ours.ts");
    expect(meta.files).toHaveLength(1);
    const places = new Set(graph.nodes.map((n) => `${n.op === "ssm"} ${n.loc?.file} ${n.loc?.line}:${n.loc?.column}`));
    const file = "test/frontend/models/blocks-of-ours.ts";
    expect([...places]).toEqual([`false ${file} 4:16`, `false ${file} 5:11`, `false ${file} 5:78`, `true ${file} 5:78`]);
  });

  test("a changed import is seen at the next load", async () => {
    const folder = mkdtempSync(join(tmpdir(), "recurve-"));
    try {
      const file = join(folder, "model.ts");
      writeFileSync(
        file,
        'import { model, sequence, linear } from "recurve";\nimport { width } from "./width.ts";\nexport default model("m", { u: sequence(1) }, ({ u }) => ({ y: linear(u, { width }) }));\n',
      );
      const widths: unknown[] = [];
      for (const width of [3, 5]) {
        writeFileSync(join(folder, "width.ts"), `export const width = ${width};\n`);
        const { graph } = await loadModel(file);
        widths.push(graph.nodes.at(-1)?.type.dims.at(-1)?.size);
      }
      expect(widths).toEqual([3, 5]);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  test.each([
    ["test/frontend/models/absent.ts", "does not exist"],
    ["test/frontend/models", "is not a file"],
    ["package.json", "is not a TypeScript file"],
  ])("%s is model-not-found: %s", async (path, message) => {
    await expect(loadModel(path)).rejects.toMatchObject({ code: "model-not-found", message: `${path} ${message}` });
  });

  test.skipIf(!existsSync("dist/frontend/load.js"))("the built package loads a model, and sees a type error", () => {
    const script = `
      const { loadModel } = await import("./dist/frontend/load.js");
      const { graph } = await loadModel("examples/s4d-sfmnist/model.ts");
      const wrong = await loadModel("test/errors/type-error/add-widths.ts").catch((error) => error);
      console.log(JSON.stringify([graph.name, wrong.code, wrong.loc.line]));`;
    const { stdout, stderr } = spawnSync(process.execPath, ["--input-type=module", "-e", script], { encoding: "utf8" });
    expect(stdout, stderr).toBe('["s4d-sfmnist","type-error",6]\n');
  });
});

describe("code frames", () => {
  test("mark line and column, keep tabs, stop at the ends of the file", () => {
    expect(codeFrame("a\n\tbc\nd", 2, 3)).toBe("  1 | a\n> 2 | \tbc\n    | \t ^\n  3 | d");
    expect(codeFrame("a", 1, 1)).toBe("> 1 | a\n    | ^");
  });

  test("are added to an error whose file can be read, once", () => {
    const error = new CompileError({ code: "c", message: "m", fix: "f", loc: { file: "gone.ts", line: 1, column: 1 } });
    expect(withFrame(error).frame).toBeUndefined();
    const framed = withFrame(error, () => "text");
    expect(framed.frame).toBe("> 1 | text\n    | ^");
    expect(withFrame(framed, () => "other")).toBe(framed);
  });
});
