/**
 * The files of a published checkpoint: its configuration, and its tensors, which lie in one file or in the shards that an index
 * file names. An index is input nobody vouched for: no file outside of the folder is opened for it, and what it says of the shards
 * must be true.
 */
import { open, readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { bug, CompileError } from "../ir/error.ts";
import { withTensorFile } from "../files.ts";
import type { TensorFile } from "../weights/safetensors.ts";
import { configFault, parseConfig, WHOLE, type Config } from "./config.ts";

const CONFIG = "config.json";
/** In the order they are looked for; the first that is there is read. */
const SINGLE = ["model.safetensors", "pytorch_model.bin"] as const;
const INDEXED = SINGLE.map((file) => `${file}.index.json`);
const CANDIDATES = [SINGLE[0], INDEXED[0], SINGLE[1], INDEXED[1]].filter((name) => name !== undefined);
/** Files of tensors by any other name. */
const TENSORS = /\.(safetensors|bin|pt|pth)$/;
/** A file right in the folder, by a name that means the same on every system. */
const PLAIN = /^\w[\w.-]*\.(safetensors|bin|pt|pth)$/;
const MAX_CONFIG = 2 ** 20;
const MAX_INDEX = 2 ** 25;
const MAX_SHARDS = 4096;
const SHOWN = 5;

/** Whether a path names a folder with a `config.json`. */
export async function isCheckpoint(path: string): Promise<boolean> {
  const info = await stat(join(path, CONFIG)).catch(() => undefined);
  return info?.isFile() ?? false;
}

/** Throws: `checkpoint-config`. */
export async function readConfig(folder: string): Promise<Config> {
  const path = join(folder, CONFIG);
  return parseConfig(path, await readText(path, MAX_CONFIG));
}

/**
 * The text of a small file.
 * Throws: `checkpoint-config` where it is larger than that, or no UTF-8.
 */
export async function readText(path: string, most: number): Promise<string> {
  const handle = await open(path, "r");
  try {
    const { size } = await handle.stat();
    if (size > most) configFault(path, `has ${size} bytes; at most ${most} are read`, "take the file as it was published");
    return new TextDecoder("utf-8", { fatal: true }).decode(await handle.readFile());
  } catch (error) {
    if (error instanceof TypeError) configFault(path, "is not UTF-8 text", WHOLE);
    throw error;
  } finally {
    await handle.close();
  }
}

/** The tensors of a folder, opened for `use`, and the files they are in. Throws: `checkpoint-files`, `checkpoint-index`, `weights-file-*`. */
export async function withTensors<T>(folder: string, use: (file: TensorFile, paths: readonly string[]) => Promise<T>): Promise<T> {
  const name = await tensorFileOf(folder);
  const path = join(folder, name);
  if (!INDEXED.includes(name)) return withTensorFile(path, (file) => use(file, [path]));
  const map = readIndex(path, await readText(path, MAX_INDEX));
  const shards = [...new Set(map.values())];
  await checkShards(path, folder, shards);
  const paths = shards.map((shard) => join(folder, shard));
  return withAll(folder, shards, (files) => use(joined(path, map, files), [path, ...paths]));
}

function fault(code: "checkpoint-files" | "checkpoint-index", message: string, fix: string): never {
  throw new CompileError({ code, message, fix });
}

/** The file of a folder that has its tensors, or says where they are. */
async function tensorFileOf(folder: string): Promise<string> {
  const names = await readdir(folder);
  const known = CANDIDATES.find((name) => names.includes(name));
  if (known !== undefined) return known;
  const [only, ...others] = names.filter((name) => TENSORS.test(name)).sort();
  if (only !== undefined && others.length === 0) return only;
  return only === undefined
    ? fault("checkpoint-files", `${folder} holds no tensors`, `put ${CANDIDATES.join(" or ")} into it`)
    : fault(
        "checkpoint-files",
        `${folder} holds ${[only, ...others].slice(0, SHOWN).join(", ")} and no index file that says which tensors are in which`,
        "name the file with --weights, or take the index file too",
      );
}

/** The shard of every tensor. */
function readIndex(path: string, text: string): ReadonlyMap<string, string> {
  const map: unknown = parseConfig(path, text).values["weight_map"];
  if (typeof map !== "object" || map === null || Array.isArray(map))
    return fault("checkpoint-index", `${path} has no weight_map of tensors to files`, WHOLE);
  const named = (tensor: string, shard: unknown): readonly [string, string] =>
    typeof shard === "string" && PLAIN.test(shard)
      ? [tensor, shard]
      : fault("checkpoint-index", `${path} puts "${tensor}" into ${JSON.stringify(shard)}, which is no file of this folder`, WHOLE);
  return new Map(Object.entries(map).map(([tensor, shard]) => named(tensor, shard)));
}

async function checkShards(path: string, folder: string, shards: readonly string[]): Promise<void> {
  if (shards.length > MAX_SHARDS)
    fault(
      "checkpoint-index",
      `${path} names ${shards.length} files; at most ${MAX_SHARDS} are opened`,
      "save the checkpoint in fewer shards",
    );
  const there = new Set(await readdir(folder));
  const missing = shards.filter((shard) => !there.has(shard));
  if (missing.length === 0) return;
  const more = missing.length > SHOWN ? ` and ${missing.length - SHOWN} more` : "";
  fault(
    "checkpoint-files",
    `${folder} lacks ${missing.slice(0, SHOWN).join(", ")}${more}, which ${path} names`,
    "fetch the missing files too",
  );
}

/** Opens files one inside the other, so that all are closed whatever happens. */
async function withAll<T>(
  folder: string,
  [shard, ...rest]: readonly string[],
  use: (files: ReadonlyMap<string, TensorFile>) => Promise<T>,
  opened: ReadonlyMap<string, TensorFile> = new Map(),
): Promise<T> {
  if (shard === undefined) return use(opened);
  return withTensorFile(join(folder, shard), (file) => withAll(folder, rest, use, new Map([...opened, [shard, file]])));
}

/** The tensors of all shards as one file's, each where the index says it is and nowhere else. */
function joined(path: string, map: ReadonlyMap<string, string>, shards: ReadonlyMap<string, TensorFile>): TensorFile {
  const owners = new Map<string, TensorFile>();
  const misplaced: string[] = [];
  for (const [shard, file] of shards)
    for (const name of file.entries.keys()) {
      const said = map.get(name);
      if (said === shard) owners.set(name, file);
      else misplaced.push(`"${name}" is in ${shard}, and by the index ${said === undefined ? "nowhere" : `in ${said}`}`);
    }
  for (const [name, shard] of map) if (!owners.has(name)) misplaced.push(`"${name}" is not in ${shard}, where the index puts it`);
  if (misplaced.length > 0) {
    const more = misplaced.length > SHOWN ? `\n  and ${misplaced.length - SHOWN} more` : "";
    fault(
      "checkpoint-index",
      `${path} does not fit its files:\n  ${misplaced.slice(0, SHOWN).join("\n  ")}${more}`,
      "take the index file and all shards from the same place",
    );
  }
  return {
    label: path,
    entries: new Map([...shards.values()].flatMap(({ entries }) => [...entries])),
    metadata: new Map(),
    read: (name) => (owners.get(name) ?? bug(`${path} has no tensor "${name}"`)).read(name),
  };
}
