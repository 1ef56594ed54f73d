/** The program itself, as npm installs it: built by `npm run build`, started as a process. */
import { spawn, spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { softwareAdapterFits, softwareEnvironment } from "../../src/cli/software.ts";
import { floats, scratch, tensorFile } from "./cli.ts";
import { fakeBundle } from "./fake-bundle.ts";
import { modelFile } from "./models.ts";

const program = fileURLToPath(new URL("../../dist/cli/main.js", import.meta.url));
if (!existsSync(program)) throw new Error("dist/cli/main.js is missing: npm run build makes it");

/** The environment as a person has it, without what the test runner added. */
function plainEnvironment(more: Readonly<Record<string, string>> = {}): NodeJS.ProcessEnv {
  const { VK_ICD_FILENAMES: _icd, LD_LIBRARY_PATH: _path, RECURVE_SOFTWARE_ADAPTER: _again, ...env } = process.env;
  return { ...env, ...more };
}

function recurve(
  words: readonly string[],
  more: Readonly<Record<string, string>> = {},
): { status: number | null; stdout: string; stderr: string } {
  return spawnSync(process.execPath, [program, ...words], { encoding: "utf8", env: plainEnvironment(more) });
}

describe("recurve as a process", () => {
  test("0, 1 and 2 are its exit codes", async () => {
    const folder = await scratch();
    expect(recurve(["--version"])).toMatchObject({ status: 0, stdout: expect.stringMatching(/^\d+\.\d+\.\d+\n$/) as unknown, stderr: "" });
    expect(recurve(["run", folder, "-i", "x", "-o", "y"])).toMatchObject({ status: 1, stdout: "" });
    expect(recurve(["run"])).toMatchObject({ status: 2, stdout: "" });
  });

  test("no progress in a pipe: a build prints one line, on stdout", async () => {
    const folder = await scratch();
    const { status, stdout, stderr } = recurve(["build", await modelFile(folder), "-o", join(folder, "out"), "--max-length", "64"]);
    expect([status, stderr]).toEqual([0, ""]);
    expect(stdout).toMatch(/^tiny: .*\n$/);
  });

  test.runIf(process.platform === "linux")("a full disk: exit 1, and neither a bundle nor a part of one", async () => {
    const folder = await scratch();
    const words = ["build", await modelFile(folder), "-o", join(folder, "out")].map((word) => `'${word}'`).join(" ");
    const script = `ulimit -f 8; '${process.execPath}' '${program}' ${words}`;
    const { status, stderr } = spawnSync("bash", ["-c", script], { encoding: "utf8", env: plainEnvironment() });
    expect(status).toBe(1);
    expect(stderr).toContain("error[output-write-failed]");
    expect(await readdir(folder)).toEqual(["model.ts"]);
  });

  test("a reader that stops reading is no fault", async () => {
    const child = spawn(process.execPath, [program, "--help"], { env: plainEnvironment() });
    child.stdout.destroy();
    const code = await new Promise((resolve) => child.once("exit", resolve));
    expect(code).toBe(0);
  });
});

describe.skipIf(!softwareAdapterFits())("the software adapter", () => {
  const software = { RECURVE_ADAPTER: "software" };

  test("is used and named in one line", () => {
    const { status, stdout, stderr } = recurve(["adapters", "--json"], software);
    expect(status).toBe(0);
    expect(stderr).toMatch(/^recurve: .*software adapter SwiftShader.*\n$/);
    const { adapters } = JSON.parse(stdout) as { adapters: { used: boolean; software: boolean }[] };
    expect(adapters.find((a) => a.used)?.software).toBe(true);
  });

  test("is used unasked where there is no other", () => {
    const { stdout, stderr } = recurve(["adapters", "--json"]);
    const { adapters } = JSON.parse(stdout) as { adapters: { used: boolean; description: string }[] };
    expect(stderr.includes("SwiftShader")).toBe(adapters.find((a) => a.used)?.description.includes("SwiftShader"));
  });

  test("is named where the system has one of its own", async () => {
    const { status, stderr } = recurve(["adapters"], await softwareEnvironment());
    expect([status, stderr]).toEqual([0, expect.stringMatching(/^recurve: using the software adapter SwiftShader.*\n$/)]);
  });

  test("no-adapter: without hardware, RECURVE_ADAPTER=hardware exits with 1", () => {
    const { status, stderr } = recurve(["adapters"], {
      RECURVE_ADAPTER: "hardware",
      VK_ICD_FILENAMES: "/nonexistent",
      VK_DRIVER_FILES: "/nonexistent",
    });
    expect(status).toBe(1);
    expect(stderr).toContain("error[no-adapter]: ");
  });

  test("the exit code of the process that uses it is forwarded", async () => {
    const folder = await scratch();
    const input = await tensorFile(folder, "in.safetensors", [floats("u", [1, 5, 2])]);
    const { status, stderr } = recurve(["run", await fakeBundle(folder), "-i", input, "-o", join(folder, "out")], software);
    expect(status).toBe(1);
    expect(stderr).toContain("error[input-invalid]");
  });

  test("signals are forwarded, and nothing is left behind", async () => {
    const folder = await scratch();
    const input = await tensorFile(folder, "in.safetensors", [floats("u", [1, 4, 2])]);
    const bundle = await fakeBundle(folder);
    await writeFile(join(bundle, "index.js"), 'console.log("waiting"); await new Promise((done) => setTimeout(done, 60_000));');
    const child = spawn(process.execPath, [program, "run", bundle, "-i", input, "-o", join(folder, "out")], {
      env: plainEnvironment(software),
    });
    await new Promise((resolve) => child.stdout.once("data", resolve));
    child.kill("SIGTERM");
    const code = await new Promise((resolve) => child.once("exit", resolve));
    expect(code).toBe(128 + 15);
    expect((await readdir(folder)).sort()).toEqual(["bundle", "in.safetensors"]);
  });

  test("a signal during verify removes the bundle it built", async () => {
    const folder = await scratch();
    const words = [program, "verify", await modelFile(folder), "--cases", "100000"];
    const child = spawn(process.execPath, words, { env: plainEnvironment({ ...software, TMPDIR: folder }) });
    while (!(await readdir(folder)).some((name) => name.startsWith("recurve-"))) await new Promise((resolve) => setTimeout(resolve, 50));
    child.kill("SIGINT");
    const code = await new Promise((resolve) => child.once("exit", resolve));
    expect(code).toBe(128 + 2);
    expect((await readdir(folder)).filter((name) => name.startsWith("recurve-"))).toEqual([]);
  });
});
