/** What the drawings of the inspect page share: text that is safe, numbers that are short, scales with their ticks. */

/** Text that is safe between tags and in quoted attributes. */
export const escapeHtml = (text: string): string => text.replace(/[&<>"']/g, (c) => `&#${c.codePointAt(0)};`);

/** At most one decimal below 100, and a binary prefix. */
export function formatBytes(bytes: number): string {
  const units = ["B", "KiB", "MiB", "GiB"];
  const power = Math.min(units.length - 1, Math.floor(Math.log2(Math.max(bytes, 1)) / 10));
  const value = bytes / 1024 ** power;
  return `${power === 0 || value >= 100 ? Math.round(value) : value.toFixed(1)} ${units[power]}`;
}

/** Three significant digits and a metric prefix. */
export function formatSeconds(seconds: number): string {
  const [scale, unit] = seconds >= 1 ? [1, "s"] : seconds >= 1e-3 ? [1e3, "ms"] : [1e6, "µs"];
  return `${formatNumber(seconds * scale)} ${unit}`;
}

/** Three significant digits and k, M or G. */
export function formatCount(x: number): string {
  const power = Math.min(3, Math.floor(Math.log10(Math.max(x, 1)) / 3));
  return power === 0 ? `${Math.round(x)}` : `${(x / 1000 ** power).toPrecision(3)} ${["", "k", "M", "G"][power]}`;
}

/** Three significant digits, those very large or small by a power of ten. */
export function formatNumber(x: number): string {
  if (!Number.isFinite(x)) return x > 0 ? "∞" : "-∞";
  const size = Math.abs(x);
  return x === 0 || (size >= 1e-3 && size < 1e5) ? String(Number(x.toPrecision(3))) : x.toExponential(2).replace(/\.?0*e\+?/, "e");
}

/** A coordinate: to a tenth of a pixel. */
export const px = (x: number): string => `${Math.round(10 * x) / 10}`;

/** One drawing; `label` is what it says to whoever cannot see it. */
export const drawing = (kind: string, width: number, height: number, label: string, body: string): string =>
  `<svg class="${kind}" viewBox="0 0 ${px(width)} ${px(height)}" width="${px(width)}" height="${px(height)}" role="img" aria-label="${escapeHtml(label)}">${body}</svg>`;

/** Text at a place; `anchor` is where it hangs. */
export const textAt = (x: number, y: number, text: string, kind = "tick", anchor: "start" | "middle" | "end" = "middle"): string =>
  `<text class="${kind}" x="${px(x)}" y="${px(y)}" text-anchor="${anchor}">${escapeHtml(text)}</text>`;

/** From values to pixels, and which values to label. */
export interface Scale {
  readonly at: (value: number) => number;
  readonly ticks: readonly number[];
  /** What to say of the scale beside the axis' title, where it is not linear. */
  readonly note?: string;
}

type Range = readonly [from: number, to: number];

/** Round steps of 1, 2 or 5; some `wanted` of them. */
export function linearScale([low, high]: Range, [from, to]: Range, wanted = 4): Scale {
  const span = high > low ? high - low : 1;
  const power = 10 ** Math.floor(Math.log10(span / wanted));
  const step = [1, 2, 5, 10].map((m) => m * power).find((s) => span / s <= wanted) ?? span;
  const first = Math.ceil(low / step - 1e-9);
  const ticks = Array.from({ length: Math.floor(high / step + 1e-9) - first + 1 }, (_, i) => Number(((first + i) * step).toPrecision(12)));
  return { at: (v) => from + ((v - low) / span) * (to - from), ticks };
}

/** Powers of ten, every few where there are many; of less than two decades also their double and fivefold. */
export function logScale([low, high]: Range, [from, to]: Range, wanted = 6): Scale {
  const [a, b] = [Math.log10(low), Math.max(Math.log10(high), Math.log10(low) + 1e-9)];
  const every = Math.max(1, Math.ceil((b - a) / wanted));
  const powers = Array.from({ length: Math.floor(b + 1e-9) - Math.ceil(a - 1e-9) + 1 }, (_, i) => Math.ceil(a - 1e-9) + i);
  const between = [...new Set([Math.floor(a), ...powers])]
    .flatMap((p) => [1, 2, 5].map((m) => m * 10 ** p))
    .filter((v) => v >= low && v <= high);
  const ticks = b - a < 2 ? between : powers.filter((p) => p % every === 0).map((p) => 10 ** p);
  return { at: (v) => from + ((Math.log10(Math.max(v, low)) - a) / (b - a)) * (to - from), ticks };
}

/** Linear up to `threshold` and logarithmic beyond, on both sides of zero. */
function symlogScale([low, high]: Range, threshold: number, [from, to]: Range): Scale {
  const bend = (v: number): number => Math.asinh(v / threshold);
  const [a, b] = [bend(low), bend(high)];
  const first = Math.ceil(Math.log10(threshold));
  const last = Math.floor(Math.log10(Math.max(-low, high)));
  const every = Math.max(1, Math.ceil((last - first + 1) / 3));
  const powers = Array.from({ length: last - first + 1 }, (_, i) => first + i).filter((p) => (last - p) % every === 0);
  const ticks = [0, ...powers.flatMap((p) => [-(10 ** p), 10 ** p])].filter((v) => v >= low && v <= high);
  return { at: (v) => from + ((bend(v) - a) / (b - a)) * (to - from), ticks, note: "logarithmic" };
}

/** Past this ratio of large to small values a linear axis would show the large only. */
const widest = 200;

/** Linear where that shows all of the values; else linear about zero and logarithmic beyond their smallest. */
export function signedScale(values: readonly number[], domain: Range, range: Range): Scale {
  const sizes = values
    .map(Math.abs)
    .filter((v) => v > 0)
    .toSorted((a, b) => a - b);
  const largest = sizes.at(-1) ?? 1;
  // A twentieth may be smaller: rounding about zero is not what the axis is for.
  const small = Math.max(sizes[Math.floor(sizes.length / 20)] ?? 1, largest * 1e-9);
  return largest / small > widest ? symlogScale(domain, small, range) : linearScale(domain, range);
}
