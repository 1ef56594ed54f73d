/** The tokenizer of a bundle that has a checkpoint's `tokenizer.json` beside it, by the library that reads such files. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { CompileError } from "../ir/error.ts";
import type { Tokenizer } from "../runtime/language-api.ts";

/** What is used of the library's class; its own declarations do not resolve as those of an ES module. */
interface Library {
  readonly Tokenizer: new (
    tokenizer: unknown,
    config: unknown,
  ) => {
    encode(text: string): { readonly ids: readonly number[] };
    decode(
      ids: readonly number[],
      options: { readonly skip_special_tokens: boolean; readonly clean_up_tokenization_spaces: boolean },
    ): string;
  };
}

/**
 * Undefined where the folder has none.
 * Throws: `tokenizer-invalid`.
 */
export async function tokenizerIn(folder: string): Promise<Tokenizer | undefined> {
  const path = join(folder, "tokenizer.json");
  const [full, config] = await Promise.all([textOf(path), textOf(join(folder, "tokenizer_config.json"))]);
  if (full === undefined) return undefined;
  const library = (await import("@huggingface/tokenizers")) as unknown as Library;
  try {
    const tokenizer = new library.Tokenizer(JSON.parse(full), JSON.parse(config ?? "{}"));
    // A space that was tidied away would make the text of more ids no continuation of that of fewer.
    const options = { skip_special_tokens: true, clean_up_tokenization_spaces: false };
    return { encode: (text) => tokenizer.encode(text).ids, decode: (ids) => tokenizer.decode(ids, options) };
  } catch (error) {
    throw new CompileError({
      code: "tokenizer-invalid",
      message: `${path} makes no tokenizer: ${error instanceof Error ? error.message : String(error)}`,
      fix: "build the bundle again from the files as they were published, or give the prompt as ids",
    });
  }
}

/** The text of a file; undefined where there is none. */
const textOf = (path: string): Promise<string | undefined> =>
  readFile(path, "utf8").catch((error: unknown) => {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return undefined;
    throw error;
  });
