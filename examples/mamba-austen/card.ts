/** A text on the page: what was written, and what can be done with it. */
import type { GenerateOptions } from "../../src/runtime/language-api.ts";
import { byId, el } from "../shared/dom.ts";
import { showFailure } from "../shared/opening.ts";
import type { Vocabulary } from "./vocabulary.ts";
import type { Writer } from "./writer.ts";

/** What a card needs to know of the page. */
export interface Desk {
  readonly vocabulary: Vocabulary;
  /** How to write, but for the seed, as the page's controls say now. */
  readonly settings: () => GenerateOptions;
  /** Puts a second text beside this one. */
  readonly fork: (writer: Writer, from: Card) => Card;
  readonly close: (card: Card) => void;
}

/** Milliseconds between two figures of the speed. */
const FIGURE_MS = 250;

const button = (text: string, act: () => void): HTMLButtonElement => {
  const element = el("button", { type: "button" }, text);
  element.addEventListener("click", act);
  return element;
};

/** One text, its seed and its buttons. */
export class Card {
  readonly element: HTMLElement;
  readonly seed: HTMLInputElement;
  readonly #writer: Writer;
  readonly #desk: Desk;
  readonly #name: string;
  /** Ids of the prompt, which stay. */
  readonly #begun: number;
  readonly #written = el("span", { class: "written" });
  readonly #page: HTMLElement;
  readonly #figures = el("p", { class: "muted figures" }, "");
  readonly #go = button("Go on", () => void this.toggle());
  #turn: Promise<void> = Promise.resolve();
  readonly #back = el("input", { type: "number", min: "1", max: "9999", step: "1", value: "40" });

  /** `begun` is how many of the writer's ids are the prompt. */
  constructor(desk: Desk, writer: Writer, { name, begun, seed }: { readonly name: string; readonly begun: number; readonly seed: number }) {
    [this.#desk, this.#writer, this.#name, this.#begun] = [desk, writer, name, begun];
    this.seed = el("input", { type: "number", min: "0", max: "4294967295", step: "1", value: `${seed}` });
    const prompt = writer.ids.slice(0, begun).map((id) => desk.vocabulary.character(id));
    this.#page = el(
      "div",
      { class: "text", tabindex: "0", role: "region", "aria-label": `${name}; backspace takes back a character` },
      el("span", { class: "prompt" }, prompt.join("")),
      this.#written,
    );
    for (const id of writer.ids.slice(begun)) this.#add(id);
    this.element = el(
      "section",
      { class: "card writing", "aria-label": name, "data-state": "done" },
      this.#page,
      this.#figures,
      el(
        "div",
        { class: "controls" },
        this.#go,
        button("Fork", () => void this.#fork()),
        el(
          "span",
          { class: "group" },
          button("Take back", () => void this.rewind(() => this.written - this.#back.valueAsNumber)),
          el("label", {}, this.#back, " characters"),
        ),
        el("label", {}, "Seed ", this.seed),
        button("Close", () => desk.close(this)),
      ),
    );
    this.#written.addEventListener("click", ({ target }) => {
      const index = target instanceof HTMLElement ? [...this.#written.children].indexOf(target) : -1;
      if (index >= 0) void this.rewind(() => index + 1);
    });
    this.#page.addEventListener("keydown", (event) => {
      if (event.key !== "Backspace" && event.key !== "Delete") return;
      event.preventDefault();
      void this.rewind(() => this.written - 1);
    });
  }

  /** Characters after the prompt. */
  get written(): number {
    return this.#writer.ids.length - this.#begun;
  }

  async toggle(): Promise<void> {
    await (this.#writer.writing ? this.stop() : this.write());
  }

  stop(): Promise<void> {
    return this.#writer.stop();
  }

  /** Goes on from the end. */
  async write(): Promise<void> {
    const { vocabulary, settings } = this.#desk;
    const start = performance.now();
    let [count, shown] = [0, 0];
    this.#show("writing", `${this.#name} is being written.`);
    const figures = (): void => {
      const seconds = (performance.now() - start) / 1000;
      this.#figures.textContent = `${this.written} characters, ${(count / seconds).toPrecision(3)} a second`;
      shown = performance.now();
    };
    try {
      const seed = this.seed.checkValidity() ? this.seed.valueAsNumber : 0;
      await this.#writer.write({ ...settings(), seed }, (id) => {
        const follow = this.#page.scrollHeight - this.#page.scrollTop - this.#page.clientHeight < 40;
        this.#add(id);
        count++;
        if (performance.now() - shown > FIGURE_MS) figures();
        if (follow && vocabulary.character(id) !== " ") this.#page.scrollTop = this.#page.scrollHeight;
      });
      if (count > 0) figures();
      this.#show("done", `${this.#name} stands at ${this.written} characters.`);
    } catch (error) {
      this.#show("done", "");
      showFailure(error);
    }
  }

  /** Takes back all but the first `count()` characters that were written; one way back waits for the one before it. */
  rewind(count: () => number): Promise<void> {
    this.#turn = this.#turn.then(() => this.#rewind(count())).catch(showFailure);
    return this.#turn;
  }

  async #rewind(count: number): Promise<void> {
    if (Number.isNaN(count)) return;
    const kept = Math.max(0, Math.min(count, this.written));
    await this.#writer.rewind(this.#begun + kept);
    while (this.#written.children.length > kept) this.#written.lastChild?.remove();
    this.#figures.textContent = `${kept} characters`;
    byId("status", HTMLElement).textContent = `${this.#name} is back at ${kept} characters.`;
  }

  async #fork(): Promise<void> {
    const { writing } = this.#writer;
    try {
      const twin = this.#desk.fork(await this.#writer.fork(), this);
      if (writing) await Promise.all([this.write(), twin.write()]);
    } catch (error) {
      showFailure(error);
    }
  }

  destroy(): void {
    this.element.remove();
    this.#writer.destroy().catch(showFailure);
  }

  /** Lines are as long as the page is wide: an end of line shows as a space, and only an empty line as one. */
  #add(id: number): void {
    const character = this.#desk.vocabulary.character(id);
    const last = this.#written.lastElementChild;
    const empty = character === "\n" && last?.textContent === "\n";
    if (empty) last.className = "";
    this.#written.append(el("span", { class: character === "\n" && !empty ? "end" : "" }, character));
  }

  #show(state: "writing" | "done", status: string): void {
    this.element.dataset["state"] = state;
    this.#go.textContent = state === "writing" ? "Stop" : "Go on";
    byId("status", HTMLElement).textContent = status;
  }
}
