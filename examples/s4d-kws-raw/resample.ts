/** Sound that arrives piece by piece at one rate, given on at another. Band-limited; not a file decoder. */

/** Zero crossings of the sinc to each side: 2 ms of delay at 8 kHz. */
const CROSSINGS = 16;
/** Of the lower of the two Nyquist frequencies; the rest is for the filter's slope. */
const PASS = 0.92;

/** A Hann-windowed sinc, sampled where each output falls; however the input is cut, the output is the same. */
export class Resampler {
  readonly #ratio: number;
  readonly #cutoff: number;
  readonly #reach: number;
  /** Input from index `#start` on. */
  #kept = new Float32Array();
  #start = 0;
  #next = 0;

  /** Units: both rates in samples a second. */
  constructor(from: number, to: number) {
    this.#ratio = from / to;
    this.#cutoff = PASS * Math.min(1, to / from);
    this.#reach = CROSSINGS * Math.max(1, this.#ratio);
  }

  /** The output whose neighbourhood is complete with these samples. */
  push(samples: Float32Array): Float32Array<ArrayBuffer> {
    const input = new Float32Array(this.#kept.length + samples.length);
    input.set(this.#kept);
    input.set(samples, this.#kept.length);
    const end = this.#start + input.length;
    const output: number[] = [];
    for (; this.#next * this.#ratio + this.#reach < end; this.#next++) output.push(this.#at(input, this.#next * this.#ratio));
    const needed = Math.max(this.#start, Math.floor(this.#next * this.#ratio - this.#reach));
    this.#kept = input.slice(needed - this.#start);
    this.#start = needed;
    return Float32Array.from(output);
  }

  #at(input: Float32Array, time: number): number {
    const first = Math.max(this.#start, Math.ceil(time - this.#reach));
    const last = Math.floor(time + this.#reach);
    let sum = 0;
    for (let m = first; m <= last; m++) {
      const t = m - time;
      const window = 0.5 + 0.5 * Math.cos((Math.PI * t) / this.#reach);
      const phase = Math.PI * this.#cutoff * t;
      sum += (input[m - this.#start] ?? 0) * window * this.#cutoff * (phase === 0 ? 1 : Math.sin(phase) / phase);
    }
    return sum;
  }
}
