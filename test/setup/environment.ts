/** Which adapter the tests run on: hardware where there is one, else SwiftShader. Decided once, before any worker starts. */
import { spawnSync } from "node:child_process";
import { mayHaveHardware, softwareAdapterFits, softwareEnvironment } from "../../src/cli/software.ts";

const PROBE = `
const { create } = await import("webgpu");
globalThis.gpu = create([]);
process.exit((await globalThis.gpu.requestAdapter()) === null ? 1 : 0);
`;

/** Variables to add to the environment of processes that use WebGPU; none where a hardware adapter answers. */
export async function adapterEnvironment(): Promise<Record<string, string>> {
  if (process.env["RECURVE_SOFTWARE_ADAPTER"] === "1") return {};
  const wanted = process.env["RECURVE_ADAPTER"];
  if (!softwareAdapterFits() || wanted === "hardware") return {};
  if (wanted !== "software" && mayHaveHardware() && hardwareAnswers()) return {};
  return { ...(await softwareEnvironment()), RECURVE_SOFTWARE_ADAPTER: "1" };
}

function hardwareAnswers(): boolean {
  return spawnSync(process.execPath, ["--input-type=module", "-e", PROBE], { stdio: "ignore" }).status === 0;
}
