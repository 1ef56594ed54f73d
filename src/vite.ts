/**
 * A Vite plugin: `import { load } from "./model.ts?weights=model.safetensors&recurve"` is the bundle of that model, built
 * when it is imported and again when one of its files changes. The weights become assets like any other.
 */
import { createHash } from "node:crypto";
import { mkdir } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { compileModel, writeBundle } from "./build.ts";
import { CompileError, formatLoc } from "./ir/error.ts";
import type { Mode } from "./runtime/plan.ts";

/** The parts of Vite's plugin interface in use, so that Vite need not be installed with this package. */
export interface RecurvePlugin {
  readonly name: string;
  readonly enforce: "pre";
  configResolved(config: { readonly cacheDir: string }): void;
  resolveId(this: ResolveContext, source: string, importer?: string): Promise<string | undefined>;
  load(this: LoadContext, id: string): Promise<string | undefined>;
}

/** What Vite gives the hook `resolveId`. */
export interface ResolveContext {
  resolve(source: string, importer?: string, options?: { skipSelf?: boolean }): Promise<{ readonly id: string } | null>;
}

/** What Vite gives the hook `load`. */
export interface LoadContext {
  addWatchFile(file: string): void;
}

/** The model file and what its query asks for. */
interface Request {
  readonly path: string;
  readonly weights: string | undefined;
  readonly mode: Mode | undefined;
  readonly maxLength: number | undefined;
  readonly dtype: "f32" | "f16" | undefined;
  readonly quantize: "q8" | "q4" | undefined;
}

/** Builds models imported with the query `?recurve`; `weights` (relative to the model), `mode`, `maxLength`, `dtype` and `quantize` may follow. */
export function recurve(): RecurvePlugin {
  let cache = join("node_modules", ".vite", "recurve");
  return {
    name: "recurve",
    enforce: "pre",
    configResolved({ cacheDir }) {
      cache = join(cacheDir, "recurve");
    },
    async resolveId(source, importer) {
      const [file, query] = splitQuery(source);
      if (query?.has("recurve") !== true) return undefined;
      const found = await this.resolve(file, importer, { skipSelf: true });
      return found === null ? undefined : `${found.id}?${query.toString()}`;
    },
    async load(id) {
      const request = readRequest(id);
      if (request === undefined) return undefined;
      this.addWatchFile(request.path);
      if (request.weights !== undefined) this.addWatchFile(request.weights);
      const folder = resolve(cache, createHash("sha256").update(id).digest("hex").slice(0, 16));
      const files = await buildInto(request, folder, (file) => this.addWatchFile(file));
      return wrapper(folder, files);
    },
  };
}

function splitQuery(id: string): readonly [string, URLSearchParams | undefined] {
  const at = id.indexOf("?");
  return at < 0 ? [id, undefined] : [id.slice(0, at), new URLSearchParams(id.slice(at + 1))];
}

function readRequest(id: string): Request | undefined {
  const [path, query] = splitQuery(id);
  if (query?.has("recurve") !== true) return undefined;
  const weights = query.get("weights");
  const maxLength = query.get("maxLength");
  if (maxLength !== null && !/^[1-9]\d{0,8}$/.test(maxLength))
    throw new Error(`maxLength=${maxLength} in ${id}: a whole number of at least 1 is needed`);
  return {
    path,
    weights: weights === null ? undefined : resolve(dirname(path), weights),
    mode: (query.get("mode") ?? undefined) as Mode | undefined,
    maxLength: maxLength === null ? undefined : Number(maxLength),
    dtype: choiceIn(query, "dtype", ["f32", "f16"]),
    quantize: choiceIn(query, "quantize", ["q8", "q4"]),
  };
}

function choiceIn<const T extends string>(query: URLSearchParams, name: string, choices: readonly T[]): T | undefined {
  const text = query.get(name);
  if (text === null) return undefined;
  const choice = choices.find((known) => known === text);
  if (choice === undefined) throw new Error(`${name}=${text}: one of ${choices.join(", ")} is needed`);
  return choice;
}

/** Gives the names of the weight files. Throws: an error as Vite shows it, with the place in the model. */
async function buildInto({ path, ...options }: Request, folder: string, onFile: (file: string) => void): Promise<readonly string[]> {
  try {
    const { loaded, compiled, tokenizer } = await compileModel(path, options);
    loaded.meta.files.forEach(onFile);
    await mkdir(dirname(folder), { recursive: true });
    await writeBundle(compiled, folder, tokenizer);
    return compiled.shards.map(({ file }) => file);
  } catch (error) {
    throw error instanceof CompileError ? forVite(error) : error;
  }
}

function forVite(error: CompileError): Error {
  const { code, message, fix, loc, frame } = error;
  const shown = new Error(`${code}: ${message}${loc === undefined ? "" : ` (${formatLoc(loc)})`}\n${fix}`);
  return Object.assign(shown, { frame, ...(loc === undefined ? {} : { loc: { ...loc, file: resolve(loc.file) } }) });
}

/** The module in the model's place: the bundle, reading its weights from where Vite serves or puts them. */
function wrapper(folder: string, files: readonly string[]): string {
  const at = (file: string): string => join(folder, file).replaceAll("\\", "/");
  const index = JSON.stringify(at("index.js"));
  const imports = files.map((file, i) => `import file${i} from ${JSON.stringify(`${at(file)}?url&no-inline`)};\n`).join("");
  const table = files.map((file, i) => `${JSON.stringify(file)}: file${i}`).join(", ");
  return `import { load as loadBundle } from ${index};
${imports}export * from ${index};
const files = { ${table} };
export const load = (options = {}) => loadBundle({
  read: async (file) => {
    const response = await fetch(new URL(files[file], import.meta.url), { signal: options.signal });
    if (!response.ok) throw new Error(\`HTTP status \${response.status}\`);
    return response.arrayBuffer();
  },
  ...options,
});
`;
}
