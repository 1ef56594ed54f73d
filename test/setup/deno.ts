/** Runs a script under Deno (npm package `deno`), whose WebGPU is wgpu: the second compiler of every shader. */
import { execFile } from "node:child_process";
import { createRequire } from "node:module";
import { adapterEnvironment } from "./environment.ts";

/** How a script ended. */
export interface DenoResult {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** The package's own search for the binary of this platform, which its install script would do where npm runs such scripts. */
function denoExecutable(): string {
  const require = createRequire(import.meta.url);
  const { runInstall } = require("deno/install_api.cjs") as { readonly runInstall: () => string };
  return runInstall();
}

/** Runs `script` with WebGPU allowed, reading files and environment allowed, network and writing not. */
export async function runDeno(script: string, args: readonly string[] = [], timeoutMs = 120_000): Promise<DenoResult> {
  const executable = denoExecutable();
  const options = ["run", "--no-remote", "--no-config", "--no-npm", "--no-prompt", "--allow-read", "--allow-env", "--unstable-webgpu"];
  const env = { ...process.env, ...(await adapterEnvironment()), DENO_NO_UPDATE_CHECK: "1", NO_COLOR: "1" };
  return new Promise((resolve) => {
    execFile(executable, [...options, script, ...args], { env, timeout: timeoutMs }, (error, stdout, stderr) => {
      const code = error === null ? 0 : typeof error.code === "number" ? error.code : 1;
      resolve({ code, stdout, stderr });
    });
  });
}
