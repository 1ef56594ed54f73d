/**
 * What a bundle executes: shaders, buffers, and the dispatches of each entry point, as plain data and small functions of
 * the sizes known at run time. The glue writes one, the runtime reads it. No kernel is named here: the runtime knows
 * buffers and dispatches only.
 */

/** The sizes of one execution. The first five, always in this order, are what kernels read from their uniform, as u32. */
export interface Dims {
  /** Sequences executed together. */
  readonly B: number;
  /** Time steps held by the sequence inputs and outputs bound. */
  readonly L: number;
  /** In a step: the time step of those buffers to process. 0 otherwise. */
  readonly t: number;
  /** Time steps the stream has processed before this dispatch. */
  readonly pos: number;
  /** Points of the FFT that convolves length L: `fftPoints(L)`. */
  readonly M: number;
  /** The most FFT points whose transform fits this device's workgroup memory (a power of two). */
  readonly F: number;
  /** The most lanes worth having in one workgroup where a kernel may choose: fewer on adapters that are a CPU. */
  readonly W: number;
}

/** The least power of two not below L. */
export const fftPoints = (L: number): number => 2 ** Math.ceil(Math.log2(Math.max(L, 1)));

/** The first `count` items of `period(0)`, `period(1)`, ...: how a bundle writes lists that repeat themselves. */
export function repeat<T>(count: number, period: (i: number) => readonly T[]): T[] {
  const items: T[] = [];
  for (let i = 0; items.length < count; i++) items.push(...period(i));
  return items.slice(0, count);
}

export interface TensorSpec {
  readonly name: string;
  readonly dtype: "f32" | "i32";
  /** Dims in order; `"B"` and `"L"` are known at run time. */
  readonly dims: readonly (number | "B" | "L")[];
  /** The names of the dims, for messages. */
  readonly names: readonly string[];
  /** Ids are below it; absent where they look nothing up. */
  readonly below?: number;
}

/** A device buffer of the plan. `size` is in elements of 4 bytes. */
export type BufferSpec =
  /** A tensor of the weight shards, its bytes uploaded once; `more` follow it in the same buffer, all F32. */
  | { readonly kind: "weight"; readonly tensor: string; readonly more?: readonly string[] }
  /** Made on the host in float64 by `tables`, uploaded once. */
  | { readonly kind: "table"; readonly size: (d: Dims) => number; readonly perM?: boolean }
  /** Made on the device by `prepare`, once per M. */
  | { readonly kind: "prepared"; readonly size: (d: Dims) => number }
  | { readonly kind: "input"; readonly name: string }
  | { readonly kind: "output"; readonly name: string }
  /** Recurrent state of a stream, zero at its start. */
  | { readonly kind: "state"; readonly name: string; readonly size: (d: Dims) => number }
  /** How the next token is chosen, written by the caller. */
  | { readonly kind: "settings"; readonly size: (d: Dims) => number }
  | { readonly kind: "temp"; readonly size: (d: Dims) => number };

/** A call of one of the runtime's table makers (`tables.ts`), filling buffers of kind `table`. */
export interface TableSpec {
  readonly maker: string;
  /** F64 tensors of the weight shards, by role. */
  readonly tensors: Readonly<Record<string, string>>;
  readonly options: Readonly<Record<string, number>>;
  /** Buffers by role. */
  readonly out: Readonly<Record<string, number>>;
  /** Made anew for every M (`Dims.M`), not once. */
  readonly perM?: boolean;
  /** Which of the plan's rates its FFTs are of; the first where absent. */
  readonly rate?: number;
}

export interface Dispatch {
  readonly kernel: number;
  /** Buffer indices in the order of the kernel's bindings (binding 0 is the uniform). */
  readonly bind: readonly number[];
  readonly grid: (d: Dims) => readonly [number, number, number];
  /** Values of the kernel's overrides. */
  readonly constants?: (d: Dims) => Readonly<Record<string, number>>;
  /** Skipped where it says false; always runs where absent. */
  readonly when?: (d: Dims) => boolean;
  /** Which of the plan's rates its kernel reads the sizes of; the first where absent. */
  readonly rate?: number;
  /** In a step: runs where the stream's steps, this one included, are a multiple of it; 1 where absent. */
  readonly every?: number;
  /** Only needed for the outputs that have no L: a caller of many steps may skip it on all but the last. */
  readonly tail?: boolean;
  /** Needed for the outputs alone: a caller who wants none may leave it out. Marked in language models. */
  readonly shown?: boolean;
}

export interface KernelSpec {
  readonly name: string;
  readonly wgsl: string;
  /** One letter a storage binding: `r` read, `w` read_write. */
  readonly access: string;
  /** Bytes of workgroup memory, of the overrides' values. */
  readonly shared?: (constants: Readonly<Record<string, number>>) => number;
}

export type Mode = "convolution" | "scan" | "chunked" | "recurrence";

/** An entry point: what it executes, and what must be prepared for its M first. */
export interface Program {
  readonly prepare: readonly Dispatch[];
  readonly body: readonly Dispatch[];
  /** It binds no buffer of an output. */
  readonly silent?: boolean;
}

/**
 * What follows a step of a language model: it chooses the id that comes after step `t` of `ids`, and stores it at `t + 1`
 * where that is negative; -2 where the logits have no largest.
 */
export interface Generate extends Program {
  /** Ids it chooses are below it. */
  readonly vocabulary: number;
}

export interface Plan {
  readonly format: 1;
  readonly name: string;
  /** The longest sequence one execution takes. */
  readonly maxLength: number;
  /** The most time steps of a stream, where it remembers every one of them; absent where streams have no end. */
  readonly context?: number;
  /** The dims of sequences of each rate: length, position and FFT; the first are as given. */
  readonly rates: readonly ((d: Dims) => Dims)[];
  /** Steps that hold whole blocks of every rate: lengths and positions of all programs but `step` are multiples of it. */
  readonly period: number;
  readonly inputs: readonly TensorSpec[];
  readonly outputs: readonly TensorSpec[];
  readonly kernels: readonly KernelSpec[];
  readonly buffers: readonly BufferSpec[];
  readonly tables: readonly TableSpec[];
  /** Whole sequences from the zero state, no state kept, by mode. Absent modes are illegal for the model. */
  readonly whole: Readonly<Partial<Record<Mode, Program>>>;
  /** Continue a stream by L steps, state in and state out, by mode; none where the model needs whole sequences. */
  readonly resume: Readonly<Partial<Record<Mode, Program>>>;
  /** One time step `t` of the bound buffers, state in and out; absent where the model needs whole sequences. */
  readonly step?: Program;
  /** There where the model is a language model: `ids` in, `logits` out, step by step. */
  readonly generate?: Generate;
  /** The mode `run` takes where none is asked for. */
  readonly choose: (d: Dims) => Mode;
  /** The mode of a push; there where `step` is. */
  readonly chooseResume?: (d: Dims) => Mode;
  readonly shards: readonly { readonly file: string; readonly bytes: number; readonly sha256: string }[];
}

/** The plan names something that is not there: the compiler's fault, not the user's. */
export function missing(what: string): never {
  throw new Error(`bug: the plan lacks ${what}`);
}
