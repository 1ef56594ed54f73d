/** The characters the model knows, by their ids. */
export class Vocabulary {
  readonly #characters: readonly string[];
  readonly #ids: ReadonlyMap<string, number>;

  /** Takes what `vocab.json` holds: the id of each character. */
  constructor(ids: Readonly<Record<string, number>>) {
    this.#ids = new Map(Object.entries(ids));
    this.#characters = Object.entries(ids)
      .toSorted(([, a], [, b]) => a - b)
      .map(([character]) => character);
  }

  /** Reads `vocab.json` beside the page. */
  static async fetch(): Promise<Vocabulary> {
    const response = await fetch("vocab.json");
    if (!response.ok) throw new Error(`vocab.json: the server answered ${response.status}`);
    return new Vocabulary((await response.json()) as Readonly<Record<string, number>>);
  }

  get size(): number {
    return this.#characters.length;
  }

  /** The characters of a text that have no id, each once. */
  unknown(text: string): readonly string[] {
    return [...new Set(text)].filter((character) => !this.#ids.has(character));
  }

  /** The ids of a text; characters without one are left out. */
  encode(text: string): readonly number[] {
    return Array.from(text).flatMap((character) => this.#ids.get(character) ?? []);
  }

  character(id: number): string {
    return this.#characters[id] ?? "";
  }
}
