/**
 * Seeded random numbers: xoshiro128** (Blackman and Vigna, "Scrambled linear pseudorandom number generators", 2021),
 * its four words of state being the 32-bit MurmurHash3 finalizer chained over the characters of `seed/stream`. The same
 * (seed, stream) gives the same numbers on every engine; different streams are independent. Not for cryptography.
 */

export interface Random {
  /** Uniform in [0, 1), 53 random bits. */
  readonly uniform: () => number;
  /** Standard normal. */
  readonly normal: () => number;
}

/** MurmurHash3's finalizer: every input bit changes every output bit with probability 1/2. */
function mix(h: number): number {
  let x = h;
  x = Math.imul(x ^ (x >>> 16), 0x85ebca6b);
  x = Math.imul(x ^ (x >>> 13), 0xc2b2ae35);
  return (x ^ (x >>> 16)) >>> 0;
}

function stateOf(text: string): Uint32Array {
  const state = new Uint32Array(4);
  for (let word = 0; word < 4; word++) {
    let h = mix(0x9e3779b9 * (word + 1));
    for (let i = 0; i < text.length; i++) h = mix((h ^ text.charCodeAt(i)) + 0x9e3779b9);
    state[word] = h;
  }
  if (state.every((w) => w === 0)) state[0] = 1;
  return state;
}

const rotl = (x: number, k: number): number => ((x << k) | (x >>> (32 - k))) >>> 0;

/** A generator of its own for `stream`, such as a parameter's name. */
export function random(seed: number, stream: string): Random {
  const s = stateOf(`${seed}/${stream}`);
  const next = (): number => {
    const [s0 = 0, s1 = 0, s2 = 0, s3 = 0] = s;
    const result = Math.imul(rotl(Math.imul(s1, 5), 7), 9) >>> 0;
    const a = s2 ^ s0;
    const b = s3 ^ s1;
    s[0] = s0 ^ b;
    s[1] = s1 ^ a;
    s[2] = a ^ (s1 << 9);
    s[3] = rotl(b >>> 0, 11);
    return result;
  };
  const uniform = (): number => ((next() >>> 5) * 0x4000000 + (next() >>> 6)) / 0x20000000000000;
  let spare: number | undefined;
  /** Marsaglia's polar method: two normals from a point in the unit disc. */
  const normal = (): number => {
    if (spare !== undefined) {
      const value = spare;
      spare = undefined;
      return value;
    }
    for (;;) {
      const x = 2 * uniform() - 1;
      const y = 2 * uniform() - 1;
      const q = x * x + y * y;
      if (q >= 1 || q === 0) continue;
      const f = Math.sqrt((-2 * Math.log(q)) / q);
      spare = y * f;
      return x * f;
    }
  };
  return { uniform, normal };
}

/** Draws the logarithm of a number whose logarithm is uniform between those of `low` and `high`. */
export const logUniform =
  ({ uniform }: Random, low: number, high: number) =>
  (): number =>
    Math.log(low) + uniform() * Math.log(high / low);
