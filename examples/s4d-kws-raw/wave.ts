/** A wave on a canvas, one bar a column of device pixels. */
import { context2d, themeColor } from "../shared/dom.ts";

/** Draws samples from edge to edge; those `marked` in the accent colour. */
export function drawWave(canvas: HTMLCanvasElement, samples: Float32Array, marked: (index: number) => boolean): void {
  const width = Math.round(canvas.clientWidth * devicePixelRatio);
  const height = Math.round(canvas.clientHeight * devicePixelRatio);
  Object.assign(canvas, { width, height });
  const context = context2d(canvas);
  const scale = 0.48 / samples.reduce((top, x) => Math.max(top, Math.abs(x)), 0.05);
  const [accent, ghost] = [themeColor("--accent"), themeColor("--ghost")];
  for (let column = 0; column < width; column++) {
    const from = Math.floor((column / width) * samples.length);
    const piece = samples.subarray(from, Math.max(from + 1, Math.ceil(((column + 1) / width) * samples.length)));
    const [low, high] = [Math.min(0, ...piece), Math.max(0, ...piece)];
    context.fillStyle = marked(from) ? accent : ghost;
    context.fillRect(column, height * (0.5 - scale * high), 1, Math.max(1, height * scale * (high - low)));
  }
}
