/** Memory of a simulated dispatch that knows who read and wrote which word. */

/** The 4-byte words of a buffer. */
export type Words = Float32Array | Int32Array | Uint32Array;

const several = -1;

/**
 * One array. Accesses of different invocations to a word clash where one of them writes, unless `settle` was called in
 * between: at barriers for workgroup memory; never for device buffers, which no barrier of ours orders.
 */
export class Watched {
  /** Distinct words read and distinct words written, summed over workgroups. */
  words = 0;
  /** Distinct words read and distinct words written. */
  distinct = 0;
  /** The workgroup that runs, from 1. */
  group = 0;
  readonly #name: string;
  readonly #data: Words;
  readonly #violation: (text: string) => void;
  /** By word: the last workgroup that read it, and wrote it. */
  readonly #readIn: Int32Array;
  readonly #writtenIn: Int32Array;
  /** By word: the invocation that read it, and wrote it; 0 for none. */
  readonly #reader: Int32Array;
  readonly #writer: Int32Array;
  /** Words accessed since the last `settle`. */
  #touched: number[] = [];

  constructor(name: string, data: Words, violation: (text: string) => void) {
    this.#name = name;
    this.#data = data;
    this.#violation = violation;
    this.#readIn = new Int32Array(data.length);
    this.#writtenIn = new Int32Array(data.length);
    this.#reader = new Int32Array(data.length);
    this.#writer = new Int32Array(data.length);
  }

  read(index: number, invocation: number): number {
    if (!this.#inside(index, "reads")) return NaN;
    this.#count(this.#readIn, index);
    const [reader = 0, writer = 0] = [this.#reader[index], this.#writer[index]];
    if (writer !== 0 && writer !== invocation) this.#violation(`a lane reads what another writes in ${this.#name}`);
    if (reader === 0) this.#touched.push(index);
    this.#reader[index] = reader === 0 || reader === invocation ? invocation : several;
    return this.#data[index] ?? NaN;
  }

  write(index: number, value: number, invocation: number): void {
    if (!this.#inside(index, "writes")) return;
    this.#count(this.#writtenIn, index);
    const [reader = 0, writer = 0] = [this.#reader[index], this.#writer[index]];
    if (writer !== 0 && writer !== invocation) this.#violation(`two lanes write one word of ${this.#name}`);
    if (reader !== 0 && reader !== invocation) this.#violation(`a lane writes what another reads in ${this.#name}`);
    if (writer === 0) this.#touched.push(index);
    this.#writer[index] = invocation;
    this.#data[index] = value;
  }

  /** Everything before happens before everything after. */
  settle(): void {
    for (const index of this.#touched) this.#reader[index] = this.#writer[index] = 0;
    this.#touched = [];
  }

  /** Memory of a new workgroup, which holds nothing yet. */
  clear(): void {
    this.settle();
    this.#data.fill(NaN);
  }

  #inside(index: number, does: string): boolean {
    if (Number.isInteger(index) && index >= 0 && index < this.#data.length) return true;
    this.#violation(`${does} outside of ${this.#name}`);
    return false;
  }

  #count(last: Int32Array, index: number): void {
    if (last[index] === this.group) return;
    if (last[index] === 0) this.distinct++;
    this.words++;
    last[index] = this.group;
  }
}
