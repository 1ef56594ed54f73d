/** The page of hippo: draw or pick a curve, watch four memories take it in, and see at any time what they know of the past. */
import type { Model, Stream } from "../shared/bundle.ts";
import { byId, onThemeChange, sleep, drawOn } from "../shared/dom.ts";
import { openModel, showFailure } from "../shared/opening.ts";
import { duration } from "../shared/results.ts";
import { curves, sampled } from "./curves.ts";
import { errorOf, memories, type Name, names, reconstruct } from "./memories.ts";
import { drawCurve, ErrorChart, Panels } from "./panels.ts";
import { LENGTH, STATES } from "./sizes.ts";

/** Samples of one push. */
const CHUNK = 8;
/** Milliseconds that watching a whole curve takes at least. */
const WATCHABLE_MS = 4000;
/** What an arrow key bends a curve by. */
const NUDGE = 0.1;

type Coefficients = Readonly<Record<Name, Float32Array>>;

/** The drawing at the left: takes strokes of the pointer and of the keyboard. */
class Curve {
  samples = sampled(() => 0);
  readonly #canvas = byId("curve", HTMLCanvasElement);
  readonly #changed: () => void;
  #last: { readonly at: number; readonly value: number } | undefined;
  #cursor: number | undefined;

  constructor(changed: () => void) {
    this.#changed = changed;
    drawOn(this.#canvas, {
      begin: () => {
        this.#last = undefined;
      },
      stroke: (event) => this.#stroke(event),
      done: () => this.#changed(),
      key: (event) => this.#key(event),
      blur: () => {
        this.#cursor = undefined;
        this.show();
      },
    });
    new ResizeObserver(() => this.show()).observe(this.#canvas);
    onThemeChange(() => this.show());
  }

  set(samples: Float32Array<ArrayBuffer>): void {
    this.samples = samples;
    this.show();
  }

  show(): void {
    drawCurve(this.#canvas, this.samples, this.#cursor);
  }

  /** Straight from the last place of the pointer to this one. */
  #stroke(event: PointerEvent): void {
    const box = this.#canvas.getBoundingClientRect();
    const at = Math.min(LENGTH - 1, Math.max(0, Math.floor(((event.clientX - box.left) / box.width) * LENGTH)));
    const value = Math.min(1, Math.max(-1, 2.3 * (0.5 - (event.clientY - box.top) / box.height)));
    const last = this.#last ?? { at, value };
    const steps = Math.max(1, Math.abs(at - last.at));
    for (let i = 0; i <= steps; i++)
      this.samples[Math.round(last.at + ((at - last.at) * i) / steps)] = last.value + ((value - last.value) * i) / steps;
    this.#last = { at, value };
    this.show();
  }

  /** Left and right move a cursor, up and down bend the curve around it. */
  #key(event: KeyboardEvent): void {
    const move = { ArrowLeft: -16, ArrowRight: 16 }[event.key];
    const bend = { ArrowUp: NUDGE, ArrowDown: -NUDGE }[event.key];
    if (move === undefined && bend === undefined) return;
    event.preventDefault();
    const cursor = Math.min(LENGTH - 1, Math.max(0, (this.#cursor ?? LENGTH / 2) + (move ?? 0)));
    this.#cursor = cursor;
    if (bend !== undefined) {
      this.samples = this.samples.map((x, i) => Math.min(1, Math.max(-1, x + bend * Math.exp(-(((i - cursor) / 24) ** 2)))));
      this.#changed();
    }
    this.show();
  }
}

/** The model, what it has made of the curve so far, and the moment shown. */
class Memory {
  readonly #model: Model<Name>;
  readonly #stream: Stream<Name>;
  readonly #panels = new Panels();
  readonly #chart = new ErrorChart();
  readonly #scrubber = byId("scrubber", HTMLInputElement);
  #curve = new Float32Array(LENGTH);
  /** After each sample. */
  #history: Coefficients[] = [];
  #errors: { readonly count: number; readonly of: Readonly<Record<Name, number>> }[] = [];
  #following = true;
  #job = new AbortController();
  /** Every call on the stream waits for the one before it. */
  #turn: Promise<void> = Promise.resolve();

  constructor(model: Model<Name>, stream: Stream<Name>) {
    this.#model = model;
    this.#stream = stream;
    this.#scrubber.addEventListener("input", () => {
      this.#following = Number(this.#scrubber.value) >= this.#history.length;
      this.show();
    });
    onThemeChange(() => this.show());
    new ResizeObserver(() => this.show()).observe(byId("panels", HTMLElement));
  }

  /** Takes a curve in from its first sample; a later call ends an earlier one. */
  take(curve: Float32Array<ArrayBuffer>): void {
    this.#job.abort();
    this.#job = new AbortController();
    const { signal } = this.#job;
    this.#turn = this.#turn.then(() => this.#run(curve.slice(), signal)).catch(showFailure);
  }

  /** The moment at the scrubber, or the last one there is. */
  show(): void {
    const count = this.#following ? this.#history.length : Math.min(Number(this.#scrubber.value), this.#history.length);
    this.#scrubber.value = `${count}`;
    const text = `${count} of ${LENGTH} samples`;
    this.#scrubber.setAttribute("aria-valuetext", text);
    byId("steps", HTMLOutputElement).textContent = text;
    this.#panels.show(this.#curve, this.#history[count - 1], count);
    this.#chart.show(this.#errors, count);
  }

  async #run(curve: Float32Array<ArrayBuffer>, signal: AbortSignal): Promise<void> {
    if (signal.aborted) return;
    [this.#curve, this.#history, this.#errors, this.#following] = [curve, [], [], true];
    byId("results", HTMLElement).dataset["state"] = "running";
    byId("status", HTMLElement).textContent = "Running.";
    const pause = byId("speed", HTMLSelectElement).value === "watch" ? (WATCHABLE_MS * CHUNK) / LENGTH : 0;
    await this.#stream.reset();
    let busy = 0;
    for (let from = 0; from < LENGTH; from += CHUNK) {
      if (signal.aborted) return;
      const start = performance.now();
      const outputs = await this.#stream.push({ u: curve.subarray(from, from + CHUNK) });
      const took = performance.now() - start;
      busy += took;
      for (let t = 0; t < CHUNK; t++) this.#history.push(coefficientsAt(outputs, t));
      this.#measure();
      this.show();
      byId("time-live", HTMLElement).textContent = `${duration(busy)} for ${from + CHUNK} samples, ${duration(busy / (from + CHUNK))} each`;
      await sleep(Math.max(0, pause - took));
    }
    await this.#conclude();
  }

  /** The errors of the last moment. */
  #measure(): void {
    const count = this.#history.length;
    const last = this.#history[count - 1];
    if (last === undefined) return;
    const error = (name: Name): number => errorOf(memories[name], reconstruct(memories[name], last[name], count), this.#curve, count);
    this.#errors.push({ count, of: { scaled: error("scaled"), legs: error("legs"), legt: error("legt"), fourier: error("fourier") } });
  }

  /** The same curve in one run, against what the stream gave. */
  async #conclude(): Promise<void> {
    const start = performance.now();
    const whole = await this.#model.run({ u: this.#curve });
    byId("time-whole", HTMLElement).textContent = `${duration(performance.now() - start)} for all ${LENGTH} samples`;
    let apart = 0;
    this.#history.forEach((step, t) => {
      const same = coefficientsAt(whole, t);
      for (const name of names) step[name].forEach((x, n) => (apart = Math.max(apart, Math.abs(x - (same[name][n] ?? Number.NaN)))));
    });
    byId("apart", HTMLElement).textContent = apart.toExponential(1);
    byId("status", HTMLElement).textContent = `${LENGTH} samples in ${STATES} numbers.`;
    byId("results", HTMLElement).dataset["state"] = "done";
  }
}

/** Step `t` of the outputs, which are `[1, L, N]`. */
function coefficientsAt(outputs: Readonly<Record<Name, { readonly data: Float32Array }>>, t: number): Coefficients {
  const at = (name: Name): Float32Array => outputs[name].data.slice(t * STATES, (t + 1) * STATES);
  return { scaled: at("scaled"), legs: at("legs"), legt: at("legt"), fourier: at("fourier") };
}

async function main(): Promise<void> {
  const preset = byId("preset", HTMLSelectElement);
  const chosen = (): Float32Array<ArrayBuffer> => sampled(curves[preset.value] ?? (() => 0));
  const memory = await openModel<Memory, Model<Name>>(async (model) => new Memory(model, await model.stream()));
  const run = (): void => memory.take(curve.samples);
  const curve = new Curve(run);
  const begin = (): void => {
    curve.set(chosen());
    run();
  };
  preset.addEventListener("change", begin);
  byId("again", HTMLButtonElement).addEventListener("click", run);
  begin();
}

await main();
