/** The choice of a token in plain loops and float64: what the sampling kernel is held to. */

export interface Sampling {
  /** 0: greedy. */
  readonly temperature: number;
  /** 0: all. */
  readonly topK: number;
  /** 1: all. */
  readonly topP: number;
  readonly seed: number;
}

/** The words a kernel finds its settings in. */
export function settingsOf({ temperature, topK, topP, seed }: Sampling): Uint32Array {
  const [inverse = 0, share = 0] = new Uint32Array(Float32Array.of(temperature === 0 ? 0 : 1 / temperature, topP).buffer);
  return Uint32Array.of(inverse, share, topK, seed);
}

/** The least logit that may be drawn: the k-th largest, then the least of the fewest that hold a share of at least p. Equal ones stay or go together. */
export function leastLogit(logits: readonly number[], { temperature, topK, topP }: Sampling): number {
  const sorted = logits.toSorted((a, b) => b - a);
  const least = topK > 0 ? (sorted[Math.min(topK, sorted.length) - 1] ?? -Infinity) : -Infinity;
  if (topP >= 1) return least;
  const kept = sorted.filter((x) => x >= least);
  const weights = kept.map((x) => Math.exp((x - (sorted[0] ?? 0)) / temperature));
  const total = weights.reduce((a, b) => a + b, 0);
  let sum = 0;
  return kept.find((_, i) => (sum += weights[i] ?? 0) >= topP * total) ?? least;
}

/** Probabilities of the tokens. */
export function probabilities(logits: readonly number[], sampling: Sampling): number[] {
  const least = leastLogit(logits, sampling);
  const top = Math.max(...logits);
  const weights = logits.map((x) => (x >= least ? Math.exp((x - top) / sampling.temperature) : 0));
  const total = weights.reduce((a, b) => a + b, 0);
  return weights.map((w) => w / total);
}

/** MurmurHash3's finalizer. */
function mix(h: number): number {
  const a = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  const b = Math.imul(a ^ (a >>> 13), 0xc2b2ae35);
  return (b ^ (b >>> 16)) >>> 0;
}

/** The token chosen after `position` steps for sequence `b`. */
export function sample(logits: readonly number[], sampling: Sampling, position: number, b = 0): number {
  const greatest = (values: readonly number[]): number => values.indexOf(Math.max(...values));
  if (sampling.temperature === 0) return greatest(logits);
  const least = leastLogit(logits, sampling);
  const counter = mix(mix(mix(sampling.seed) ^ position) ^ b);
  return greatest(
    logits.map((x, v) => {
      const u = (mix((counter + Math.imul(v, 0x9e3779b9)) | 0) + 0.5) / 2 ** 32;
      return x >= least ? x / sampling.temperature - Math.log(-Math.log1p(-u)) : -Infinity;
    }),
  );
}
