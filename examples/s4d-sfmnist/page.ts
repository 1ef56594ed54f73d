/** The page of s4d-sfmnist: pick or draw a picture, watch it being read pixel by pixel. */
import { fetchLabels, fetchTestSet, type TestSet } from "../shared/data.ts";
import { byId, context2d, el, onThemeChange, themeColor } from "../shared/dom.ts";
import { Player } from "../shared/player.ts";

const SIDE = 28;
const PIXELS = SIDE * SIDE;
const SHOWN = 24;

/** The model's input for grey values of 0 to 255; the formula stands in config.json. */
const transform = (grey: ArrayLike<number>): Float32Array => Float32Array.from(grey, (u8) => (u8 / 255 - 0.286) / 0.353);

/** Grey values as an image; from pixel `read` on dimmed, with pixel `read` itself in the accent colour while some are left. */
function draw(canvas: HTMLCanvasElement, grey: ArrayLike<number>, read = PIXELS, cursor?: number): void {
  const context = context2d(canvas);
  const image = context.createImageData(SIDE, SIDE);
  for (let i = 0; i < PIXELS; i++) {
    const value = (grey[i] ?? 0) * (i < read ? 1 : 0.35);
    image.data.set([value, value, value, 255], 4 * i);
  }
  context.putImageData(image, 0, 0);
  context.fillStyle = themeColor("--accent");
  for (const mark of [read < PIXELS && read > 0 ? read : undefined, cursor]) {
    if (mark !== undefined) context.fillRect(mark % SIDE, Math.floor(mark / SIDE), 1, 1);
  }
}

/** The large picture: shows how far it is read, and takes strokes of the pointer and of the keyboard. */
class Picture {
  readonly grey = new Uint8Array(PIXELS);
  readonly #canvas = byId("picture", HTMLCanvasElement);
  readonly #changed: () => void;
  #read = 0;
  #brush: { x: number; y: number } | undefined;

  constructor(changed: () => void) {
    this.#changed = changed;
    this.#canvas.addEventListener("pointerdown", (event) => {
      this.#canvas.setPointerCapture(event.pointerId);
      this.#stroke(event);
    });
    this.#canvas.addEventListener("pointermove", (event) => {
      if (this.#canvas.hasPointerCapture(event.pointerId)) this.#stroke(event);
    });
    this.#canvas.addEventListener("pointerup", () => this.#changed());
    this.#canvas.addEventListener("keydown", (event) => this.#key(event));
    this.#canvas.addEventListener("blur", () => {
      this.#brush = undefined;
      this.show(this.#read);
    });
    onThemeChange(() => this.show(this.#read));
  }

  set(grey: Uint8Array): void {
    this.grey.set(grey);
    this.show(PIXELS);
  }

  show(read: number): void {
    this.#read = read;
    const cursor = this.#brush === undefined ? undefined : Math.floor(this.#brush.y) * SIDE + Math.floor(this.#brush.x);
    draw(this.#canvas, this.grey, read, cursor);
  }

  #stroke(event: PointerEvent): void {
    const box = this.#canvas.getBoundingClientRect();
    this.#paint(((event.clientX - box.left) / box.width) * SIDE, ((event.clientY - box.top) / box.height) * SIDE);
  }

  /** A soft round brush of about three pixels. */
  #paint(x: number, y: number): void {
    for (let i = 0; i < PIXELS; i++) {
      const distance = Math.hypot((i % SIDE) + 0.5 - x, Math.floor(i / SIDE) + 0.5 - y);
      const ink = 230 * Math.min(1, Math.max(0, 2 - distance));
      this.grey[i] = Math.max(this.grey[i] ?? 0, ink);
    }
    this.show(PIXELS);
  }

  #key(event: KeyboardEvent): void {
    const moves: Readonly<Record<string, readonly [number, number]>> = {
      ArrowLeft: [-1, 0],
      ArrowRight: [1, 0],
      ArrowUp: [0, -1],
      ArrowDown: [0, 1],
    };
    const move = moves[event.key];
    if (move === undefined && event.key !== " ") return;
    event.preventDefault();
    const { x, y } = this.#brush ?? { x: SIDE / 2 + 0.5, y: SIDE / 2 + 0.5 };
    const inside = (v: number): number => Math.min(SIDE - 0.5, Math.max(0.5, v));
    this.#brush = { x: inside(x + (move?.[0] ?? 0)), y: inside(y + (move?.[1] ?? 0)) };
    if (event.key === " ") {
      this.#paint(this.#brush.x, this.#brush.y);
      this.#changed();
    } else this.show(this.#read);
  }
}

/** The thumbnails, `SHOWN` at a time; `pick` is called with the index of the one chosen. */
function showGallery(test: TestSet, labels: readonly string[], first: number, pick: (index: number) => void): void {
  const buttons = Array.from({ length: SHOWN }, (_, i) => {
    const index = (first + i) % test.count;
    const thumbnail = el("canvas", { width: `${SIDE}`, height: `${SIDE}`, "aria-hidden": "true" });
    draw(thumbnail, test.input(index));
    const label = labels[test.labels[index] ?? 0] ?? "";
    const button = el(
      "button",
      { type: "button", "aria-pressed": "false", "aria-label": `Picture ${index + 1}, ${label}`, title: label },
      thumbnail,
    );
    button.addEventListener("click", () => {
      buttons.forEach((other) => other.setAttribute("aria-pressed", `${other === button}`));
      pick(index);
    });
    return button;
  });
  byId("gallery", HTMLElement).replaceChildren(...buttons);
}

async function main(): Promise<void> {
  const [labels, test] = await Promise.all([fetchLabels(), fetchTestSet()]);
  let truth: string | undefined;
  let player: Player | undefined;
  const run = (): void => void player?.show(transform(picture.grey), truth);
  const picture = new Picture(() => {
    truth = undefined;
    run();
  });
  const pick = (index: number): void => {
    truth = labels[test.labels[index] ?? 0];
    picture.set(test.input(index));
    run();
  };
  let first = 0;
  showGallery(test, labels, first, pick);
  byId("more", HTMLButtonElement).addEventListener("click", () => showGallery(test, labels, (first += SHOWN), pick));
  byId("again", HTMLButtonElement).addEventListener("click", run);
  byId("clear", HTMLButtonElement).addEventListener("click", () => {
    picture.set(new Uint8Array(PIXELS));
    byId("picture", HTMLCanvasElement).focus();
  });
  picture.set(test.input(0));
  player = await Player.open({ labels, length: PIXELS, chunk: 7, unit: "pixels", onStep: (steps) => picture.show(steps) });
  byId("gallery", HTMLElement).querySelector("button")?.click();
}

await main();
