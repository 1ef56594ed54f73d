/** From a model file and its weights, or a published checkpoint, to what the compiler made of them, and to a bundle on disk. What the ways in share. */
import { stat } from "node:fs/promises";
import { compileGraph, type Compiled, type CompileOptions } from "./compile.ts";
import type { CheckpointOptions } from "./checkpoints/architecture.ts";
import { isCheckpoint } from "./checkpoints/folder.ts";
import type { TokenizerData } from "./checkpoints/tokenizer.ts";
import { loadModel, type LoadedModel } from "./frontend/load.ts";
import { withFrame } from "./frontend/frame.ts";
import { CompileError } from "./ir/error.ts";
import type { Constants } from "./ir/graph.ts";
import { init } from "./passes/init.ts";
import { loadWeights } from "./weights/load.ts";
import type { Scheme } from "./weights/scheme.ts";
import { schemeNamed } from "./weights/schemes.ts";
import { withTensorFile } from "./files.ts";

/** What to build and how. */
export interface BuildOptions extends CompileOptions {
  /** A safetensors or PyTorch file; where absent, parameters start from their initializers, and those of a checkpoint are in its folder. */
  readonly weights?: string | undefined;
  /** What no file of a published checkpoint says. */
  readonly checkpoint?: CheckpointOptions | undefined;
  /** How long the model file may run; see `loadModel`. */
  readonly timeoutMs?: number | undefined;
  /** Hears what is being done, in a word or two. */
  readonly onStage?: ((stage: string) => void) | undefined;
}

/** A model file or a checkpoint, compiled. */
export interface BuiltModel {
  readonly loaded: LoadedModel;
  /** The values read from the weights; without those that `init` makes. */
  readonly constants: Constants;
  readonly compiled: Compiled;
  /** What makes ids of text, where a checkpoint has it. */
  readonly tokenizer?: TokenizerData | undefined;
  /** Milliseconds of each stage; `typecheck` is TypeScript's own. */
  readonly times: { readonly typecheck: number; readonly load: number; readonly weights: number; readonly compile: number };
}

/** Compiles a model file or the folder of a checkpoint. Throws: CompileError, with the place in the user's file where there is one. */
export async function compileModel(path: string, options: BuildOptions = {}): Promise<BuiltModel> {
  try {
    return (await isCheckpoint(path)) ? await compileCheckpoint(path, options) : await compileFile(path, options);
  } catch (error) {
    throw error instanceof CompileError ? withFrame(error) : error;
  }
}

async function compileFile(path: string, options: BuildOptions): Promise<BuiltModel> {
  const { weights, timeoutMs, onStage } = options;
  await checkModelPath(path);
  onStage?.("checking types");
  const loaded = await loadModel(path, timeoutMs === undefined ? {} : { timeoutMs });
  const start = performance.now();
  onStage?.("reading weights");
  const scheme = schemeNamed(loaded.meta.weights);
  const constants: Constants =
    weights === undefined ? new Map() : await withTensorFile(weights, (file) => loadWeights(loaded.graph, file, scheme));
  const read = performance.now();
  onStage?.("compiling");
  const compiled = await compileGraph(loaded.graph, constants, { ...options, notes: weights === undefined ? [] : untoldBy(scheme) });
  const times = { typecheck: loaded.meta.typecheckMs, load: loaded.meta.otherMs, weights: read - start, compile: performance.now() - read };
  return { loaded, constants, compiled, times };
}

async function compileCheckpoint(folder: string, options: BuildOptions): Promise<BuiltModel> {
  const { weights, checkpoint = {}, onStage } = options;
  const start = performance.now();
  onStage?.("reading the checkpoint");
  const { readCheckpoint } = await import("./checkpoints/checkpoint.ts");
  const { graph, constants, vocabulary, notes, tokenizer, files } = await readCheckpoint(folder, {
    ...checkpoint,
    weights,
    vocabulary: options.vocabulary,
  });
  const read = performance.now();
  onStage?.("compiling");
  const compiled = await compileGraph(graph, constants, { ...options, vocabulary, notes });
  const meta = { weights: undefined, files, typecheckMs: 0, otherMs: 0 };
  const times = { typecheck: 0, load: 0, weights: read - start, compile: performance.now() - read };
  return { loaded: { graph, meta }, constants, compiled, times, tokenizer };
}

/** What the weights leave open, and so the model file alone says. */
const untoldBy = ({ name, untold }: Scheme): readonly string[] =>
  untold.length === 0 ? [] : [`weights: no tensor of the layout ${name} tells ${untold.join(", ")}; these are what the model file says`];

/** The values of every parameter of the loaded graph: read from the weights, or made by `init` with the same seed. */
export function valuesOf({ loaded, constants }: BuiltModel, seed = 0): Constants {
  return init.run({ graph: loaded.graph, constants }, { seed, note: () => undefined, warn: () => undefined }).constants;
}

/** Files that hold weights, by their ends. */
const WEIGHTS = /\.(safetensors|pt|pth|bin|ckpt|npz|h5|onnx)$/i;

/** Throws: `model-kind`. */
async function checkModelPath(path: string): Promise<void> {
  const fail = (message: string, fix: string): never => {
    throw new CompileError({ code: "model-kind", message, fix });
  };
  const info = await stat(path).catch(() => undefined);
  if (info?.isFile() && WEIGHTS.test(path)) {
    fail(
      `${path} holds weights, and nothing that says what is computed with them`,
      `write the model in a .ts file, its layers named as the tensors are, and give it the weights: recurve build model.ts --weights ${path}`,
    );
  }
  if (!info?.isDirectory()) return;
  fail(
    `${path} is a folder without a config.json`,
    "give a .ts file whose default export is a model, or the folder of a published checkpoint",
  );
}

/** Writes what was compiled as a bundle, whole or not at all. Throws: `output-not-ours`, `output-write-failed`. */
export async function writeBundle({ plan, shards, manifest }: Compiled, folder: string, tokenizer?: TokenizerData): Promise<void> {
  const { packBundle } = await import("./pack.ts");
  const files = tokenizer?.kind === "files" ? tokenizer.files : undefined;
  const characters = tokenizer?.kind === "characters" ? tokenizer.characters : undefined;
  await packBundle({ plan, shards: shards.map(({ bytes }) => bytes), manifest: { ...manifest }, files, characters }, folder);
}
