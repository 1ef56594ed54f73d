/** Runs an input through the model twice, at once and step by step, and lets a person watch and scrub the second. */
import type { Model, Stream } from "./bundle.ts";
import { byId, sleep } from "./dom.ts";
import { openModel, showFailure } from "./opening.ts";
import { argmax, duration, HistoryChart, type HistoryPoint, ProbabilityTable, softmax } from "./results.ts";

export interface PlayerOptions {
  readonly labels: readonly string[];
  /** Time steps of an input. */
  readonly length: number;
  /** Time steps of one push of the stream, and so of one point of the history. */
  readonly chunk: number;
  /** What a time step is, in the plural. */
  readonly unit: string;
  /** Called with the number of time steps read at the moment shown. */
  readonly onStep: (steps: number) => void;
}

/** Milliseconds that watching a whole input takes at least. */
const WATCHABLE_MS = 4000;

/** The model, and the state of the page around it. */
export class Player {
  readonly #options: PlayerOptions;
  readonly #model: Model;
  readonly #stream: Stream;
  readonly #table: ProbabilityTable;
  readonly #chart: HistoryChart;
  readonly #scrubber = byId("scrubber", HTMLInputElement);
  #history: HistoryPoint[] = [];
  #lastLogits = new Float32Array();
  #following = true;
  #job = new AbortController();
  /** Every call on the stream waits for the one before it. */
  #turn: Promise<void> = Promise.resolve();

  private constructor(options: PlayerOptions, model: Model, stream: Stream) {
    this.#options = options;
    this.#model = model;
    this.#stream = stream;
    this.#table = new ProbabilityTable(options.labels);
    this.#chart = new HistoryChart(options.labels);
    this.#scrubber.max = `${this.#points}`;
    this.#scrubber.addEventListener("input", () => {
      this.#following = Number(this.#scrubber.value) >= this.#history.length;
      this.#showPoint(Math.min(Number(this.#scrubber.value), this.#history.length));
    });
  }

  /** Loads the bundle; where that fails, says why on the page and throws. */
  static open(options: PlayerOptions): Promise<Player> {
    return openModel(async (model) => {
      const stream = await model.stream();
      await model.run({ u: new Float32Array(options.length) }, { mode: "convolution" });
      return new Player(options, model, stream);
    });
  }

  get #points(): number {
    return Math.ceil(this.#options.length / this.#options.chunk);
  }

  /** Shows what the model makes of `input`; a later call ends an earlier one. `truth` is the right answer, where known. */
  show(input: Float32Array, truth?: string): Promise<void> {
    this.#job.abort();
    this.#job = new AbortController();
    const { signal } = this.#job;
    this.#turn = this.#turn.then(() => this.#run(input, truth, signal)).catch(showFailure);
    return this.#turn;
  }

  async #run(input: Float32Array, truth: string | undefined, signal: AbortSignal): Promise<void> {
    if (signal.aborted) return;
    this.#history = [];
    this.#following = true;
    this.#showPoint(0);
    byId("status", HTMLElement).textContent = "Running.";
    const whole = await this.#wholeSequence(input);
    const finished = await this.#stepByStep(input, signal);
    if (finished) this.#conclude(whole, truth);
  }

  async #wholeSequence(input: Float32Array): Promise<Float32Array> {
    const start = performance.now();
    const { logits } = await this.#model.run({ u: input }, { mode: "convolution" });
    byId("time-whole", HTMLElement).textContent =
      `${duration(performance.now() - start)} for all ${this.#options.length} ${this.#options.unit}`;
    this.#table.showWhole(softmax(logits.data));
    return logits.data;
  }

  /** Pushes chunk after chunk; false where another input came in between. */
  async #stepByStep(input: Float32Array, signal: AbortSignal): Promise<boolean> {
    const { length, chunk, unit } = this.#options;
    const pause = byId("speed", HTMLSelectElement).value === "watch" ? WATCHABLE_MS / this.#points : 0;
    await this.#stream.reset();
    let busy = 0;
    for (let from = 0; from < length; from += chunk) {
      if (signal.aborted) return false;
      const start = performance.now();
      const { logits } = await this.#stream.push({ u: input.subarray(from, from + chunk) });
      const took = performance.now() - start;
      busy += took;
      this.#lastLogits = new Float32Array(logits.data);
      const steps = Math.min(from + chunk, length);
      this.#history.push({ at: steps / length, p: softmax(logits.data) });
      if (this.#following) this.#showPoint(this.#history.length);
      byId("time-live", HTMLElement).textContent = `${duration(busy)} for ${steps} ${unit}, ${duration(busy / steps)} each`;
      await sleep(Math.max(0, pause - took));
    }
    return true;
  }

  /** Point 0 is before the first step. */
  #showPoint(point: number): void {
    const { length, chunk, unit, onStep } = this.#options;
    const steps = Math.min(point * chunk, length);
    this.#scrubber.value = `${point}`;
    this.#scrubber.setAttribute("aria-valuetext", `${steps} of ${length} ${unit}`);
    byId("steps", HTMLOutputElement).textContent = `${steps} of ${length} ${unit}`;
    this.#table.showLive(this.#history[point - 1]?.p);
    this.#chart.show(this.#history, point - 1);
    onStep(steps);
  }

  #conclude(whole: Float32Array, truth: string | undefined): void {
    const { labels } = this.#options;
    const p = this.#history.at(-1)?.p ?? [];
    const answer = labels[argmax(p)] ?? "";
    const apart = Math.max(...Array.from(whole, (x, i) => Math.abs(x - (this.#lastLogits[i] ?? Number.NaN))));
    const verdict = truth === undefined ? "" : truth === answer ? " That is right." : ` The label says ${truth}.`;
    byId("status", HTMLElement).textContent = `${answer}.${verdict}`;
    byId("apart", HTMLElement).textContent = apart.toExponential(1);
    byId("results", HTMLElement).dataset["state"] = "done";
  }
}
