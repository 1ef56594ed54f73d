/** Drawings of poles: the plane of continuous time with its imaginary axis, that of discrete time with the unit circle. */
import type { InspectSystem } from "./inspect-data.ts";
import { drawing, formatNumber, linearScale, px, type Scale, signedScale, textAt } from "./inspect-svg.ts";

/** Of the square between the axes. */
const SIDE = 200;
const LEFT = 54;
const RIGHT = 12;
const TOP = 10;
const BOTTOM = 40;
const WIDTH = LEFT + SIDE + RIGHT;
const HEIGHT = TOP + SIDE + BOTTOM;

type Poles = readonly (readonly [number, number])[];

/** Dots as zero-length strokes with round ends: one element for thousands. */
const dots = (kind: string, poles: Poles, x: Scale, y: Scale): string =>
  `<path class="${kind}" d="${poles.map(([re, im]) => `M${px(x.at(re))} ${px(y.at(im))}h0`).join("")}"/>`;

function plane(label: string, x: Scale, y: Scale, behind: string, { poles, mirrored }: { poles: Poles; mirrored: boolean }): string {
  const [right, bottom] = [LEFT + SIDE, TOP + SIDE];
  const title = (name: string, { note }: Scale): string => (note === undefined ? name : `${name}, ${note}`);
  const conjugates = poles.map(([re, im]) => [re, -im] as const);
  const body =
    `<path class="axis" d="M${LEFT} ${TOP}H${right}V${bottom}H${LEFT}Z"/>` +
    x.ticks.map((v) => textAt(x.at(v), bottom + 16, formatNumber(v))).join("") +
    y.ticks.map((v) => textAt(LEFT - 5, y.at(v) + 4, formatNumber(v), "tick", "end")).join("") +
    textAt((LEFT + right) / 2, HEIGHT - 6, title("Re", x), "title") +
    `<g transform="rotate(-90 11 ${(TOP + bottom) / 2})">${textAt(11, (TOP + bottom) / 2, title("Im", y), "title")}</g>` +
    // An inner picture clips what leaves the frame.
    `<svg x="${LEFT}" y="${TOP}" width="${SIDE}" height="${SIDE}" viewBox="${LEFT} ${TOP} ${SIDE} ${SIDE}">${behind}` +
    `${mirrored ? dots("pole mirrored", conjugates, x, y) : ""}${dots("pole", poles, x, y)}</svg>`;
  return drawing("plane", WIDTH, HEIGHT, label, body);
}

const xRange = [LEFT, LEFT + SIDE] as const;
const yRange = [TOP + SIDE, TOP] as const;

/** Where the real and the imaginary axis run. */
const cross = (x: Scale, y: Scale): string =>
  `<path class="zero" d="M${px(x.at(0))} ${TOP}V${TOP + SIDE}M${LEFT} ${px(y.at(0))}H${LEFT + SIDE}"/>`;

const rounded = (values: readonly number[]): string => `${formatNumber(Math.min(...values))} to ${formatNumber(Math.max(...values))}`;

/** Poles of x' = A x and the imaginary axis, right of which they grow. */
export function drawContinuousPoles({ continuous, mirrored }: InspectSystem): string {
  const [re, im] = [continuous.map(([x]) => x), continuous.map(([, y]) => y)];
  const size = Math.max(...re.map(Math.abs), ...im.map(Math.abs)) || 1;
  const left = 1.15 * Math.min(...re, 0) || -size;
  const right = Math.max(-0.12 * left, 1.15 * Math.max(...re));
  const top = 1.15 * Math.max(...im.map(Math.abs)) || size;
  const x = signedScale(re, [left, right], xRange);
  const y = signedScale(im, [-top, top], yRange);
  const label = `${continuous.length} poles of the continuous system${mirrored ? " and their conjugates" : ""}: real parts ${rounded(re)}, imaginary parts ${rounded(im)}, per unit of time`;
  return plane(label, x, y, cross(x, y), { poles: continuous, mirrored });
}

/** Poles of the step x_t = Abar x_{t-1} and the unit circle, outside which they grow; only what is near the poles, where they are close together. */
export function drawDiscretePoles({ discrete, mirrored }: InspectSystem): string {
  const sizes = discrete.map(([re, im]) => Math.hypot(re, im));
  const reach = Math.max(1, ...sizes) * 1.1;
  const [re, im] = [discrete.map(([x]) => x), discrete.map(([, y]) => Math.abs(y))];
  const [left, right] = [Math.min(1, ...re), Math.max(1, ...re)];
  const half = 1.15 * Math.max(...im, (right - left) / 2, 1e-6);
  const near = half < 0.4;
  const middle = near ? (left + right) / 2 : 0;
  const radius = near ? half : reach;
  const x = linearScale([middle - radius, middle + radius], xRange);
  const y = linearScale([-radius, radius], yRange);
  const circle = `<circle class="circle" cx="${px(x.at(0))}" cy="${px(y.at(0))}" r="${px(SIDE / (2 * radius))}"/>`;
  const label = `${discrete.length} poles of the discrete system${mirrored ? " and their conjugates" : ""}, and the unit circle${near ? " near 1" : ""}: sizes ${rounded(sizes)}`;
  return plane(label, x, y, cross(x, y) + circle, { poles: discrete, mirrored });
}
