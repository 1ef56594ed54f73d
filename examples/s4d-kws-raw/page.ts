/** The page of s4d-kws-raw: pick a clip or open a sound file, watch it being heard sample by sample. */
import { fetchLabels, fetchTestSet, type TestSet } from "../shared/data.ts";
import { byId, el, onThemeChange } from "../shared/dom.ts";
import { Player } from "../shared/player.ts";
import { decodeClip, LENGTH, play as playSound, transform } from "./sound.ts";
import { drawWave } from "./wave.ts";

const SHOWN = 20;
/** The clip to begin with; the model mistakes the first. */
const BEGIN = 1;

/** The wave of a clip, the part already heard in the accent colour. */
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
    drawWave(this.#canvas, this.input, (index) => index < heard);
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
    use(await decodeClip(await file.arrayBuffer()));
    unpress();
  } catch {
    byId("status", HTMLElement).textContent = `${file.name} is not a sound this browser can decode.`;
  }
}

await main();
