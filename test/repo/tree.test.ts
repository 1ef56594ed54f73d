/** The tree as a stranger finds it: no path or host of any one machine, exact versions, the two commands in place. */
import { statSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { read, repositoryFiles, root } from "./source.ts";

interface PackageJson {
  readonly name: string;
  readonly type: string;
  readonly sideEffects: boolean;
  readonly engines: Readonly<Record<string, string>>;
  readonly bin: Readonly<Record<string, string>>;
  readonly exports: Readonly<Record<string, unknown>>;
  readonly scripts: Readonly<Record<string, string>>;
  readonly dependencies: Readonly<Record<string, string>>;
  readonly optionalDependencies: Readonly<Record<string, string>>;
  readonly devDependencies: Readonly<Record<string, string>>;
}

const packageJson = JSON.parse(read("package.json")) as PackageJson;
const binary = /\.(safetensors|npz|png|bin|wasm)$/;

/** Spelled in pieces, so that this file does not find itself. */
const machinePaths = ["/wo" + "rk/", "/ro" + "ot/", "/ho" + "me/", "/tm" + "p/bash_jobs", "C:\\" + "Users"];
const registryHost = new RegExp(["registry", "npmjs"].join("\\.") + "|regi" + "stry\\.yarnpkg|deb\\.deb" + "ian", "i");

describe("the tree", () => {
  const files = repositoryFiles().filter((path) => !binary.test(path));

  it("names no path of anyone's machine and no registry host", () => {
    const faults = files.flatMap((path) =>
      read(path)
        .split("\n")
        .flatMap((line, i) =>
          machinePaths.some((p) => line.includes(p)) || registryHost.test(line) ? [`${path}:${i + 1}: ${line.trim().slice(0, 120)}`] : [],
        ),
    );
    expect(faults).toEqual([]);
  });

  it("leaves no note to do later", () => {
    const marker = new RegExp(["TO" + "DO", "FIX" + "ME", "X" + "XX"].map((word) => `\\b${word}\\b`).join("|"));
    expect(files.filter((path) => path.endsWith(".ts") && marker.test(read(path)))).toEqual([]);
  });

  it("has every file end with one newline", () => {
    const text = files.filter((path) => /\.(ts|mjs|md|json|html|css)$/.test(path) && !path.startsWith("test/errors/"));
    expect(text.filter((path) => !/[^\n]\n$/.test(read(path)))).toEqual([]);
  });

  it("has an executable .ci/run that calls the second of the two commands", () => {
    expect(statSync(join(root, ".ci/run")).mode & 0o111).not.toBe(0);
    expect(read(".ci/run")).toContain("npm install && npm test");
  });
});

describe("package.json", () => {
  it("says what the contract says", () => {
    expect(packageJson).toMatchObject({
      name: "recurve",
      type: "module",
      sideEffects: false,
      engines: { node: ">=20" },
      bin: { recurve: "dist/cli/main.js" },
    });
    expect(Object.keys(packageJson.exports)).toEqual(expect.arrayContaining([".", "./runtime", "./vite"]));
    expect(Object.keys(packageJson.scripts)).toEqual(expect.arrayContaining(["build", "prepare", "start", "test", "bench"]));
  });

  it("pins every dependency to one version", () => {
    const all = { ...packageJson.dependencies, ...packageJson.optionalDependencies, ...packageJson.devDependencies };
    expect(Object.entries(all).filter(([, version]) => !/^\d+\.\d+\.\d+$/.test(version))).toEqual([]);
  });

  it("has a lock file without addresses", () => {
    expect(read("package-lock.json")).not.toMatch(
      /"resolved"|https?:\/\/(?!(www\.)?(github\.com|opencollective\.com|paypal\.me|patreon\.com|tidelift\.com|feross\.org))/,
    );
  });
});
