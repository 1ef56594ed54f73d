/** Where live sound comes from: a queue of samples at the model's rate, filled by a microphone or by a clip at its own pace. */
import { Resampler } from "./resample.ts";
import { RATE } from "./sound.ts";

/** Samples in order of arrival, taken in pieces of any size. */
export class Queue {
  #pieces: Float32Array[] = [];
  #length = 0;
  #ended = false;
  #wake: (() => void) | undefined;

  /** Samples that wait. */
  get length(): number {
    return this.#length;
  }

  write(samples: Float32Array): void {
    if (this.#ended) return;
    this.#pieces.push(samples);
    this.#length += samples.length;
    this.#wake?.();
  }

  /** No more samples will come; those that wait can still be taken. */
  end(): void {
    this.#ended = true;
    this.#wake?.();
  }

  /** The next `size` samples once they are there, fewer at the end, undefined behind it. */
  async take(size: number): Promise<Float32Array<ArrayBuffer> | undefined> {
    while (this.#length < size && !this.#ended) await new Promise<void>((resolve) => (this.#wake = resolve));
    const taken = new Float32Array(Math.min(size, this.#length));
    for (let at = 0; at < taken.length;) {
      const [piece = taken] = this.#pieces;
      const part = piece.subarray(0, taken.length - at);
      taken.set(part, at);
      at += part.length;
      if (part.length === piece.length) this.#pieces.shift();
      else this.#pieces[0] = piece.subarray(part.length);
    }
    this.#length -= taken.length;
    return taken.length === 0 ? undefined : taken;
  }
}

/** A sound on its way into a queue. */
export interface Source {
  readonly queue: Queue;
  readonly stop: () => void;
}

/** Samples that are there already, all at once or as fast as they sound. */
export function playback(samples: Float32Array, realTime: boolean): Source {
  const queue = new Queue();
  let sent = 0;
  const send = (until: number): void => {
    queue.write(samples.subarray(sent, until));
    sent = Math.min(until, samples.length);
    if (sent === samples.length) stop();
  };
  const start = performance.now();
  const timer = realTime ? setInterval(() => send(Math.floor(((performance.now() - start) * RATE) / 1000)), 20) : undefined;
  const stop = (): void => {
    clearInterval(timer);
    queue.end();
  };
  if (!realTime) send(samples.length);
  return { queue, stop };
}

/** Posts each block of its first channel to the page. */
const TAP = `registerProcessor("tap", class extends AudioWorkletProcessor {
  process([[block]]) {
    if (block) this.port.postMessage(block.slice());
    return true;
  }
});`;

/** The microphone, as it is: no echo cancellation, no noise suppression, no automatic gain. Throws: DOMException where it is refused. */
export async function microphone(): Promise<Source> {
  const raw = { channelCount: 1, echoCancellation: false, noiseSuppression: false, autoGainControl: false };
  const media = await navigator.mediaDevices.getUserMedia({ audio: raw });
  const context = new AudioContext();
  const queue = new Queue();
  const stop = (): void => {
    media.getTracks().forEach((track) => track.stop());
    void context.close();
    queue.end();
  };
  const address = URL.createObjectURL(new Blob([TAP], { type: "text/javascript" }));
  try {
    await context.audioWorklet.addModule(address);
  } catch (error) {
    stop();
    throw error;
  } finally {
    URL.revokeObjectURL(address);
  }
  const tap = new AudioWorkletNode(context, "tap", { numberOfOutputs: 0 });
  const resampler = new Resampler(context.sampleRate, RATE);
  tap.port.addEventListener("message", ({ data }: MessageEvent<Float32Array>) => queue.write(resampler.push(data)));
  tap.port.start();
  context.createMediaStreamSource(media).connect(tap);
  return { queue, stop };
}
