/** The few helpers these pages need in place of a framework. */

/** The element with an id, of the class expected. */
export function byId<T extends Element>(id: string, type: abstract new () => T): T {
  const element = document.getElementById(id);
  if (!(element instanceof type)) throw new Error(`the page has no #${id}`);
  return element;
}

/** A new element with attributes and children. */
export function el<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  attributes: Readonly<Record<string, string>> = {},
  ...children: readonly (Node | string)[]
): HTMLElementTagNameMap[K] {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

/** A new SVG element with attributes. */
export function svg<K extends keyof SVGElementTagNameMap>(
  tag: K,
  attributes: Readonly<Record<string, string>> = {},
): SVGElementTagNameMap[K] {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  return element;
}

export function context2d(canvas: HTMLCanvasElement): CanvasRenderingContext2D {
  const context = canvas.getContext("2d");
  if (context === null) throw new Error("this browser has no 2D canvas");
  return context;
}

/** The value of a colour of the page's style sheet, such as `--accent`, as a canvas takes it. */
export function themeColor(name: string): string {
  const probe = el("span", { style: `color: var(${name}); display: none` });
  document.body.append(probe);
  const { color } = getComputedStyle(probe);
  probe.remove();
  return color;
}

/** Calls `redraw` when the system changes between light and dark. */
export function onThemeChange(redraw: () => void): void {
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
}

export const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** What a canvas that is drawn on does: begin a stroke, go on with it, be done; a key; losing the keyboard. */
export interface Drawing {
  readonly begin?: () => void;
  readonly stroke: (event: PointerEvent) => void;
  readonly done: () => void;
  readonly key: (event: KeyboardEvent) => void;
  readonly blur: () => void;
}

/** Hears the pointer and the keys of a canvas. */
export function drawOn(canvas: HTMLCanvasElement, { begin, stroke, done, key, blur }: Drawing): void {
  canvas.addEventListener("pointerdown", (event) => {
    canvas.setPointerCapture(event.pointerId);
    begin?.();
    stroke(event);
  });
  canvas.addEventListener("pointermove", (event) => {
    if (canvas.hasPointerCapture(event.pointerId)) stroke(event);
  });
  canvas.addEventListener("pointerup", done);
  canvas.addEventListener("keydown", key);
  canvas.addEventListener("blur", blur);
}
