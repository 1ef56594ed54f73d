/**
 * Complex FFTs of 2^m points inside one workgroup, for convolution: forward by decimation in frequency, inverse by
 * decimation in time, so that the spectrum stays in the order the forward leaves it in and nothing is reordered.
 * Radix 8 in registers, one barrier a pass; each lane owns the eight points it reads until it has written them.
 * Source: Cooley and Tukey 1965; the half-shift that packs a causal convolution of M reals into M complex points is
 * Nussbaumer's convolution modulo z^M - i.
 */
import { bug } from "../../ir/error.ts";
import {
  add,
  bitand,
  cadd,
  cmul,
  type Complex,
  conj,
  csub,
  div,
  eq,
  f32,
  type KernelBuilder,
  kernelBuilder,
  type KExpr,
  lane,
  mod,
  mul,
  neg,
  type Operand,
  shl,
  shr,
  sub,
} from "./kit.ts";

/** Where an FFT finds and leaves its points. */
export interface Points {
  readonly load: (index: KExpr) => Complex;
  readonly store: (index: KExpr, value: Complex) => void;
}

/**
 * The shape of the FFTs of one workgroup: sizes are overrides of the kernel, so that one shader serves every length, and
 * all kernels share the text of their passes.
 */
export interface FftShape {
  /** Number of points of one FFT. */
  readonly points: KExpr;
  /** FFTs side by side, and the one this lane works on. */
  readonly columns: KExpr;
  readonly column: KExpr;
  /** Lanes that share one FFT, and this lane's index among them. */
  readonly lanes: KExpr;
  readonly lane: KExpr;
  /** Radix-8 passes: floor(m / 3). */
  readonly passes: KExpr;
  /** What they leave for the middle pass: radix 1, 2 or 4. */
  readonly radix: KExpr;
  /** `e^{-2 pi i k / points}`. */
  readonly root: (k: KExpr) => Complex;
}

/** A kernel whose workgroups run FFTs with roots from a table `e^{-2 pi i k / points}`, in workgroup memory. */
export interface FftKernel {
  readonly k: KernelBuilder;
  readonly shape: FftShape;
  readonly memory: Points;
  /** The binding of the roots' table. */
  readonly roots: string;
}

export function fftKernel(name: string, rootsBuffer: number): FftKernel {
  const k = kernelBuilder(name, { op: "override", type: "u32", name: "LANES" });
  const roots = k.bind(rootsBuffer);
  const points = k.override("POINTS", 64);
  const columns = k.override("COLUMNS", 1);
  const shape: FftShape = {
    points,
    columns,
    column: k.let("inner", mod(lane, columns)),
    lanes: div(k.override("LANES", 8), columns),
    lane: k.let("column_lane", div(lane, columns)),
    passes: k.override("PASSES", 2),
    radix: k.override("RADIX", 1),
    root: (e) => loadComplex(k, roots, e),
  };
  const size = mul(points, columns);
  const memory = sharedPoints(k, k.shared("re", size), k.shared("im", size), (i) => add(mul(i, columns), shape.column));
  return { k, shape, memory, roots };
}

/** JavaScript source of the overrides for `columns` FFTs of `points` (both source). */
export function fftConstants(points: string, columns: string): Readonly<Record<string, string>> {
  return {
    POINTS: points,
    COLUMNS: columns,
    LANES: `Math.min(d.W,${points}/8*${columns})`,
    PASSES: `Math.floor(Math.log2(${points})/3)`,
    RADIX: `2**(Math.log2(${points})%3)`,
  };
}

const half = Math.SQRT1_2;
const timesI = (a: Complex, sign: 1 | -1): Complex => (sign === 1 ? { re: neg(a.im), im: a.re } : { re: a.im, im: neg(a.re) });
const at = (list: readonly Complex[], i: number): Complex => list[i] ?? bug("fft point");

function dft2(k: KernelBuilder, x: readonly Complex[]): Complex[] {
  return [k.letComplex("f", cadd(at(x, 0), at(x, 1))), k.letComplex("f", csub(at(x, 0), at(x, 1)))];
}

/** `sign` -1 forward, 1 inverse (unscaled). */
function dft4(k: KernelBuilder, x: readonly Complex[], sign: 1 | -1): Complex[] {
  const [a, b] = dft2(k, [at(x, 0), at(x, 2)]);
  const [c, d] = dft2(k, [at(x, 1), at(x, 3)]);
  if (a === undefined || b === undefined || c === undefined || d === undefined) return bug("dft4");
  const turned = timesI(d, sign);
  return [cadd(a, c), cadd(b, turned), csub(a, c), csub(b, turned)].map((v) => k.letComplex("f", v));
}

function dft8(k: KernelBuilder, x: readonly Complex[], sign: 1 | -1): Complex[] {
  const sums = [0, 1, 2, 3].map((q) => k.letComplex("f", cadd(at(x, q), at(x, q + 4))));
  const turns: Complex[] = [
    { re: f32(1), im: f32(0) },
    { re: f32(half), im: f32(sign * half) },
    { re: f32(0), im: f32(sign) },
    { re: f32(-half), im: f32(sign * half) },
  ];
  const differences = [0, 1, 2, 3].map((q) => {
    const d = k.letComplex("f", csub(at(x, q), at(x, q + 4)));
    if (q === 0) return d;
    return q === 2 ? timesI(d, sign) : k.letComplex("f", cmul(d, at(turns, q)));
  });
  const even = dft4(k, sums, sign);
  const odd = dft4(k, differences, sign);
  return [0, 1, 2, 3].flatMap((q) => [at(even, q), at(odd, q)]);
}

/** Roots `w^0 .. w^7` of an octet: three from the table, the others as their products. */
function octetRoots(k: KernelBuilder, shape: FftShape, exponent: KExpr): Complex[] {
  const w1 = k.letComplex("w", shape.root(exponent));
  const w2 = k.letComplex("w", shape.root(mul(exponent, 2)));
  const w4 = k.letComplex("w", shape.root(mul(exponent, 4)));
  const w3 = k.letComplex("w", cmul(w1, w2));
  const product = (a: Complex, b: Complex): Complex => k.letComplex("w", cmul(a, b));
  return [{ re: f32(1), im: f32(0) }, w1, w2, w3, w4, product(w1, w4), product(w2, w4), product(w3, w4)];
}

/** Runs `body` on every octet of this lane: its points at `base + r * stride`. */
function eachOctet(
  k: KernelBuilder,
  shape: FftShape,
  pass: Operand,
  body: (octet: { base: KExpr; stride: KExpr; exponent: KExpr }) => void,
): void {
  const shift = k.let("shift", mul(pass, 3));
  const stride = k.let("stride", shr(div(shape.points, 8), shift));
  k.for(
    "o",
    shape.lane,
    div(shape.points, 8),
    (o) => {
      const j = k.let("j", bitand(o, sub(stride, 1)));
      body({ base: k.let("base", sub(mul(o, 8), mul(j, 7))), stride, exponent: k.let("exponent", shl(j, shift)) });
    },
    shape.lanes,
  );
}

const octet = [0, 1, 2, 3, 4, 5, 6, 7] as const;

/** One radix-8 pass in place. Forward: butterflies, then roots; inverse: conjugate roots, then butterflies. */
function octetPass(k: KernelBuilder, shape: FftShape, pass: Operand, memory: Points, direction: "forward" | "inverse"): void {
  eachOctet(k, shape, pass, ({ base, stride, exponent }) => {
    const roots = octetRoots(k, shape, exponent);
    const places = octet.map((r) => k.let("place", add(base, mul(stride, r))));
    const points = places.map((place) => k.letComplex("x", memory.load(place)));
    const turn = (value: Complex, r: number): Complex =>
      r === 0 ? value : k.letComplex("x", cmul(value, direction === "forward" ? at(roots, r) : conj(at(roots, r))));
    const results = direction === "forward" ? dft8(k, points, -1).map(turn) : dft8(k, points.map(turn), 1);
    results.forEach((value, r) => memory.store(places[r] ?? bug("no place"), value));
  });
}

const quad = [0, 1, 2, 3] as const;

/** Radix 1, 2 or 4 butterflies, whichever is left, over four neighbouring points held in variables. */
function butterflies(k: KernelBuilder, shape: FftShape, x: readonly Complex[], sign: 1 | -1): void {
  const assign = (values: readonly Complex[], first: number): void =>
    values.forEach((value, i) => {
      k.assign(at(x, first + i).re, value.re);
      k.assign(at(x, first + i).im, value.im);
    });
  k.if(eq(shape.radix, 4), () => assign(dft4(k, x, sign), 0));
  k.if(eq(shape.radix, 2), () => {
    assign(dft2(k, x.slice(0, 2)), 0);
    assign(dft2(k, x.slice(2, 4)), 2);
  });
}

/** The pass between forward and inverse, in place: `middle` works on four neighbouring points held in variables. */
function middlePass(k: KernelBuilder, shape: FftShape, memory: Points, middle: (x: readonly Complex[], base: KExpr) => void): void {
  k.for(
    "q",
    shape.lane,
    div(shape.points, 4),
    (q) => {
      const base = k.let("base", mul(q, 4));
      const x = quad.map((r): Complex => {
        const { re, im } = memory.load(add(base, r));
        return { re: k.var("x_re", re), im: k.var("x_im", im) };
      });
      middle(x, base);
      x.forEach((v, r) => memory.store(add(base, r), v));
    },
    shape.lanes,
  );
}

/** Every point from one place to another, neighbouring lanes at neighbouring points. */
function copyPoints(k: KernelBuilder, shape: FftShape, from: Points["load"], to: Points["store"]): void {
  k.for("point", shape.lane, shape.points, (i) => to(i, k.letComplex("p", from(i))), shape.lanes);
}

function forwardPasses(k: KernelBuilder, shape: FftShape, source: Points["load"], memory: Points): void {
  copyPoints(k, shape, source, memory.store);
  k.barrier();
  k.for("pass", 0, shape.passes, (pass) => {
    octetPass(k, shape, pass, memory, "forward");
    k.barrier();
  });
}

function inversePasses(k: KernelBuilder, shape: FftShape, memory: Points, sink: Points["store"]): void {
  k.barrier();
  k.for("back", 0, shape.passes, (back) => {
    octetPass(k, shape, sub(sub(shape.passes, 1), back), memory, "inverse");
    k.barrier();
  });
  copyPoints(k, shape, memory.load, sink);
}

/** The spectrum of `source` to `sink`, in the order the passes leave it in. Points: at least 8. */
export function forwardFft(k: KernelBuilder, shape: FftShape, source: Points["load"], memory: Points, sink: Points["store"]): void {
  forwardPasses(k, shape, source, memory);
  middlePass(k, shape, memory, (x) => butterflies(k, shape, x, -1));
  k.barrier();
  copyPoints(k, shape, memory.load, sink);
}

/** Inverse of a spectrum in stored order, without the factor 1/points. */
export function inverseFft(k: KernelBuilder, shape: FftShape, source: Points["load"], memory: Points, sink: Points["store"]): void {
  copyPoints(k, shape, source, memory.store);
  k.barrier();
  middlePass(k, shape, memory, (x) => butterflies(k, shape, x, 1));
  inversePasses(k, shape, memory, sink);
}

/** Forward, `between` on every point of the spectrum (index in stored order), inverse without the factor 1/points. */
export function convolveFft(
  k: KernelBuilder,
  shape: FftShape,
  source: Points["load"],
  memory: Points,
  sink: Points["store"],
  between: (index: KExpr, value: Complex) => Complex,
): void {
  forwardPasses(k, shape, source, memory);
  middlePass(k, shape, memory, (x, base) => {
    butterflies(k, shape, x, -1);
    x.forEach((v, r) => {
      const product = k.letComplex("v", between(add(base, r), v));
      k.assign(v.re, product.re);
      k.assign(v.im, product.im);
    });
    butterflies(k, shape, x, 1);
  });
  inversePasses(k, shape, memory, sink);
}

/** Points in workgroup memory, real and imaginary parts in separate arrays. */
function sharedPoints(k: KernelBuilder, re: string, im: string, place: (index: KExpr) => KExpr): Points {
  return {
    load: (i) => ({ re: k.loadShared(re, place(i)), im: k.loadShared(im, place(i)) }),
    store: (i, v) => {
      const where = k.let("where", place(i));
      k.storeShared(re, where, v.re);
      k.storeShared(im, where, v.im);
    },
  };
}

/** Interleaved complex numbers of a device buffer. */
export function loadComplex(k: KernelBuilder, buffer: string, index: KExpr): Complex {
  const i = k.let("ci", mul(index, 2));
  return { re: k.load(buffer, i), im: k.load(buffer, add(i, 1)) };
}

export function storeComplex(k: KernelBuilder, buffer: string, index: KExpr, value: Complex): void {
  const i = k.let("ci", mul(index, 2));
  k.store(buffer, i, value.re);
  k.store(buffer, add(i, 1), value.im);
}
