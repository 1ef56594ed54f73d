/** IEEE 754 binary16, to and from its bits. */

/** The smallest half that is not subnormal. */
export const SMALLEST_HALF = 2 ** -14;
/** Rounds to infinity, as all above it. */
const BEYOND = 65520;

/** The value of 16 bits. */
export function fromHalf(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 31;
  const fraction = bits & 1023;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 31) return fraction === 0 ? sign * Infinity : NaN;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

/**
 * The bits of the nearest half, ties to even; undefined for what is no number or beyond them. There are no subnormal
 * results, because devices may take those for zero: a smaller number becomes zero or the smallest of the others.
 */
export function toHalf(value: number): number | undefined {
  const sign = value < 0 || Object.is(value, -0) ? 0x8000 : 0;
  const size = Math.abs(value);
  if (!(size < BEYOND)) return undefined;
  if (size < SMALLEST_HALF) return size <= SMALLEST_HALF / 2 ? sign : sign | (1 << 10);
  const exponent = exponentOf(size);
  // A fraction that rounds up to 1024 carries into the exponent.
  return sign | (((exponent + 15) << 10) + roundEven(size * 2 ** (10 - exponent)) - 1024);
}

const scratch = new Float64Array(1);
const scratchWords = new Uint32Array(scratch.buffer);

/** The binary exponent of a positive normal float64. */
function exponentOf(size: number): number {
  scratch[0] = size;
  return ((scratchWords[1] ?? 0) >>> 20) - 1023;
}

function roundEven(x: number): number {
  const low = Math.floor(x);
  const over = x - low;
  return over > 0.5 || (over === 0.5 && low % 2 === 1) ? low + 1 : low;
}
