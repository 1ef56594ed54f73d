/** The live page of s4d-kws-raw: sound from a microphone, a file or clips in a row, chunk by chunk, and what the model makes of it. */
import type { Model } from "../shared/bundle.ts";
import { fetchLabels, fetchTestSet, type TestSet } from "../shared/data.ts";
import { byId, el, onThemeChange } from "../shared/dom.ts";
import { openModel, showFailure } from "../shared/opening.ts";
import { argmax, duration, HistoryChart, percent, ProbabilityTable, softmax } from "../shared/results.ts";
import { type Answer, HOP, Listener, type Window } from "./listener.ts";
import { decode, LENGTH, muLaw, RATE, transform } from "./sound.ts";
import { microphone, playback, type Source } from "./source.ts";
import { drawWave } from "./wave.ts";

/** Samples that the drawing spans. */
const SPAN = 4 * RATE;
/** Clips in a row, from one chosen at random. */
const CLIPS = 8;
/** Model input below which a window counts as quiet: 2 % of full scale. */
const QUIET = 8 * 0.02;
/** Answers kept in the list. */
const LISTED = 12;

const seconds = (samples: number): string => (samples / RATE).toFixed(2);

/** Samples between two points of the history at least. */
const GRAIN = SPAN / 400;

/** The last four seconds: sound, probabilities, answers; drawn once a frame. */
class Timeline {
  readonly #canvas = byId("wave", HTMLCanvasElement);
  readonly #chart: HistoryChart;
  readonly #sound = new Float32Array(SPAN);
  #end = 0;
  #points: { readonly sample: number; readonly start: number; readonly p: readonly number[] }[] = [];
  #answers: { readonly start: number; readonly word: HTMLElement }[] = [];
  #window: Window | undefined;
  #scheduled = false;

  constructor(labels: readonly string[]) {
    this.#chart = new HistoryChart(labels);
    onThemeChange(() => this.#schedule());
    new ResizeObserver(() => this.#schedule()).observe(this.#canvas);
  }

  clear(): void {
    this.#sound.fill(0);
    this.#end = 0;
    this.#points = [];
    this.#answers = [];
    this.#window = undefined;
    this.#schedule();
  }

  /** The next chunk, and what the window that has heard the most says behind it. */
  add(input: Float32Array, window: Window, p: readonly number[]): void {
    const kept = Math.min(this.#end, SPAN);
    const drop = Math.min(kept, Math.max(0, kept + input.length - SPAN));
    this.#sound.copyWithin(0, drop, kept);
    this.#sound.set(input.subarray(Math.max(0, input.length - SPAN)), kept - drop);
    this.#end += input.length;
    this.#window = window;
    const [before, last] = this.#points.slice(-2);
    if (before?.start === window.start && last?.start === window.start && last.sample - before.sample < GRAIN) this.#points.pop();
    this.#points.push({ sample: this.#end, start: window.start, p });
    this.#schedule();
  }

  answer(start: number, text: string, quiet: boolean): void {
    const row = (start / HOP) % 2 === 0 ? "even" : "odd";
    this.#answers.push({ start, word: el("span", { class: `${row}${quiet ? " quiet" : ""}` }, text) });
  }

  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    requestAnimationFrame(() => {
      this.#scheduled = false;
      this.#draw();
    });
  }

  #draw(): void {
    const first = Math.max(0, this.#end - SPAN);
    this.#points = this.#points.filter(({ sample }) => sample > first);
    const begins = (i: number): boolean => this.#points[i]?.start !== this.#points[i - 1]?.start;
    const points = this.#points.map(({ sample, p }, i) => ({ at: (sample - first) / SPAN, p, begins: begins(i) }));
    this.#chart.show(points, points.length - 1);
    this.#answers = this.#answers.filter(({ start }) => start >= first);
    for (const { start, word } of this.#answers) word.style.insetInlineStart = `${(100 * (start + LENGTH / 2 - first)) / SPAN}%`;
    byId("strip", HTMLElement).replaceChildren(...this.#answers.map(({ word }) => word));
    const start = (this.#window?.start ?? Infinity) - first;
    drawWave(this.#canvas, this.#sound, (index) => index >= start && index < start + LENGTH);
  }
}

/** One sound at a time from its first sample to its last, pushed chunk by chunk. */
class Session {
  readonly #labels: readonly string[];
  readonly #model: Model;
  readonly #timeline: Timeline;
  readonly #table: ProbabilityTable;
  #source: Source | undefined;
  /** A new sound waits for the last chunk of the one before. */
  #turn: Promise<void> = Promise.resolve();

  constructor(labels: readonly string[], model: Model) {
    this.#labels = labels;
    this.#model = model;
    this.#timeline = new Timeline(labels);
    this.#table = new ProbabilityTable(labels);
  }

  stop(): void {
    this.#source?.stop();
    this.#source = undefined;
  }

  /** Ends the sound before, and listens to this one to its last chunk. */
  listen(source: Source): Promise<void> {
    this.stop();
    this.#source = source;
    this.#turn = this.#turn.then(() => this.#hear(source)).catch(showFailure);
    return this.#turn;
  }

  async #hear(source: Source): Promise<void> {
    this.#timeline.clear();
    byId("answers", HTMLOListElement).replaceChildren();
    byId("apart", HTMLElement).textContent = "";
    byId("results", HTMLElement).dataset["state"] = "running";
    const listener = await Listener.begin(this.#model, (answer) => this.#show(answer));
    try {
      for (let samples = await source.queue.take(chunkSize()); samples !== undefined; samples = await source.queue.take(chunkSize())) {
        if (source !== this.#source) return;
        const gain = 10 ** (byId("gain", HTMLInputElement).valueAsNumber / 20);
        const input = transform(muLaw(samples.map((s) => gain * s)));
        const { window, p } = await listener.push(input);
        this.#timeline.add(input, window, p);
        this.#table.showLive(p);
        byId("time-live", HTMLElement).textContent = `${duration(window.busy)} for ${window.heard} samples of a window`;
        byId("status", HTMLElement).textContent = statusText(listener.position, source.queue.length, this.#labels[argmax(p)] ?? "");
      }
    } finally {
      listener.destroy();
      byId("results", HTMLElement).dataset["state"] = "done";
    }
  }

  #show({ window, whole, took, apart }: Answer): void {
    const p = softmax(window.logits);
    const word = this.#labels[argmax(p)] ?? "";
    const quiet = window.input.every((x) => Math.abs(x) < QUIET);
    this.#timeline.answer(window.start, quiet ? "quiet" : word, quiet);
    this.#table.showWhole(softmax(whole));
    byId("time-whole", HTMLElement).textContent = `${duration(took)} for a whole window`;
    const worst = byId("apart", HTMLElement);
    worst.textContent = Math.max(apart, Number(worst.textContent)).toExponential(1);
    const text = `${seconds(window.start)} s to ${seconds(window.start + LENGTH)} s: ${quiet ? "quiet" : `${word}, ${percent(Math.max(...p))}`}`;
    const list = byId("answers", HTMLOListElement);
    list.prepend(el("li", { "data-start": `${window.start}`, "data-logits": JSON.stringify([...window.logits]) }, text));
    list.children[LISTED]?.remove();
  }
}

function statusText(position: number, waiting: number, word: string): string {
  const behind = waiting > RATE / 2 ? `, ${seconds(waiting)} s behind` : "";
  return `${seconds(position)} s heard${behind}: ${word}?`;
}

/** What the chooser says, read anew for every chunk. */
function chunkSize(): number {
  const input = byId("chunk", HTMLInputElement);
  const most = input.checkValidity() ? input.valueAsNumber : Number(input.defaultValue);
  return byId("random", HTMLInputElement).checked ? 1 + Math.floor(Math.random() * most) : most;
}

/** Clips of the test set, one behind the other, as samples. */
function clipsInARow(test: TestSet): Float32Array {
  const first = Math.floor(Math.random() * test.count);
  const sound = new Float32Array(CLIPS * LENGTH);
  for (let i = 0; i < CLIPS; i++)
    sound.set(
      transform(test.input((first + i) % test.count)).map((x) => x / 8),
      i * LENGTH,
    );
  return sound;
}

async function main(): Promise<void> {
  const [labels, test] = await Promise.all([fetchLabels(), fetchTestSet()]);
  const session = await openModel(async (model) => {
    await model.run({ u: new Float32Array(LENGTH) }, { mode: "convolution" });
    return new Session(labels, model);
  });
  const status = byId("status", HTMLElement);
  const mic = byId("microphone", HTMLButtonElement);
  const play = (samples: Float32Array): Promise<void> =>
    session.listen(playback(samples, byId("pace", HTMLSelectElement).value === "sound"));
  mic.addEventListener("click", () => void listenLive());
  const listenLive = async (): Promise<void> => {
    try {
      const source = await microphone();
      mic.setAttribute("aria-pressed", "true");
      await session.listen(source);
    } catch (error) {
      status.textContent = `No microphone: ${error instanceof Error ? error.message : String(error)}`;
    } finally {
      mic.setAttribute("aria-pressed", "false");
    }
  };
  byId("clips", HTMLButtonElement).addEventListener("click", () => void play(clipsInARow(test)));
  byId("stop", HTMLButtonElement).addEventListener("click", () => session.stop());
  const gain = byId("gain", HTMLInputElement);
  gain.addEventListener("input", () => (byId("decibel", HTMLOutputElement).textContent = gain.value));
  const file = byId("file", HTMLInputElement);
  file.addEventListener("change", () => void openFile(file, play));
}

async function openFile(input: HTMLInputElement, play: (samples: Float32Array) => Promise<void>): Promise<void> {
  const [file] = input.files ?? [];
  if (file === undefined) return;
  try {
    await play(await decode(await file.arrayBuffer()));
  } catch {
    byId("status", HTMLElement).textContent = `${file.name} is not a sound this browser can decode.`;
  }
}

await main();
