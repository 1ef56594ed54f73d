/** Runs a script under Deno (npm package `deno`), whose WebGPU is wgpu: the second compiler of every shader. */
import { execFile } from "node:child_process";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { adapterEnvironment } from "./environment.ts";

/** How a script ended. */
export interface DenoResult {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs `script` with WebGPU allowed, reading files and environment allowed, network and writing not. */
export async function runDeno(script: string, args: readonly string[] = [], timeoutMs = 120_000): Promise<DenoResult> {
  const executable = join(dirname(createRequire(import.meta.url).resolve("deno/package.json")), "deno");
  const options = ["run", "--no-remote", "--no-config", "--no-npm", "--no-prompt", "--allow-read", "--allow-env", "--unstable-webgpu"];
  const env = { ...process.env, ...(await adapterEnvironment()), DENO_NO_UPDATE_CHECK: "1", NO_COLOR: "1" };
  return new Promise((resolve) => {
    execFile(executable, [...options, script, ...args], { env, timeout: timeoutMs }, (error, stdout, stderr) => {
      const code = error === null ? 0 : typeof error.code === "number" ? error.code : 1;
      resolve({ code, stdout, stderr });
    });
  });
}
