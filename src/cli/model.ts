/** A bundle on this machine's adapter, with progress while it loads. */
import type { Tokenizer } from "../runtime/language-api.ts";
import { requestGpu } from "./adapter.ts";
import { loadBundle, readManifest, type AnyModel } from "./bundle.ts";
import type { Terminal } from "./command.ts";
import { progressOn } from "./progress.ts";

/** Loads a bundle, a language model with `tokenizer`; the caller destroys it. */
export async function openModel(folder: string, terminal: Terminal, tokenizer?: Tokenizer): Promise<AnyModel> {
  await readManifest(folder);
  const { gpu } = await requestGpu();
  const progress = progressOn(terminal);
  try {
    return await loadBundle(folder, {
      gpu,
      tokenizer,
      onProgress: ({ stage, loaded, total }) => progress.show(`loading ${stage}: ${Math.round((100 * loaded) / total)} %`),
    });
  } finally {
    progress.clear();
  }
}
