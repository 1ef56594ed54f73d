import { readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { bytesSource, openSafetensors } from "../../src/weights/safetensors.ts";
import { rawFile } from "../weights/bytes.ts";
import { cli, floats, scratch, tensorFile } from "./cli.ts";
import { fakeBundle } from "./fake-bundle.ts";

const good = floats("u", [1, 3, 2], (i) => i);

describe("run", () => {
  test("maps tensors by name, with B and L from their shapes", async () => {
    const folder = await scratch();
    const output = join(folder, "out.safetensors");
    const input = await tensorFile(folder, "in.safetensors", [good]);
    expect(await cli("run", await fakeBundle(folder), "--input", input, "--output", output)).toEqual({ code: 0, out: "", err: "" });
    const file = await openSafetensors(bytesSource(await readFile(output)));
    expect([...file.entries.keys()]).toEqual(["y"]);
    expect(file.entries.get("y")).toMatchObject({ dtype: "F32", shape: [1, 3, 2] });
    expect(await file.read("y")).toEqual(Float64Array.of(0, 2, 4, 6, 8, 10));
  });

  test("--mode reaches the model; integer outputs stay integers", async () => {
    const folder = await scratch();
    const output = join(folder, "out.safetensors");
    const input = await tensorFile(folder, "in.safetensors", [good]);
    expect((await cli("run", await fakeBundle(folder), "-i", input, "-o", output, "--mode", "recurrence")).code).toBe(0);
    const file = await openSafetensors(bytesSource(await readFile(output)));
    expect(file.entries.get("ids")).toMatchObject({ dtype: "I32", shape: [1] });
  });

  test("an existing output is replaced, and no other file appears", async () => {
    const folder = await scratch();
    const bundle = await fakeBundle(folder);
    const input = await tensorFile(folder, "in.safetensors", [good]);
    await writeFile(join(folder, "out"), "old");
    expect((await cli("run", bundle, "-i", input, "-o", join(folder, "out"))).code).toBe(0);
    expect((await readdir(folder)).sort()).toEqual(["bundle", "in.safetensors", "out"]);
    expect((await readFile(join(folder, "out"))).length).toBeGreaterThan(24);
  });

  const zeros = new Uint8Array(24);
  test.each([
    ["a wrong name", [floats("x", [1, 3, 2])], "input-unexpected", 'holds "x"'],
    ["no tensor at all", [], "input-missing", 'holds no "u" F32 [B, L, 2]'],
    ["a tensor more", [good, floats("v", [1])], "input-unexpected", 'holds "v"'],
    ["another dtype", [{ name: "u", dtype: "F64" as const, shape: [1, 3, 1], data: zeros }], "input-dtype", '"u" is F64'],
    ["integers", [{ name: "u", dtype: "I32" as const, shape: [1, 3, 2], data: zeros }], "input-dtype", '"u" is I32'],
    ["another width", [floats("u", [1, 2, 3])], "input-shape", '"u" is [1, 2, 3]'],
    ["a dim less", [floats("u", [3, 2])], "input-shape", '"u" is [3, 2]'],
    ["no time steps", [floats("u", [1, 0, 2])], "input-shape", '"u" is [1, 0, 2]'],
    ["more than the maximum length", [floats("u", [1, 5, 2])], "input-invalid", "dim L is 5"],
  ])("inputs with %s: exit 1, one diagnostic, no output", async (_, tensors, code, message) => {
    const folder = await scratch();
    const input = await tensorFile(folder, "in.safetensors", tensors);
    const result = await cli("run", await fakeBundle(folder), "-i", input, "-o", join(folder, "out"));
    expect([result.code, result.out]).toEqual([1, ""]);
    expect(result.err).toMatch(new RegExp(`^error\\[${code}\\]: .*\n  fix: .*\n$`));
    expect(result.err).toContain(message);
    expect((await readdir(folder)).sort()).toEqual(["bundle", "in.safetensors"]);
  });

  test.each([
    ["no safetensors file", new Uint8Array(3), "weights-file-truncated"],
    ["a header of 4 GB", rawFile({}, zeros, 2n ** 32n), "weights-file-truncated"],
    ["a header that is not JSON", rawFile("{"), "weights-file-header"],
  ])("an input file with %s: exit 1", async (_, bytes, code) => {
    const folder = await scratch();
    await writeFile(join(folder, "in"), bytes);
    const result = await cli("run", await fakeBundle(folder), "-i", join(folder, "in"), "-o", join(folder, "out"));
    expect(result).toMatchObject({ code: 1, out: "" });
    expect(result.err).toContain(`error[${code}]`);
  });

  test("paths that do not exist, are folders, or cannot hold the output: exit 1", async () => {
    const folder = await scratch();
    const bundle = await fakeBundle(folder);
    const input = await tensorFile(folder, "in.safetensors", [good]);
    const out = join(folder, "out");
    const cases = [
      [["run", join(folder, "absent"), "-i", input, "-o", out], "bundle-missing"],
      [["run", folder, "-i", input, "-o", out], "bundle-missing"],
      [["run", bundle, "-i", join(folder, "absent"), "-o", out], "file-missing"],
      [["run", bundle, "-i", folder, "-o", out], "file-kind"],
      [["run", bundle, "-i", input, "-o", join(folder, "absent", "out")], "file-missing"],
      [["run", bundle, "-i", input, "-o", folder], "file-kind"],
      [["run", bundle, "-i", input, "-o", "/dev/full"], "disk-full"],
    ] as const;
    for (const [words, code] of cases) {
      const result = await cli(...words);
      expect([result.code, result.err.split("\n")[0]]).toEqual([1, expect.stringContaining(`error[${code}]: `)]);
    }
    expect((await readdir(folder)).sort()).toEqual(["bundle", "in.safetensors"]);
  });

  test.each([
    ["an index.js that does not parse", "index.js", "export const load = (;", "bundle-broken"],
    ["an index.js without load", "index.js", "export const other = 1;", "bundle-broken"],
    ["a manifest of another format", "manifest.json", '{"format":2}', "bundle-manifest"],
    ["a manifest that is not JSON", "manifest.json", "{", "bundle-manifest"],
  ])("a bundle with %s: exit 1", async (_, file, text, code) => {
    const folder = await scratch();
    const input = await tensorFile(folder, "in.safetensors", [good]);
    const bundle = await fakeBundle(folder);
    await writeFile(join(bundle, file), text);
    const result = await cli("run", bundle, "-i", input, "-o", join(folder, "out"));
    expect(result).toMatchObject({ code: 1, out: "" });
    expect(result.err).toContain(`error[${code}]`);
  });

  test.each(["no-webgpu", "device-limit", "input-invalid", "weights-corrupt", "device-lost"])(
    "the bundle's own error %s: exit 1 with a fix",
    async (code) => {
      const folder = await scratch();
      const input = await tensorFile(folder, "in.safetensors", [good]);
      const bundle = await fakeBundle(
        folder,
        `export const load = async () => { throw Object.assign(new Error("what happened"), { code: "${code}" }); };`,
      );
      const result = await cli("run", bundle, "-i", input, "-o", join(folder, "out"));
      expect(result).toMatchObject({ code: 1, out: "" });
      expect(result.err).toMatch(new RegExp(`^error\\[${code}\\]: what happened\n  fix: .+\n$`));
    },
  );

  test("a fault that is not the user's: exit 70, with what to report", async () => {
    const folder = await scratch();
    const input = await tensorFile(folder, "in.safetensors", [floats("u", [1, 1, 2], () => 13)]);
    const result = await cli("run", await fakeBundle(folder), "-i", input, "-o", join(folder, "out"));
    expect(result.code).toBe(70);
    expect(result.err).toContain("recurve has a bug");
    expect(result.err).toContain("a fault of ours");
  });
});
