/**
 * `config.json` of a published checkpoint as input nobody vouched for: JSON as Python writes it, with bare `Infinity` and `NaN`, and
 * values read by type, within bounds, with the documented default where a key is missing or null. Which keys mean what is said in
 * the file of each architecture.
 */
import { CompileError } from "../ir/error.ts";

/** An object of a configuration. */
export interface Config {
  /** What messages call it: its file, and the key it lies under. */
  readonly label: string;
  readonly values: Readonly<Record<string, unknown>>;
}

/** What a number may be. */
export interface Bounds {
  readonly least?: number;
  readonly most?: number;
}

/** Widths and counts beyond this are nonsense, and their products would not be whole numbers. */
const MAX_COUNT = 2 ** 24;

/** A text of JSON, or a number that JSON has no word for. */
const TOKEN = /"(?:[^"\\]|\\.)*"|-?\b(?:Infinity|NaN)\b/g;
/** How newer versions of transformers write such a number. */
const FLOAT = "__float__";

/** What to do about a file that was changed or cut off. */
export const WHOLE = "take the file as it was published, whole and unchanged";

/** Throws: `checkpoint-config`. */
export function configFault(label: string, what: string, fix: string): never {
  throw new CompileError({ code: "checkpoint-config", message: `${label} ${what}`, fix });
}

/** Reads JSON as Python's `json` writes it. Throws: `checkpoint-config` where it is no object. */
export function parseConfig(label: string, text: string): Config {
  const json = text.replace(TOKEN, (token) => (token.startsWith('"') ? token : `{"${FLOAT}":"${token}"}`));
  const values = parsed(json) ?? configFault(label, "is not JSON", WHOLE);
  return isRecord(values) ? { label, values } : configFault(label, "is not a JSON object", WHOLE);
}

function parsed(json: string): unknown {
  try {
    return JSON.parse(json, (_, value: unknown) => floatOf(value) ?? value);
  } catch {
    return undefined;
  }
}

/** `{ "__float__": "Infinity" }` is a number. */
function floatOf(value: unknown): number | undefined {
  if (!isRecord(value) || Object.keys(value).length !== 1 || typeof value[FLOAT] !== "string") return undefined;
  return Number(value[FLOAT]);
}

/** The value of a key; undefined where it is missing or null. */
export function valueAt({ values }: Config, key: string): unknown {
  return Object.hasOwn(values, key) ? (values[key] ?? undefined) : undefined;
}

/** Whether the key has a value. */
export const has = (config: Config, key: string): boolean => valueAt(config, key) !== undefined;

/** The object under a key; an empty one where there is none. */
export function sectionAt(config: Config, key: string): Config {
  const value = valueAt(config, key) ?? {};
  return isRecord(value) ? { label: `${config.label}: ${key}`, values: value } : wrong(config, key, "an object");
}

/** A whole number; `fallback` where the key is missing, and an error where there is no fallback. */
export function countAt(config: Config, key: string, fallback?: number, { least = 1, most = MAX_COUNT }: Bounds = {}): number {
  const value = required(config, key, fallback);
  if (typeof value === "number" && Number.isInteger(value) && value >= least && value <= most) return value;
  return wrong(config, key, `a whole number from ${least} to ${most}`);
}

/** A number, which may be infinite where `most` is. */
export function numberAt(config: Config, key: string, fallback?: number, { least = 0, most = Number.MAX_VALUE }: Bounds = {}): number {
  const value = required(config, key, fallback);
  return typeof value === "number" && value >= least && value <= most ? value : wrong(config, key, `a number from ${least} to ${most}`);
}

/** True or false. */
export function flagAt(config: Config, key: string, fallback: boolean): boolean {
  const value = valueAt(config, key) ?? fallback;
  return typeof value === "boolean" ? value : wrong(config, key, "true or false");
}

/** A text. */
export function textAt(config: Config, key: string, fallback?: string): string {
  const value = required(config, key, fallback);
  return typeof value === "string" ? value : wrong(config, key, "a text");
}

/** The least and the most of a number; the second may be infinite. */
export function limitsAt(
  config: Config,
  key: string,
  fallback: readonly [low: number, high: number],
): readonly [low: number, high: number] {
  const value: unknown = valueAt(config, key) ?? fallback;
  const [low, high, ...more]: readonly unknown[] = Array.isArray(value) ? value : [];
  if (typeof low === "number" && typeof high === "number" && more.length === 0 && low >= 0 && low <= high && low < Infinity)
    return [low, high];
  return wrong(config, key, "two numbers of at least 0, the smaller one first");
}

/** The product of a width and a factor, which must be a whole number. */
export function widened(config: Config, key: string, width: number, fallback: number): number {
  const factor = numberAt(config, key, fallback, { most: 64 });
  const product = width * factor;
  return Number.isInteger(product) && product >= 1
    ? product
    : wrong(config, key, `a factor that makes a whole number of ${width} channels`);
}

function required(config: Config, key: string, fallback: unknown): unknown {
  return valueAt(config, key) ?? fallback ?? configFault(config.label, `lacks ${key}, for which there is no default`, WHOLE);
}

function wrong(config: Config, key: string, expected: string): never {
  const value: unknown = config.values[key];
  const shown = typeof value === "number" ? String(value) : (JSON.stringify(value) ?? "nothing");
  const text = shown.length > 60 ? `${shown.slice(0, 60)}...` : shown;
  return configFault(config.label, `has ${key}: ${text}`, `it must be ${expected}`);
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
