/**
 * The software adapter: SwiftShader (Vulkan on the CPU) out of the npm package `@sparticuz/chromium`, unpacked once into
 * the user's cache folder. Knows files and environment variables; not WebGPU, which is `adapter.ts`.
 */
import { createHash } from "node:crypto";
import { createReadStream, existsSync, readdirSync } from "node:fs";
import { mkdir, mkdtemp, readFile, rename, rm } from "node:fs/promises";
import { createRequire } from "node:module";
import { homedir, tmpdir } from "node:os";
import { delimiter, dirname, join } from "node:path";
import { pipeline } from "node:stream/promises";
import { createBrotliDecompress } from "node:zlib";
import { extract, type Headers } from "tar-fs";
import { bug } from "../ir/error.ts";

/** Environment variables that a process needs from its start on to find an adapter. */
export type AdapterEnvironment = Readonly<Record<"VK_ICD_FILENAMES" | "LD_LIBRARY_PATH", string>>;

/** Whether the packaged SwiftShader is installed and runs on this kind of machine. */
export function softwareAdapterFits(): boolean {
  return process.platform === "linux" && process.arch === "x64" && packagedFolder() !== undefined;
}

/** False where it is certain, without loading a driver, that no hardware adapter can be found. */
export function mayHaveHardware(): boolean {
  if (process.platform !== "linux") return true;
  if (process.env["VK_ICD_FILENAMES"] || process.env["VK_DRIVER_FILES"] || process.env["VK_ADD_DRIVER_FILES"]) return true;
  const data = (process.env["XDG_DATA_DIRS"] ?? "/usr/local/share:/usr/share").split(delimiter);
  const roots = ["/etc", "/usr/local/etc", process.env["XDG_DATA_HOME"] ?? join(homedir(), ".local/share"), ...data];
  return roots.some((root) => hasManifest(join(root, "vulkan/icd.d")));
}

function hasManifest(folder: string): boolean {
  try {
    return readdirSync(folder).some((name) => name.endsWith(".json"));
  } catch {
    return false;
  }
}

/** Unpacks SwiftShader where it is not yet, and returns the environment that makes Vulkan find it. */
export async function softwareEnvironment(): Promise<AdapterEnvironment> {
  const folder = await unpackArchive("swiftshader.tar.br");
  const others = process.env["LD_LIBRARY_PATH"];
  return {
    VK_ICD_FILENAMES: join(folder, "vk_swiftshader_icd.json"),
    LD_LIBRARY_PATH: others ? `${folder}${delimiter}${others}` : folder,
  };
}

/**
 * Unpacks `bin/<name>.tar.br` of `@sparticuz/chromium` into a folder of its own in the cache and returns that folder. The
 * content's hash is in the folder's name and the last step is a rename, so that processes may race.
 */
export function unpackArchive(name: string): Promise<string> {
  return unpackOnce(name, unpackTar);
}

/** Unpacks a brotli-compressed tar archive into `folder`. */
export function unpackTar(source: string, folder: string): Promise<void> {
  return pipeline(createReadStream(source), createBrotliDecompress(), extract(folder, { map: asOwnFile }));
}

/** As root, `tar-fs` would give the files to whoever packed them. */
function asOwnFile(header: Headers): Headers {
  return { ...header, uid: process.getuid?.() ?? header.uid, gid: process.getgid?.() ?? header.gid };
}

/** As `unpackArchive`, with the step from the packed file to the files of the new folder given. */
export async function unpackOnce(name: string, unpack: (source: string, folder: string) => Promise<void>): Promise<string> {
  const source = join(packagedFolder() ?? bug("@sparticuz/chromium is not installed"), name);
  const hash = createHash("sha256")
    .update(await readFile(source))
    .digest("hex")
    .slice(0, 16);
  const cache = await cacheFolder();
  const target = join(cache, `${name.split(".")[0]}-${hash}`);
  if (existsSync(target)) return target;
  const temporary = await mkdtemp(join(cache, "unpacking-"));
  try {
    await unpack(source, temporary);
    await rename(temporary, target);
  } catch (error) {
    await rm(temporary, { recursive: true, force: true });
    if (!existsSync(target)) throw error;
  }
  return target;
}

/** The packed files of `@sparticuz/chromium`; undefined where that optional package is not installed. */
function packagedFolder(): string | undefined {
  try {
    return join(dirname(createRequire(import.meta.url).resolve("@sparticuz/chromium")), "..", "..", "bin");
  } catch {
    return undefined;
  }
}

/** `$XDG_CACHE_HOME/recurve`, `~/.cache/recurve`, or a folder of this user's own in the temporary folder. */
async function cacheFolder(): Promise<string> {
  const user = process.getuid?.() ?? 0;
  const candidates = [process.env["XDG_CACHE_HOME"] || join(homedir(), ".cache"), join(tmpdir(), `user-${user}`)];
  let failure: unknown;
  for (const candidate of candidates) {
    try {
      const folder = join(candidate, "recurve");
      await mkdir(folder, { recursive: true, mode: 0o700 });
      await rm(await mkdtemp(join(folder, "probe-")), { recursive: true });
      return folder;
    } catch (error) {
      failure = error;
    }
  }
  throw failure;
}
