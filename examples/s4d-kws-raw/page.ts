/** The page of s4d-kws-raw: pick a clip or open a sound file, watch it being heard sample by sample. */
import { fetchLabels, fetchTestSet, type TestSet } from "../shared/data.ts";
import { byId, context2d, el, onThemeChange, themeColor } from "../shared/dom.ts";
import { Player } from "../shared/player.ts";
import { decode, LENGTH, play as playSound, transform } from "./sound.ts";

const SHOWN = 20;
/** The clip to begin with; the model mistakes the first. */
const BEGIN = 1;

/** The wave as one bar a column of device pixels, the part already heard in the accent colour. */
class Wave {
  input = new Float32Array(LENGTH);
  readonly #canvas = byId("wave", HTMLCanvasElement);
  #heard = 0;

  constructor() {
    onThemeChange(() => this.show(this.#heard));
    new ResizeObserver(() => this.show(this.#heard)).observe(this.#canvas);
  }

  set(input: Float32Array<ArrayBuffer>): void {
    this.input = input;
    this.show(0);
  }

  show(heard: number): void {
    this.#heard = heard;
    const width = Math.round(this.#canvas.clientWidth * devicePixelRatio);
    const height = Math.round(this.#canvas.clientHeight * devicePixelRatio);
    Object.assign(this.#canvas, { width, height });
    const context = context2d(this.#canvas);
    const scale = 0.48 / this.input.reduce((top, x) => Math.max(top, Math.abs(x)), 0.05);
    const [accent, ghost] = [themeColor("--accent"), themeColor("--ghost")];
    for (let column = 0; column < width; column++) {
      const from = Math.floor((column / width) * LENGTH);
      const piece = this.input.subarray(from, Math.max(from + 1, Math.ceil(((column + 1) / width) * LENGTH)));
      const [low, high] = [Math.min(0, ...piece), Math.max(0, ...piece)];
      context.fillStyle = from < heard ? accent : ghost;
      context.fillRect(column, height * (0.5 - scale * high), 1, Math.max(1, height * scale * (high - low)));
    }
  }
}

/** Buttons with the words of the test clips, `SHOWN` at a time. */
function showGallery(test: TestSet, labels: readonly string[], first: number, pick: (index: number) => void): void {
  const buttons = Array.from({ length: SHOWN }, (_, i) => {
    const index = (first + i) % test.count;
    const word = labels[test.labels[index] ?? 0] ?? "";
    const button = el("button", { type: "button", "aria-pressed": "false", "aria-label": `Clip ${index + 1}, ${word}` }, word);
    button.addEventListener("click", () => {
      unpress();
      button.setAttribute("aria-pressed", "true");
      pick(index);
    });
    return button;
  });
  byId("gallery", HTMLElement).replaceChildren(...buttons);
}

function unpress(): void {
  for (const button of byId("gallery", HTMLElement).querySelectorAll("button")) button.setAttribute("aria-pressed", "false");
}

async function main(): Promise<void> {
  const [labels, test] = await Promise.all([fetchLabels(), fetchTestSet()]);
  const wave = new Wave();
  let truth: string | undefined;
  let player: Player | undefined;
  const run = (): void => void player?.show(wave.input, truth);
  const use = (bytes: Uint8Array, word: string | undefined): void => {
    truth = word;
    wave.set(transform(bytes));
    run();
  };
  const pick = (index: number): void => use(test.input(index), labels[test.labels[index] ?? 0]);
  let first = 0;
  showGallery(test, labels, first, pick);
  byId("more", HTMLButtonElement).addEventListener("click", () => showGallery(test, labels, (first += SHOWN), pick));
  byId("again", HTMLButtonElement).addEventListener("click", run);
  byId("play", HTMLButtonElement).addEventListener("click", () => playSound(wave.input));
  const file = byId("file", HTMLInputElement);
  file.addEventListener("change", () => void openFile(file, (bytes) => use(bytes, undefined)));
  wave.set(transform(test.input(BEGIN)));
  player = await Player.open({ labels, length: LENGTH, chunk: 40, unit: "samples", onStep: (steps) => wave.show(steps) });
  byId("gallery", HTMLElement).querySelectorAll("button")[BEGIN]?.click();
}

async function openFile(input: HTMLInputElement, use: (bytes: Uint8Array) => void): Promise<void> {
  const [file] = input.files ?? [];
  if (file === undefined) return;
  try {
    use(await decode(await file.arrayBuffer()));
    unpress();
  } catch {
    byId("status", HTMLElement).textContent = `${file.name} is not a sound this browser can decode.`;
  }
}

await main();
