/**
 * The tokenizer files of a checkpoint. A vocabulary of single characters is read here, because a bundle can hold it. What a
 * `tokenizer.json` means is the library's business (`cli/tokenizer.ts`): here it is copied as it is, and only its vocabulary is counted.
 */
import { readdir, readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { CompileError } from "../ir/error.ts";

/** A tokenizer as a bundle carries it. */
export type TokenizerData = {
  /** Ids it gives, from 0 on. */
  readonly size: number;
  /** The files it was read from. */
  readonly paths: readonly string[];
} & (
  | { readonly kind: "characters"; readonly characters: string }
  | { readonly kind: "files"; readonly files: ReadonlyMap<string, Uint8Array<ArrayBuffer>> }
);

const FULL = "tokenizer.json";
const CONFIG = "tokenizer_config.json";
const VOCABULARY = "vocab.json";
const MAX_BYTES = 2 ** 27;

/**
 * What a folder has to make ids of text; undefined where it has nothing that is known.
 * Throws: `tokenizer-invalid`.
 */
export async function readTokenizer(folder: string, rows: number): Promise<TokenizerData | undefined> {
  const names = await readdir(folder);
  const there = (name: string): readonly string[] => (names.includes(name) ? [name] : []);
  if (names.includes(FULL)) return readFull(folder, [FULL, ...there(CONFIG)], rows);
  return names.includes(VOCABULARY) ? readCharacters(join(folder, VOCABULARY), rows) : undefined;
}

function invalid(path: string, what: string): never {
  throw new CompileError({
    code: "tokenizer-invalid",
    message: `${path} ${what}`,
    fix: "take the file as it was published, or take it out of the folder: the bundle works with ids",
  });
}

async function read(path: string): Promise<Uint8Array<ArrayBuffer>> {
  const { size } = await stat(path);
  return size > MAX_BYTES ? invalid(path, `has ${size} bytes; at most ${MAX_BYTES} are read`) : new Uint8Array(await readFile(path));
}

function parsed(path: string, bytes: Uint8Array): Readonly<Record<string, unknown>> {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch {
    return invalid(path, "is not JSON");
  }
  return isRecord(value) ? value : invalid(path, "is not a JSON object");
}

async function readFull(folder: string, names: readonly string[], rows: number): Promise<TokenizerData> {
  const contents = await Promise.all(names.map(async (name) => [name, await read(join(folder, name))] as const));
  const records = contents.map(([name, bytes]) => parsed(join(folder, name), bytes));
  const path = join(folder, FULL);
  const ids = idsOf(records[0] ?? {});
  if (ids.length === 0) invalid(path, "has no vocabulary");
  const size = ids.reduce((most, id) => Math.max(most, id), 0) + 1;
  if (!(size <= rows)) invalid(path, `has ids up to ${size - 1}, and the embedding ${rows} rows`);
  return { kind: "files", size, paths: names.map((name) => join(folder, name)), files: new Map(contents) };
}

/** The ids of the vocabulary and of the tokens added to it. */
function idsOf({ model, added_tokens: added }: Readonly<Record<string, unknown>>): readonly number[] {
  const vocabulary = isRecord(model) ? model["vocab"] : undefined;
  const own = Array.isArray(vocabulary) ? vocabulary.map((_, i) => i) : isRecord(vocabulary) ? Object.values(vocabulary) : [];
  const more = Array.isArray(added) ? added.map((token: unknown) => (isRecord(token) ? token["id"] : undefined)) : [];
  return [...own, ...more].filter((id): id is number => typeof id === "number" && Number.isSafeInteger(id) && id >= 0);
}

/** A `vocab.json` whose every entry is one character, numbered from 0 on; undefined where it is of another kind. */
async function readCharacters(path: string, rows: number): Promise<TokenizerData | undefined> {
  const entries = Object.entries(parsed(path, await read(path)));
  if (!entries.every(([text]) => Array.from(text).length === 1)) return undefined;
  const characters = entries.toSorted(([, a], [, b]) => Number(a) - Number(b));
  const wrong = characters.find(([, id], i) => id !== i);
  if (wrong !== undefined)
    invalid(path, `gives ${JSON.stringify(wrong[0])} the id ${JSON.stringify(wrong[1])}; ids run from 0 on, each once`);
  if (characters.length > rows || characters.length === 0)
    invalid(path, `has ${characters.length} characters, and the embedding ${rows} rows`);
  return { kind: "characters", size: characters.length, paths: [path], characters: characters.map(([text]) => text).join("") };
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
