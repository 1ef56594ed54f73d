/** The options of `generate`, checked, and the words that the device reads them from. */
import { InputError } from "./errors.ts";
import type { GenerateOptions } from "./language-api.ts";

/** Checked options. */
export interface Sampling {
  readonly maxTokens: number;
  /** Ids and text that end a sequence. */
  readonly stop: readonly (number | string)[];
  readonly every: number;
  /** Bits of 1/T (0: greedy) and of p, k, seed. */
  readonly settings: Uint32Array<ArrayBuffer>;
}

/** The most tokens made before they are read back. */
const MOST = 64;

/** Throws: InputError naming the option. */
export function readOptions(options: GenerateOptions): Sampling {
  const { topK = 0, topP = 1, maxTokens = Infinity, every = 8, stop = [] } = options;
  const { temperature = options.topK === undefined && options.topP === undefined ? 0 : 1, seed = Math.floor(Math.random() * 2 ** 32) } =
    options;
  const check = (name: keyof GenerateOptions, right: boolean, needed: string): void => {
    if (!right) throw new InputError(name, undefined, `it is ${JSON.stringify(options[name])}; ${needed} is needed`);
  };
  const isCount = (value: number, most: number): boolean => Number.isInteger(value) && value >= 1 && value <= most;
  check("maxTokens", maxTokens === Infinity || isCount(maxTokens, Infinity), "a whole number of at least 1");
  check("temperature", temperature >= 0 && temperature < Infinity, "a number of at least 0");
  check("topK", options.topK === undefined || isCount(topK, 2 ** 31), "a whole number of at least 1");
  check("topP", topP > 0 && topP <= 1, "a number above 0, at most 1");
  check("seed", Number.isInteger(seed) && seed >= 0 && seed < 2 ** 32, "a whole number from 0 to 2^32 - 1");
  check("every", isCount(every, MOST), `a whole number from 1 to ${MOST}`);
  const ends: readonly (number | string)[] = Array.isArray(stop) ? stop : [stop];
  check(
    "stop",
    ends.every((end) => Number.isInteger(end) || (typeof end === "string" && end !== "")),
    "an id, text or a list of these",
  );
  // Bounded, so that float32 holds them: what is less likely than 1e-6 of the whole is drawn never anyway.
  const inverse = temperature === 0 ? 0 : Math.min(1 / temperature, 1e30);
  const [bits = 0, share = 0] = new Uint32Array(Float32Array.of(inverse, Math.max(topP, 1e-6)).buffer);
  return { maxTokens, stop: ends, every, settings: Uint32Array.of(bits, share, topK, seed) };
}
