/** What a command of the command line is, and how its words are read. The commands are in `commands/`, one a file. */
import { parseArgs, type ParseArgsConfig } from "node:util";

/** Where a command's words go. Results to `out`; progress, notes and diagnostics to `err`. */
export interface Terminal {
  readonly out: (text: string) => void;
  readonly err: (text: string) => void;
  /** Whether `err` is a terminal that a person watches. */
  readonly interactive: boolean;
}

/** An option as the usage text shows it. */
export interface OptionDoc {
  readonly type: "string" | "boolean";
  readonly short?: string;
  /** What stands for the value in the usage text. */
  readonly value?: string;
  readonly doc: string;
}

export interface Command {
  readonly name: string;
  /** Names of the words that are no options, in order. */
  readonly operands: readonly string[];
  readonly doc: string;
  readonly options: Readonly<Record<string, OptionDoc>>;
  /** The exit code: 0 done, 1 the user's model, data or device is at fault. */
  readonly run: (given: Given, terminal: Terminal) => Promise<number>;
}

/** The words of a call: operands in order, options by name. */
export interface Given {
  readonly operands: readonly string[];
  readonly values: Readonly<Record<string, string | boolean | undefined>>;
}

/** Wrong usage: the command line exits with 2. */
export class UsageError extends Error {
  override readonly name = "UsageError";
}

/** Throws: UsageError where words are missing, unknown or too many. */
export function readWords(command: Command, words: readonly string[]): Given {
  const options: NonNullable<ParseArgsConfig["options"]> = { help: { type: "boolean", short: "h" } };
  for (const [name, { type, short }] of Object.entries(command.options))
    options[name] = { type, ...(short === undefined ? {} : { short }) };
  const { values, positionals } = parse(words, options);
  if (values["help"] === true) return { operands: [], values };
  const missing = command.operands[positionals.length];
  if (missing !== undefined) throw new UsageError(`<${missing}> is missing`);
  if (positionals.length > command.operands.length) throw new UsageError(`"${positionals[command.operands.length]}" is one word too many`);
  return { operands: positionals, values };
}

function parse(
  words: readonly string[],
  options: NonNullable<ParseArgsConfig["options"]>,
): { values: Given["values"]; positionals: string[] } {
  try {
    const { values, positionals } = parseArgs({ args: [...words], options, allowPositionals: true, strict: true });
    return { values: values as Given["values"], positionals };
  } catch (error) {
    if (error instanceof TypeError && "code" in error) throw new UsageError(error.message.split(". To specify")[0] ?? error.message);
    throw error;
  }
}

/** The text of an option; undefined where it is not given. */
export function textOf({ values }: Given, name: string): string | undefined {
  const value = values[name];
  return typeof value === "string" ? value : undefined;
}

/** Throws: UsageError where the option is not given. */
export function requiredText(given: Given, name: string): string {
  return textOf(given, name) ?? usage(`--${name} is missing`);
}

/** Throws: UsageError where it is given and no whole number of at least `least`. */
export function countOf(given: Given, name: string, least = 1): number | undefined {
  const text = textOf(given, name);
  if (text === undefined) return undefined;
  const count = Number(text);
  if (!/^\d+$/.test(text) || !Number.isSafeInteger(count) || count < least)
    usage(`--${name} needs a whole number of at least ${least}, not "${text}"`);
  return count;
}

/** Throws: UsageError where it is given and no number above 0. */
export const factorOf = (given: Given, name: string): number | undefined =>
  numberOf(given, name, "a number above 0", (factor) => factor > 0);

/** Throws: UsageError where it is given and no finite number, or not `right`; `needed` says what is. */
export function numberOf(given: Given, name: string, needed: string, right: (value: number) => boolean): number | undefined {
  const text = textOf(given, name);
  if (text === undefined) return undefined;
  const value = text.trim() === "" ? NaN : Number(text);
  if (!Number.isFinite(value) || !right(value)) usage(`--${name} needs ${needed}, not "${text}"`);
  return value;
}

/** Throws: UsageError where it is given and not one of `choices`. */
export function choiceOf<const T extends string>(given: Given, name: string, choices: readonly T[]): T | undefined {
  const text = textOf(given, name);
  if (text === undefined) return undefined;
  return choices.find((choice) => choice === text) ?? usage(`--${name} is one of ${choices.join(", ")}, not "${text}"`);
}

/** What weights are stored as. Throws: UsageError. */
export const weightOptions = (given: Given): { readonly dtype: "f32" | "f16" | undefined; readonly quantize: "q8" | "q4" | undefined } => ({
  dtype: choiceOf(given, "dtype", ["f32", "f16"]),
  quantize: choiceOf(given, "quantize", ["q8", "q4"]),
});

function usage(message: string): never {
  throw new UsageError(message);
}
