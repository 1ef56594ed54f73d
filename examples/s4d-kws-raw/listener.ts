/**
 * Sound without end for a model of half seconds: a window begins every quarter of a second, hears half a second from the
 * zero state, gives its answer and is gone. Two streams take turns. Nothing of the page is in here.
 */
import type { Model, Stream } from "../shared/bundle.ts";
import { softmax } from "../shared/results.ts";
import { LENGTH } from "./sound.ts";

/** Samples from the beginning of one window to that of the next. */
export const HOP = LENGTH / 2;

/** Half a second of sound, as far as it was heard. */
export interface Window {
  /** Its first sample. */
  readonly start: number;
  readonly input: Float32Array<ArrayBuffer>;
  /** Samples heard; `LENGTH` at the end. */
  heard: number;
  logits: Float32Array<ArrayBuffer>;
  /** Milliseconds spent on it. */
  busy: number;
}

/** A window that has heard everything. */
export interface Answer {
  readonly window: Window;
  /** The same half second in one run, as a convolution. */
  readonly whole: Float32Array;
  /** Milliseconds that run took. */
  readonly took: number;
  /** Largest difference between the logits of both. */
  readonly apart: number;
}

export class Listener {
  /** Samples heard. */
  position = 0;
  readonly #model: Model;
  readonly #streams: readonly Stream[];
  #open: Window[] = [];
  readonly #onAnswer: (answer: Answer) => void;

  private constructor(model: Model, streams: readonly Stream[], onAnswer: (answer: Answer) => void) {
    this.#model = model;
    this.#streams = streams;
    this.#onAnswer = onAnswer;
  }

  /** A listener at the beginning of a sound; `onAnswer` is called at the end of every window. */
  static async begin(model: Model, onAnswer: (answer: Answer) => void): Promise<Listener> {
    return new Listener(model, [await model.stream(), await model.stream()], onAnswer);
  }

  /** The next samples, as many as there are; gives the class probabilities of the window that has heard the most, and that window. */
  async push(input: Float32Array<ArrayBuffer>): Promise<{ readonly window: Window; readonly p: readonly number[] }> {
    const [from, to] = [this.position, this.position + input.length];
    let eldest: Window | undefined;
    for (let k = Math.max(0, Math.floor((from - LENGTH) / HOP) + 1); k * HOP < to; k++) {
      const start = k * HOP;
      const part = input.subarray(Math.max(0, start - from), Math.min(input.length, start + LENGTH - from));
      const window = await this.#hear(k, part);
      if (eldest === undefined || window.heard >= eldest.heard) eldest = window;
    }
    this.position = to;
    if (eldest === undefined) throw new Error("a push of no samples");
    return { window: eldest, p: softmax(eldest.logits) };
  }

  destroy(): void {
    this.#streams.forEach((stream) => stream.destroy());
  }

  async #hear(k: number, part: Float32Array<ArrayBuffer>): Promise<Window> {
    const stream = this.#streams[k % this.#streams.length];
    if (stream === undefined) throw new Error("no stream is free");
    let window = this.#open.find(({ start }) => start === k * HOP);
    if (window === undefined) {
      window = { start: k * HOP, input: new Float32Array(LENGTH), heard: 0, logits: new Float32Array(), busy: 0 };
      this.#open.push(window);
      await stream.reset();
    }
    const begun = performance.now();
    const { logits } = await stream.push({ u: part });
    window.busy += performance.now() - begun;
    window.logits = new Float32Array(logits.data);
    window.input.set(part, window.heard);
    window.heard += part.length;
    if (window.heard === LENGTH) await this.#close(window);
    return window;
  }

  async #close(window: Window): Promise<void> {
    this.#open = this.#open.filter((other) => other !== window);
    const begun = performance.now();
    const { logits } = await this.#model.run({ u: window.input }, { mode: "convolution" });
    const took = performance.now() - begun;
    const apart = Math.max(...Array.from(logits.data, (x, i) => Math.abs(x - (window.logits[i] ?? Number.NaN))));
    this.#onAnswer({ window, whole: logits.data, took, apart });
  }
}
