/** `recurve generate`: what a language model says after a prompt. */
import { CompileError } from "../../ir/error.ts";
import type { GenerateOptions, LanguageModel } from "../../runtime/language-api.ts";
import type { AnyInputs, AnyModel, AnyOutputs } from "../bundle.ts";
import { countOf, numberOf, textOf, UsageError, type Command, type Given, type Terminal } from "../command.ts";

type AnyLanguageModel = LanguageModel<AnyInputs, AnyOutputs, unknown>;

export const generate: Command = {
  name: "generate",
  operands: ["bundle"],
  doc: "Prints what a language model says after a prompt: the most likely token each time, or drawn.",
  options: {
    ids: { type: "string", value: "1,2,3", doc: "the prompt as ids" },
    prompt: { type: "string", value: "text", doc: "the prompt as text, where the bundle has a tokenizer" },
    "max-tokens": { type: "string", value: "n", doc: "new tokens" },
    temperature: { type: "string", value: "t", doc: "draws at this temperature; greedy where absent, unless --top-k or --top-p is given" },
    "top-k": { type: "string", value: "k", doc: "draws among the k most likely tokens" },
    "top-p": { type: "string", value: "p", doc: "draws among the most likely tokens that have this share of the probability" },
    seed: { type: "string", value: "s", doc: "the same seed draws the same tokens; a random one where absent" },
    stop: { type: "string", value: "text", doc: "text after which it ends, where the bundle has a tokenizer" },
    json: { type: "boolean", doc: 'print {"ids": [...]} of the new tokens' },
  },
  run: async (given, terminal) => {
    const [folder = ""] = given.operands;
    const prompt = promptOf(given);
    const options = optionsOf(given);
    const [{ openModel }, { tokenizerIn }] = await Promise.all([import("../model.ts"), import("../tokenizer.ts")]);
    const model = await openModel(folder, terminal, await tokenizerIn(folder));
    try {
      const text = typeof prompt === "string" ? "--prompt" : options.stop === undefined ? undefined : "--stop";
      await print(languageModel(model, text), prompt, options, given.values["json"] === true, terminal);
    } finally {
      model.destroy();
    }
    return 0;
  },
};

/** Throws: UsageError. */
function promptOf(given: Given): string | readonly number[] {
  const [ids, text] = [textOf(given, "ids"), textOf(given, "prompt")];
  if (ids !== undefined && text !== undefined) throw new UsageError("--ids and --prompt are two prompts; give one");
  if (text !== undefined) return text;
  if (ids === undefined) throw new UsageError("--ids or --prompt is missing");
  if (!/^\s*-?\d+\s*(,\s*-?\d+\s*)*$/.test(ids)) throw new UsageError(`--ids needs whole numbers between commas, not "${ids}"`);
  return ids.split(",").map(Number);
}

/** Throws: UsageError. */
function stopOf(given: Given): string | undefined {
  const text = textOf(given, "stop");
  if (text === "") throw new UsageError("--stop is empty; it needs text");
  return text;
}

/** Throws: UsageError. */
function optionsOf(given: Given): GenerateOptions {
  const maxTokens = countOf(given, "max-tokens");
  if (maxTokens === undefined) throw new UsageError("--max-tokens is missing");
  const seed = countOf(given, "seed", 0);
  if (seed !== undefined && seed >= 2 ** 32) throw new UsageError(`--seed needs a whole number below 2^32, not "${seed}"`);
  return {
    maxTokens,
    temperature: numberOf(given, "temperature", "a number of at least 0", (t) => t >= 0),
    topK: countOf(given, "top-k"),
    topP: numberOf(given, "top-p", "a number above 0, at most 1", (p) => p > 0 && p <= 1),
    seed,
    stop: stopOf(given),
  };
}

/** The model as one that takes the option `text`. Throws: `no-language-model`, `no-tokenizer`. */
function languageModel(model: AnyModel, text: "--prompt" | "--stop" | undefined): AnyLanguageModel {
  const { name, inputs, outputs } = model.info;
  if (!("generate" in model)) {
    const list = (specs: typeof inputs): string => specs.map((spec) => `${spec.name} [${spec.dims.join(", ")}]`).join(", ");
    throw new CompileError({
      code: "no-language-model",
      message: `${name} is no language model: it takes ${list(inputs)} and gives ${list(outputs)}`,
      fix: "a language model takes tokens named `ids` and gives `logits` at every step; run others with `recurve run`",
    });
  }
  const language = model as AnyLanguageModel;
  if (text !== undefined && language.tokenizer === undefined)
    throw new CompileError({
      code: "no-tokenizer",
      message: `${name} has no tokenizer, and ${text} is text`,
      fix: "give the prompt as ids: --ids 1,2,3, and no --stop",
    });
  return language;
}

async function print(
  model: AnyLanguageModel,
  prompt: string | readonly number[],
  options: GenerateOptions,
  json: boolean,
  terminal: Terminal,
): Promise<void> {
  const ids: number[] = [];
  for await (const { id, text } of model.generate(prompt, options)) {
    if (!json) terminal.out(text ?? (ids.length === 0 ? `${id}` : `,${id}`));
    ids.push(id);
  }
  terminal.out(json ? `${JSON.stringify({ ids })}\n` : "\n");
}
