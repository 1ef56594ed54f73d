/** A page of pictures: pick or draw one, watch it being read pixel by pixel. */
import { fetchLabels, fetchTestSet, type TestSet } from "./data.ts";
import { byId, context2d, el, onThemeChange, themeColor, drawOn } from "./dom.ts";
import { Player } from "./player.ts";

/** What the pictures of a page are. */
export interface Pictures {
  /** Pixels of a row, and of a column. */
  readonly side: number;
  /** The byte of full white. */
  readonly white: number;
  /** The model's input for a byte; the formula stands in config.json. */
  readonly transform: (byte: number) => number;
  /** Radius of the brush. Units: pixels. */
  readonly brush: number;
  /** Pixels of one push. */
  readonly chunk: number;
}

/** Pictures of the gallery. */
const SHOWN = 24;

/** Grey values as an image; from pixel `read` on dimmed, with pixel `read` itself in the accent colour while some are left. */
function draw(canvas: HTMLCanvasElement, { side, white }: Pictures, grey: ArrayLike<number>, read = grey.length, cursor?: number): void {
  Object.assign(canvas, { width: side, height: side });
  const context = context2d(canvas);
  const image = context.createImageData(side, side);
  for (let i = 0; i < grey.length; i++) {
    const value = ((255 * (grey[i] ?? 0)) / white) * (i < read ? 1 : 0.35);
    image.data.set([value, value, value, 255], 4 * i);
  }
  context.putImageData(image, 0, 0);
  context.fillStyle = themeColor("--accent");
  for (const mark of [read < grey.length && read > 0 ? read : undefined, cursor]) {
    if (mark !== undefined) context.fillRect(mark % side, Math.floor(mark / side), 1, 1);
  }
}

/** The large picture: shows how far it is read, and takes strokes of the pointer and of the keyboard. */
class Picture {
  readonly grey: Uint8Array;
  readonly #canvas = byId("picture", HTMLCanvasElement);
  readonly #pictures: Pictures;
  readonly #changed: () => void;
  #read = 0;
  #brush: { x: number; y: number } | undefined;

  constructor(pictures: Pictures, changed: () => void) {
    this.grey = new Uint8Array(pictures.side ** 2);
    this.#pictures = pictures;
    this.#changed = changed;
    drawOn(this.#canvas, {
      stroke: (event) => this.#stroke(event),
      done: () => this.#changed(),
      key: (event) => this.#key(event),
      blur: () => {
        this.#brush = undefined;
        this.show(this.#read);
      },
    });
    onThemeChange(() => this.show(this.#read));
  }

  set(grey: Uint8Array): void {
    this.grey.set(grey);
    this.show(this.grey.length);
  }

  show(read: number): void {
    this.#read = read;
    const cursor = this.#brush === undefined ? undefined : Math.floor(this.#brush.y) * this.#pictures.side + Math.floor(this.#brush.x);
    draw(this.#canvas, this.#pictures, this.grey, read, cursor);
  }

  #stroke(event: PointerEvent): void {
    const box = this.#canvas.getBoundingClientRect();
    const { side } = this.#pictures;
    this.#paint(((event.clientX - box.left) / box.width) * side, ((event.clientY - box.top) / box.height) * side);
  }

  /** A soft round brush. */
  #paint(x: number, y: number): void {
    const { side, white, brush } = this.#pictures;
    for (let i = 0; i < this.grey.length; i++) {
      const distance = Math.hypot((i % side) + 0.5 - x, Math.floor(i / side) + 0.5 - y);
      const ink = 0.9 * white * Math.min(1, Math.max(0, brush - distance));
      this.grey[i] = Math.max(this.grey[i] ?? 0, ink);
    }
    this.show(this.grey.length);
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
    const { side } = this.#pictures;
    const { x, y } = this.#brush ?? { x: side / 2 + 0.5, y: side / 2 + 0.5 };
    const inside = (v: number): number => Math.min(side - 0.5, Math.max(0.5, v));
    this.#brush = { x: inside(x + (move?.[0] ?? 0)), y: inside(y + (move?.[1] ?? 0)) };
    if (event.key === " ") {
      this.#paint(this.#brush.x, this.#brush.y);
      this.#changed();
    } else this.show(this.#read);
  }
}

/** The thumbnails, `SHOWN` at a time; `pick` is called with the index of the one chosen. */
function showGallery(pictures: Pictures, test: TestSet, labels: readonly string[], first: number, pick: (index: number) => void): void {
  const buttons = Array.from({ length: SHOWN }, (_, i) => {
    const index = (first + i) % test.count;
    const thumbnail = el("canvas", { "aria-hidden": "true" });
    draw(thumbnail, pictures, test.input(index));
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

/** Runs the page; it needs the pieces `picture` and `results`. */
export async function picturePage(pictures: Pictures): Promise<void> {
  const [labels, test] = await Promise.all([fetchLabels(), fetchTestSet()]);
  let truth: string | undefined;
  let player: Player | undefined;
  const run = (): void => void player?.show(Float32Array.from(picture.grey, pictures.transform), truth);
  const picture = new Picture(pictures, () => {
    truth = undefined;
    run();
  });
  const pick = (index: number): void => {
    truth = labels[test.labels[index] ?? 0];
    picture.set(test.input(index));
    run();
  };
  let first = 0;
  showGallery(pictures, test, labels, first, pick);
  byId("more", HTMLButtonElement).addEventListener("click", () => showGallery(pictures, test, labels, (first += SHOWN), pick));
  byId("again", HTMLButtonElement).addEventListener("click", run);
  byId("clear", HTMLButtonElement).addEventListener("click", () => {
    picture.set(new Uint8Array(picture.grey.length));
    byId("picture", HTMLCanvasElement).focus();
  });
  picture.set(test.input(0));
  player = await Player.open({
    labels,
    length: picture.grey.length,
    chunk: pictures.chunk,
    unit: "pixels",
    onStep: (steps) => picture.show(steps),
  });
  byId("gallery", HTMLElement).querySelector("button")?.click();
}
