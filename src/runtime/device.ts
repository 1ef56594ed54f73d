/**
 * A WebGPU device in use: requested or the caller's, every buffer on it accounted for, and no wait on it without an end.
 * Not for kernels and dispatches: those are the executor's.
 */
import { DeviceLostError, LimitError, NoWebGPUError } from "./errors.ts";

/** WebGPU's numbers; its global objects do not exist in every host. */
export const usage = { mapRead: 1, copySrc: 4, copyDst: 8, uniform: 0x40, storage: 0x80 } as const;

/** Limits worth asking for beyond the default. */
const wanted = ["maxComputeWorkgroupStorageSize", "maxStorageBufferBindingSize", "maxBufferSize"] as const;

/** A device of our own, with the larger limits of its adapter. Throws: NoWebGPUError. */
async function requestDevice(gpu: GPU | undefined): Promise<GPUDevice> {
  const api = gpu ?? (globalThis.navigator as Partial<Navigator> | undefined)?.gpu;
  if (!api) throw new NoWebGPUError("WebGPU is not available here; pass `gpu` or `device`");
  const adapter = await api.requestAdapter({ powerPreference: "high-performance" });
  if (!adapter) throw new NoWebGPUError("WebGPU offers no adapter here");
  return adapter.requestDevice({ requiredLimits: Object.fromEntries(wanted.map((name) => [name, adapter.limits[name]])) });
}

/** One device for as long as it lives. */
export class Device {
  readonly gpu: GPUDevice;
  readonly own: boolean;
  /** Why nothing more can be done with this device, once that is so. */
  failed: DeviceLostError | undefined;
  readonly #buffers = new Set<GPUBuffer>();
  readonly #waiting = new Set<(reason: unknown) => void>();

  private constructor(gpu: GPUDevice, own: boolean) {
    this.gpu = gpu;
    this.own = own;
    void gpu.lost.then((info) => this.fail(`the device was lost: ${info.message || info.reason}`));
  }

  /** Throws: NoWebGPUError. */
  static async open(given: GPUDevice | undefined, gpu: GPU | undefined): Promise<Device> {
    return given ? new Device(given, false) : new Device(await requestDevice(gpu), true);
  }

  /** Whether a CPU runs the lanes of a workgroup one after another, so that every barrier switches between all of them. */
  get software(): boolean {
    const { architecture = "", description = "" } = (this.gpu.adapterInfo as GPUAdapterInfo | undefined) ?? {};
    return /swiftshader|llvmpipe|basic render/i.test(`${architecture} ${description}`);
  }

  /** Ends every wait on this device. */
  fail(message: string): void {
    this.failed ??= new DeviceLostError(message);
    for (const reject of this.#waiting) reject(this.failed);
  }

  /** `promise`, or a rejection as soon as the device is lost or the signal aborts. */
  guard<T>(promise: Promise<T>, signal?: AbortSignal): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      if (this.failed) reject(this.failed);
      const abort = (): void => reject(signal?.reason);
      if (signal?.aborted) abort();
      this.#waiting.add(reject);
      signal?.addEventListener("abort", abort);
      const done = (): void => {
        this.#waiting.delete(reject);
        signal?.removeEventListener("abort", abort);
      };
      promise.then(resolve, reject).finally(done);
    });
  }

  /** A buffer that `release` or `close` destroys. Throws: LimitError. */
  buffer(label: string, bytes: number, flags: number): GPUBuffer {
    const { maxBufferSize } = this.gpu.limits;
    LimitError.check({ maxBufferSize }, bytes);
    const buffer = this.gpu.createBuffer({ label, size: Math.max(16, Math.ceil(bytes / 4) * 4), usage: flags });
    this.#buffers.add(buffer);
    return buffer;
  }

  /** A storage buffer holding all of `parts`, one after another. */
  upload(label: string, ...parts: readonly ArrayBufferView<ArrayBuffer>[]): GPUBuffer {
    let at = 0;
    for (const { byteLength } of parts) at += byteLength;
    const buffer = this.buffer(label, at, usage.storage | usage.copyDst);
    at = 0;
    for (const part of parts) {
      this.gpu.queue.writeBuffer(buffer, at, part.buffer, part.byteOffset, part.byteLength);
      at += part.byteLength;
    }
    return buffer;
  }

  /** Encodes and submits. */
  submit(encode: (encoder: GPUCommandEncoder) => void): void {
    const encoder = this.gpu.createCommandEncoder();
    encode(encoder);
    this.gpu.queue.submit([encoder.finish()]);
  }

  release(buffer: GPUBuffer | undefined): void {
    if (buffer && this.#buffers.delete(buffer)) buffer.destroy();
  }

  /** Hands a buffer over to the caller. */
  disown(buffer: GPUBuffer): GPUBuffer {
    this.#buffers.delete(buffer);
    return buffer;
  }

  /** Does `work` and reports what the device had against it. Throws: LimitError on lack of memory, an error on misuse. */
  async checked<T>(work: () => T, signal?: AbortSignal): Promise<T> {
    this.gpu.pushErrorScope("out-of-memory");
    this.gpu.pushErrorScope("validation");
    const close = (): Promise<(GPUError | null)[]> => Promise.all([this.gpu.popErrorScope(), this.gpu.popErrorScope()]);
    let result: T;
    try {
      result = work();
    } catch (error) {
      close().catch(() => undefined);
      throw error;
    }
    const [invalid, memory] = await this.guard(close(), signal);
    if (memory)
      throw new LimitError(
        "memory",
        [...this.#buffers].reduce((sum, buffer) => sum + buffer.size, 0),
      );
    if (invalid) throw new Error(`WebGPU refused the program: ${invalid.message}`);
    return result;
  }

  /** Destroys every buffer, and the device where it is ours. */
  close(message: string): void {
    this.fail(message);
    for (const buffer of this.#buffers) buffer.destroy();
    this.#buffers.clear();
    if (this.own) this.gpu.destroy();
  }
}
