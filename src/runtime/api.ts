/**
 * What a bundle's user sees: the types of `load`, the model, its streams and its tensors. Types only and without imports,
 * because the text of this file becomes the head of every bundle's `index.d.ts`.
 */

/**
 * The values of an input: plain where batch and length follow from the count, or with the dims in order. Ids in a GPUBuffer are
 * not looked at: there one below the vocabulary counts as its first, and one beyond it as its last.
 */
export type TensorInput<D extends Float32Array | Int32Array = Float32Array> =
  | D
  | GPUBuffer
  | { readonly data: D | GPUBuffer; readonly dims: readonly number[] };

/** An output on the host, row-major. */
export interface TensorOutput<D extends Float32Array | Int32Array = Float32Array> {
  readonly data: D;
  readonly dims: readonly number[];
}

/** An output left on the device; the buffer is the caller's to destroy, and may be larger than the dims say. */
export interface DeviceTensor {
  readonly data: GPUBuffer;
  readonly dims: readonly number[];
}

/** How a whole sequence is computed; `auto` takes the cheapest way. */
export type ExecutionMode = "auto" | "convolution" | "scan" | "chunked" | "recurrence";

/** How far loading is, in bytes of weights or in compiled shaders. */
export interface LoadProgress {
  readonly stage: "weights" | "shaders";
  readonly loaded: number;
  readonly total: number;
}

export interface LoadOptions {
  /** A device of the caller's, which stays the caller's. One of the model's own is requested where absent. */
  readonly device?: GPUDevice | undefined;
  /** Where the model's own device comes from: `navigator.gpu` where absent. */
  readonly gpu?: GPU | undefined;
  readonly onProgress?: ((progress: LoadProgress) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Reads a weight file of the bundle by its name, in place of `fetch` beside the module. */
  readonly read?: ((file: string) => Promise<ArrayBuffer>) | undefined;
  /** The length of the sequences to come: what running them needs is compiled at load already, not by the first run. */
  readonly length?: number | undefined;
  /** Bytes of device memory one execution may use before its batch is split: 512 MiB where absent. */
  readonly memory?: number | undefined;
}

export interface RunOptions {
  /** Sequences in the batch, where inputs come without dims: 1 where absent. */
  readonly batch?: number | undefined;
  readonly mode?: ExecutionMode | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface PushOptions {
  readonly signal?: AbortSignal | undefined;
}

/** A stream's recurrent state, safe to clone, to post to a worker, or to store in IndexedDB. */
export interface SavedStream {
  readonly format: 1;
  /** Which weights and which program the state belongs to. */
  readonly model: string;
  readonly batch: number;
  /** Time steps processed. */
  readonly position: number;
  readonly states: Readonly<Record<string, Float32Array>>;
}

export interface StreamOptions {
  /** Sequences that advance together: 1 where absent, or as `from` has it. */
  readonly batch?: number | undefined;
  /** The state to start from: zero where absent. */
  readonly from?: SavedStream | undefined;
}

/** Sequences in progress. The recurrent state lives on the device and belongs to the stream. */
export interface ModelStream<Inputs, Outputs, DeviceOutputs> {
  readonly batch: number;
  /** Time steps processed so far. */
  readonly position: number;
  /**
   * Processes the next time steps; any chunking gives the same numbers. Outputs without a length are those after the last
   * step. A push that fails or is aborted leaves the stream as it was before.
   * Throws: InputError where the stream would become longer than the model's `context`.
   */
  push(inputs: Inputs, options?: PushOptions): Promise<Outputs>;
  push(inputs: Inputs, options: PushOptions & { readonly onDevice: true }): Promise<DeviceOutputs>;
  save(): Promise<SavedStream>;
  /** Goes on from a saved state of the same model and batch. */
  restore(saved: SavedStream): Promise<void>;
  /** A second stream that goes on from here on its own. */
  fork(): Promise<ModelStream<Inputs, Outputs, DeviceOutputs>>;
  /** Back to the zero state. */
  reset(): Promise<void>;
  destroy(): void;
}

export interface TensorInfo {
  readonly name: string;
  readonly dtype: "f32" | "i32";
  /** `"B"` and `"L"` are known at run time. */
  readonly dims: readonly (number | "B" | "L")[];
  /** Ids are whole numbers from 0 to below it; absent where the input holds none. */
  readonly below?: number;
}

export interface ModelInfo {
  readonly name: string;
  readonly inputs: readonly TensorInfo[];
  readonly outputs: readonly TensorInfo[];
  readonly modes: readonly ExecutionMode[];
  /** The longest sequence `run` takes. */
  readonly maxLength: number;
  /** The most time steps of a stream, where attention remembers every one of them; absent where streams have no end. */
  readonly context?: number;
  /** What the length of a sequence that `run` takes is a multiple of; streams take any. 1 where every length will do. */
  readonly period: number;
  readonly adapter: { readonly vendor: string; readonly architecture: string; readonly device: string; readonly description: string };
}

/** A loaded model. Calls may overlap; they are executed one after the other. */
export interface LoadedModel<Inputs, Outputs, DeviceOutputs> {
  readonly info: ModelInfo;
  /** The device in use; another one after a loss. */
  readonly device: GPUDevice;
  /** Computes whole sequences from the zero state. The arrays given must not change until the promise settles. */
  run(inputs: Inputs, options?: RunOptions): Promise<Outputs>;
  run(inputs: Inputs, options: RunOptions & { readonly onDevice: true }): Promise<DeviceOutputs>;
  /** A stream from the zero state, or from a saved one. Throws: StreamError where the model needs whole sequences. */
  stream(options?: StreamOptions): Promise<ModelStream<Inputs, Outputs, DeviceOutputs>>;
  /** Frees every buffer, those of streams too, and the device where it is the model's own. */
  destroy(): void;
}
