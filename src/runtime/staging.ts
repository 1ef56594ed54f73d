/** The one buffer through which data comes back from a device; it grows with what is asked for. */
import type { Device } from "./device.ts";
import { usage } from "./device.ts";

/** Bytes to read back, and the copy that puts them into a mappable buffer. */
export interface Readback {
  readonly bytes: number;
  readonly copy: (encoder: GPUCommandEncoder, into: GPUBuffer) => void;
}

/** For one reader at a time. */
export class Staging {
  readonly #device: Device;
  #buffer: GPUBuffer | undefined;

  constructor(device: Device) {
    this.#device = device;
  }

  /** What encodes the copy, with the buffer there is for it. Throws: LimitError. */
  async prepare({ bytes, copy }: Readback, signal: AbortSignal | undefined): Promise<(encoder: GPUCommandEncoder) => void> {
    if ((this.#buffer?.size ?? 0) < bytes) {
      this.#device.release(this.#buffer);
      this.#buffer = undefined;
      this.#buffer = await this.#device.checked(() => this.#device.buffer("staging", bytes, usage.mapRead | usage.copyDst), signal);
    }
    return (encoder) => {
      if (this.#buffer && bytes > 0) copy(encoder, this.#buffer);
    };
  }

  /** The data, once what was submitted is done. */
  async read({ bytes }: Readback, signal: AbortSignal | undefined): Promise<ArrayBuffer> {
    const buffer = this.#buffer;
    if (!buffer || bytes === 0) return new ArrayBuffer(0);
    try {
      await this.#device.guard(buffer.mapAsync(1, 0, bytes), signal);
      return buffer.getMappedRange(0, bytes).slice(0);
    } finally {
      buffer.unmap();
    }
  }
}
