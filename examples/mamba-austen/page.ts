/** The page of mamba-austen: give a beginning, watch the model write on, go back, and let it write on in another way. */
import type { GenerateOptions } from "../../src/runtime/language-api.ts";
import type { LanguageModel } from "../shared/bundle.ts";
import { byId } from "../shared/dom.ts";
import { openModel, showFailure } from "../shared/opening.ts";
import { Card, type Desk } from "./card.ts";
import { Vocabulary } from "./vocabulary.ts";
import { Writer } from "./writer.ts";

/** Texts side by side. */
const MOST = 4;

const number = (id: string): HTMLInputElement => byId(id, HTMLInputElement);

/** How to write, as the controls say. */
function settings(): GenerateOptions {
  const [topK, count] = [number("top-k"), number("count")];
  return {
    temperature: number("temperature").valueAsNumber,
    topP: number("top-p").valueAsNumber,
    ...(topK.value !== "" && topK.checkValidity() ? { topK: topK.valueAsNumber } : {}),
    maxTokens: count.checkValidity() ? count.valueAsNumber : Number(count.defaultValue),
  };
}

/** The texts on the page. */
class Texts implements Desk {
  readonly vocabulary: Vocabulary;
  readonly settings = settings;
  readonly #model: LanguageModel;
  #cards: Card[] = [];
  #begun = 0;
  #named = 0;

  constructor(vocabulary: Vocabulary, model: LanguageModel) {
    [this.vocabulary, this.#model] = [vocabulary, model];
  }

  /** Puts all texts away and writes a new one. */
  async begin(prompt: readonly number[], seed: number): Promise<void> {
    for (const card of this.#cards) card.destroy();
    [this.#cards, this.#begun, this.#named] = [[], prompt.length, 0];
    await this.#put(await Writer.begin(this.#model, prompt), seed).write();
  }

  async stop(): Promise<void> {
    await Promise.all(this.#cards.map((card) => card.stop()));
  }

  /** Its seed is the next one, so that the two part where anything is drawn. */
  fork(writer: Writer, { seed }: Card): Card {
    const oldest = this.#cards.length < MOST ? undefined : this.#cards[1];
    if (oldest !== undefined) this.close(oldest);
    return this.#put(writer, (seed.valueAsNumber || 0) + 1);
  }

  close(card: Card): void {
    card.destroy();
    this.#cards = this.#cards.filter((other) => other !== card);
  }

  #put(writer: Writer, seed: number): Card {
    const card = new Card(this, writer, { name: `Text ${++this.#named}`, begun: this.#begun, seed });
    this.#cards.push(card);
    byId("texts", HTMLElement).append(card.element);
    return card;
  }
}

/** What the slider says, beside it. */
function showValue(id: string): void {
  const [slider, output] = [number(id), byId(`${id}-value`, HTMLOutputElement)];
  const show = (): void => {
    output.textContent = id === "temperature" && slider.valueAsNumber === 0 ? "0, the likeliest each time" : slider.value;
  };
  slider.addEventListener("input", show);
  show();
}

async function main(): Promise<void> {
  for (const slider of ["temperature", "top-p"]) showValue(slider);
  const vocabulary = await Vocabulary.fetch();
  const texts = await openModel(async (model: LanguageModel) => new Texts(vocabulary, model));
  const [prompt, write] = [byId("prompt", HTMLTextAreaElement), byId("write", HTMLButtonElement)];
  const check = (): void => {
    const unknown = vocabulary.unknown(prompt.value);
    write.disabled = unknown.length > 0 || prompt.value === "";
    prompt.setAttribute("aria-invalid", `${write.disabled}`);
    byId("unknown", HTMLElement).textContent =
      unknown.length > 0 ? `Not among the ${vocabulary.size} characters of the model: ${unknown.join(" ")}` : "";
  };
  prompt.addEventListener("input", check);
  check();
  write.addEventListener("click", () => {
    const seed = number("seed");
    texts.begin(vocabulary.encode(prompt.value), seed.checkValidity() ? seed.valueAsNumber : 0).catch(showFailure);
  });
  byId("stop", HTMLButtonElement).addEventListener("click", () => void texts.stop());
}

await main();
