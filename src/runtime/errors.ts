/** The typed errors of a bundle. An aborted call rejects with the signal's own reason instead. */

/** There is no WebGPU here, or it offers no adapter. */
export class NoWebGPUError extends Error {
  override readonly name = "NoWebGPUError";
  readonly code = "no-webgpu";
}

/** The device allows less than the model needs; `limit` is WebGPU's name of the limit, or `memory`. */
export class LimitError extends Error {
  override readonly name = "LimitError";
  readonly code = "device-limit";
  readonly limit: string;
  readonly needed: number;
  readonly got: number | undefined;

  constructor(limit: string, needed: number, got?: number) {
    super(`${limit}: ${needed} needed, ${got === undefined ? "refused by the device" : `${got} available`}`);
    this.limit = limit;
    this.needed = needed;
    this.got = got;
  }

  /** Throws: LimitError where the one limit given, by its name, is less than what is needed. @internal */
  static check(limit: Readonly<Record<string, number>>, needed: number): void {
    for (const [name, got] of Object.entries(limit)) if (needed > got) throw new LimitError(name, needed, got);
  }
}

/** An input or a saved state is not what the model takes. */
export class InputError extends Error {
  override readonly name = "InputError";
  readonly code = "input-invalid";
  readonly input: string;
  readonly dim: string | undefined;

  constructor(input: string, dim: string | undefined, message: string) {
    super(`"${input}": ${message}`);
    this.input = input;
    this.dim = dim;
  }
}

/** The model needs whole sequences: what it gives at a time step depends on later ones. */
export class StreamError extends Error {
  override readonly name = "StreamError";
  readonly code = "no-stream";
}

/** A weight file is missing, cut off, or not the one the bundle was built with; `hash` is the SHA-256 found. */
export class WeightsError extends Error {
  override readonly name = "WeightsError";
  readonly code = "weights-corrupt";
  readonly shard: string;
  readonly hash: string | undefined;

  constructor(shard: string, hash: string | undefined, message: string) {
    super(`${shard}: ${message}`);
    this.shard = shard;
    this.hash = hash;
  }
}

/** The device was lost and could not be had again, or the model or stream was destroyed. */
export class DeviceLostError extends Error {
  override readonly name = "DeviceLostError";
  readonly code = "device-lost";
}
