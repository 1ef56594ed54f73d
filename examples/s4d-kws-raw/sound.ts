/** Sound for s4d-kws-raw: the mu-law bytes of the test set, sound files, playback. */

export const RATE = 8000;
/** Samples of one input: half a second. */
export const LENGTH = 4000;

/** The model's input for mu-law bytes; the formula stands in config.json. */
export const transform = (bytes: ArrayLike<number>): Float32Array<ArrayBuffer> =>
  Float32Array.from(bytes, (u8) => {
    const v = u8 / 127.5 - 1;
    return (8 * Math.sign(v) * (256 ** Math.abs(v) - 1)) / 255;
  });

/** Samples of -1 to 1 to mu-law bytes, as the training data was written. */
export const muLaw = (samples: ArrayLike<number>): Uint8Array =>
  Uint8Array.from(samples, (s) => {
    const v = (Math.sign(s) * Math.log1p(255 * Math.min(1, Math.abs(s)))) / Math.log(256);
    return Math.round((v + 1) * 127.5);
  });

/** The half second of most energy; quiet is added behind a shorter sound. */
export function loudest(samples: Float32Array): Float32Array {
  const hop = 100;
  let best = { at: 0, energy: -1 };
  for (let at = 0; at === 0 || at + LENGTH <= samples.length; at += hop) {
    const energy = samples.subarray(at, at + LENGTH).reduce((sum, s) => sum + s * s, 0);
    if (energy > best.energy) best = { at, energy };
  }
  const clip = new Float32Array(LENGTH);
  clip.set(samples.subarray(best.at, best.at + LENGTH));
  return clip;
}

/** A sound file as the model's rate has it: any the browser decodes; resampled, its channels averaged. */
export async function decode(file: ArrayBuffer): Promise<Float32Array<ArrayBuffer>> {
  const sound = await new OfflineAudioContext(1, 1, RATE).decodeAudioData(file);
  const channels = Array.from({ length: sound.numberOfChannels }, (_, c) => sound.getChannelData(c));
  return Float32Array.from(
    { length: sound.length },
    (_, i) => channels.reduce((sum, channel) => sum + (channel[i] ?? 0), 0) / channels.length,
  );
}

/** The mu-law bytes of a sound file's loudest half second, at half of full scale. */
export async function decodeClip(file: ArrayBuffer): Promise<Uint8Array> {
  const clip = loudest(await decode(file));
  const peak = clip.reduce((top, s) => Math.max(top, Math.abs(s)), 1e-6);
  return muLaw(clip.map((s) => (0.5 * s) / peak));
}

/** Plays a model input. */
export function play(input: Float32Array): void {
  const context = new AudioContext();
  const buffer = context.createBuffer(1, input.length, RATE);
  buffer.copyToChannel(
    Float32Array.from(input, (x) => x / 8),
    0,
  );
  const source = new AudioBufferSourceNode(context, { buffer });
  source.connect(context.destination);
  source.addEventListener("ended", () => void context.close());
  source.start();
}
