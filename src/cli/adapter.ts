/**
 * WebGPU for the command line: the machine's own adapter where it has one, the packaged software adapter elsewhere. The
 * software adapter needs environment variables that must be there when a process starts, so the process starts itself again.
 */
import { spawn } from "node:child_process";
import { constants } from "node:os";
import { create, globals } from "webgpu";
import { CompileError } from "../ir/error.ts";
import { mayHaveHardware, softwareAdapterFits, softwareEnvironment } from "./software.ts";

/** Set in a process that was started again for the software adapter. */
const SOFTWARE = "RECURVE_SOFTWARE_ADAPTER";

/** WebGPU with an adapter to use. */
export interface Gpu {
  readonly gpu: GPU;
  readonly adapter: GPUAdapter;
  /** True for adapters that compute on the CPU: their timings say little about a GPU. */
  readonly software: boolean;
}

let requested: Promise<Gpu> | undefined;

/**
 * Finds an adapter, once a process. Where none is there and the software adapter is not yet in this process's environment,
 * starts this process again with it and does not return: the new process does the work and its exit code becomes ours.
 *
 * Throws: `no-adapter`.
 */
export function requestGpu(): Promise<Gpu> {
  requested ??= chooseAdapter();
  return requested;
}

async function chooseAdapter(): Promise<Gpu> {
  const wanted = process.env["RECURVE_ADAPTER"];
  const again = process.env[SOFTWARE] === "1";
  const skip = !again && (wanted === "software" || (wanted !== "hardware" && softwareAdapterFits() && !mayHaveHardware()));
  const found = skip ? undefined : await findAdapter();
  if (found?.software === true && !again) say(`using the software adapter ${found.adapter.info.description}`);
  if (found !== undefined) return found;
  if (again || wanted === "hardware" || !softwareAdapterFits()) throw noAdapter();
  say("no GPU adapter found; using the software adapter SwiftShader");
  return restart({ ...process.env, ...(await softwareEnvironment()), [SOFTWARE]: "1" });
}

function say(what: string): void {
  process.stderr.write(`recurve: ${what} (slow, correct)\n`);
}

/** The process-wide `GPU`. Kept alive by `globalThis`: Dawn crashes where it is collected before its devices. */
export function processGpu(): GPU {
  const holder = globalThis as { recurveGpu?: GPU };
  if (holder.recurveGpu === undefined) {
    Object.assign(globalThis, globals);
    holder.recurveGpu = create(dawnOptions);
  }
  return holder.recurveGpu;
}

/**
 * Dawn clears workgroup memory by a constant initializer where Vulkan can; SwiftShader then compiles one store a word, which
 * takes seconds for a kernel of 16 KB. Without it Dawn writes a loop, which costs other adapters nothing that shows. And it
 * rounds timestamps to 0.1 ms against spying pages, which nobody who measures their own kernels wants.
 */
const dawnOptions = ["disable-dawn-features=use_vulkan_zero_initialize_workgroup_memory_extension,timestamp_quantization"];

async function findAdapter(): Promise<Gpu | undefined> {
  const gpu = processGpu();
  const adapter = await gpu.requestAdapter({ powerPreference: "high-performance" });
  return adapter === null ? undefined : { gpu, adapter, software: isSoftware(adapter.info) };
}

/** Whether an adapter computes on the CPU. */
export function isSoftware(info: GPUAdapterInfo): boolean {
  return info.isFallbackAdapter || /swiftshader|llvmpipe|lavapipe|basic render/i.test(`${info.architecture} ${info.description}`);
}

function noAdapter(): CompileError {
  const fits = softwareAdapterFits();
  return new CompileError({
    code: "no-adapter",
    message: "this machine offers no WebGPU adapter",
    fix: fits
      ? "install a Vulkan driver, or unset RECURVE_ADAPTER to use the software adapter"
      : "install a driver for Vulkan, Metal or Direct3D 12, or on Linux x64 the npm package @sparticuz/chromium, which holds a software adapter",
  });
}

/** Runs this program again as a child and exits as it does. */
function restart(env: NodeJS.ProcessEnv): Promise<never> {
  return new Promise((_, reject) => {
    const child = spawn(process.execPath, [...process.execArgv, ...process.argv.slice(1)], { stdio: "inherit", env });
    for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.removeAllListeners(signal).on(signal, () => child.kill(signal));
    child.once("error", reject);
    child.once("exit", (code, signal) => {
      process.exit(code ?? 128 + (signal === null ? 0 : constants.signals[signal]));
    });
  });
}
