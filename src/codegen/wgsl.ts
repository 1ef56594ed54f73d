/** The WGSL backend: prints a kernel as one shader module. A table for expressions, a table for statements, no decisions. */
import { bug } from "../ir/error.ts";
import type { Kernel, KExpr, KFn, KStmt, KType } from "../ir/kernel.ts";

/** Words WGSL keeps for itself. Source: WGSL specification, sections 16.1 and 16.2. */
const reserved = new Set(
  (
    "alias break case const const_assert continue continuing default diagnostic discard else enable false fn for if let loop override requires return struct switch true var while " +
    "NULL Self abstract active alignas alignof as asm asm_fragment async attribute auto await become cast catch class co_await co_return co_yield coherent column_major common compile " +
    "compile_fragment concept const_cast consteval constexpr constinit crate debugger decltype delete demote demote_to_helper do dynamic_cast enum explicit export extends extern external " +
    "fallthrough filter final finally friend from fxgroup get goto groupshared highp impl implements import inline instanceof interface layout lowp macro macro_rules match mediump meta mod " +
    "module move mut mutable namespace new nil noexcept noinline nointerpolation non_coherent noncoherent noperspective null nullptr of operator package packoffset partition pass patch " +
    "pixelfragment precise precision premerge priv protected pub public readonly ref regardless register reinterpret_cast require resource restrict self set shared sizeof smooth snorm " +
    "static static_assert static_cast std subroutine super target template this thread_local throw trait try type typedef typeid typename typeof union unless unorm unsafe unsized use using " +
    "varying virtual volatile wgsl where with writeonly yield d grp lane main"
  ).split(" "),
);
const identifier = (name: string): string => (reserved.has(name) ? `${name}_` : name);

/** How tightly an expression holds together: operators bind less than names and calls, and those of bits need parentheses around all that is near. */
const ATOM = 4;
const BITS = -1;
interface Text {
  readonly text: string;
  readonly binding: number;
}

/** Operators with how tightly they bind. */
const infix: Partial<Record<KFn, readonly [symbol: string, binding: number]>> = {
  add: ["+", 2],
  sub: ["-", 2],
  mul: ["*", 3],
  div: ["/", 3],
  mod: ["%", 3],
  shl: ["<<", BITS],
  shr: [">>", BITS],
  bitand: ["&", BITS],
  bitor: ["|", BITS],
  bitxor: ["^", BITS],
  lt: ["<", 1],
  le: ["<=", 1],
  gt: [">", 1],
  ge: [">=", 1],
  eq: ["==", 1],
  ne: ["!=", 1],
  and: ["&&", 0],
  or: ["||", 0],
};

/** Coefficients of `series`, highest first, in Horner form of `variable`. */
const horner = (series: readonly number[], variable: string): string =>
  series.slice(1).reduce((text, c) => `(${text} * ${variable} + ${f32Literal(c)})`, f32Literal(series[0] ?? 0));

/**
 * Sine (quarter 0) and cosine (quarter 1) to 1e-7 for |x| below 1e4: x less a multiple of pi/2 in three parts, of which the
 * first two have so few digits that their products are exact; then least-squares fits on Chebyshev nodes of
 * [-pi/4, pi/4]. WGSL promises 2^-11 for its own.
 */
const turn = `fn r_turn(x: f32, quarter: i32) -> f32 {
  let n = round(x * 0.63661975);
  let y = ((x - n * 1.5703125) - n * 0.0004837512969970703) - n * 7.54978995489188e-8;
  let z = y * y;
  let s = y + y * z * ${horner([-0.0001958291686605662, 0.008332724682986736, -0.166666641831398], "z")};
  let c = 1.0 - 0.5 * z + z * z * ${horner([0.000024543278414057568, -0.00138882827013731, 0.0416666641831398], "z")};
  let q = i32(n) + quarter;
  let v = select(s, c, (q & 1) == 1);
  return select(v, -v, (q & 2) == 2);
}`;

/** A function, or the same of four numbers. */
type Helper = KFn | "exp4";

/** Functions WGSL lacks, or promises too little for; emitted before the entry point of kernels that use them. */
const helpers: Partial<Record<Helper, readonly string[]>> = {
  sigmoid: ["fn r_sigmoid(x: f32) -> f32 { let e = exp(-abs(x)); return select(e, 1.0, x >= 0.0) / (1.0 + e); }"],
  /** log(1 + t) = 2 atanh(t / (2 + t)), by its series: a step size of e^-16 keeps its digits. */
  softplus: [
    `fn r_softplus(x: f32) -> f32 {
  let t = exp(-abs(x));
  let s = t / (2.0 + t);
  let z = s * s;
  return select(x, 0.0, x < 0.0) + 2.0 * s * ${horner([1 / 13, 1 / 11, 1 / 9, 1 / 7, 1 / 5, 1 / 3, 1], "z")};
}`,
  ],
  /** WGSL leaves open what its own make of NaN, and of logarithms of 0 and below. */
  exp: ["fn r_exp(x: f32) -> f32 { return select(x, exp(x), x == x); }"],
  exp4: ["fn r_exp4(x: vec4f) -> vec4f { return select(x, exp(x), x == x); }"],
  log: ["fn r_log(x: f32) -> f32 { return select(select(sqrt(x), -1.0 / abs(x), x == 0.0), log(x), x > 0.0); }"],
  sin: [turn, "fn r_sin(x: f32) -> f32 { return r_turn(x, 0); }"],
  cos: [turn, "fn r_cos(x: f32) -> f32 { return r_turn(x, 1); }"],
  /** Of four words; a number alone needs no helper. */
  half: [
    "fn r_half(w: vec4u) -> vec4f { return vec4f(unpack2x16float(w.x).x, unpack2x16float(w.y).x, unpack2x16float(w.z).x, unpack2x16float(w.w).x); }",
  ],
  /** To 3e-7, relative: a least-squares fit of tanh(x)/x below 0.6, exponentials above. */
  tanh: [
    `fn r_tanh(x: f32) -> f32 {
  let z = x * x;
  if (z < 0.36) { return x + x * z * ${horner([-0.006219717673957348, 0.02108001708984375, -0.05386805906891823, 0.13332881033420563, -0.3333333134651184], "z")}; }
  let e = exp(-2.0 * abs(x));
  return sign(x) * (1.0 - e) / (1.0 + e);
}`,
  ],
  /**
   * To 1.6e-7, relative below 1: x P(2x^2-1) below 1, 1 - exp(-R((x-2.5)/1.5)) above.
   * Source: least-squares fits of erf(x)/x and -log(erfc(x)) on Chebyshev nodes, made for this table.
   */
  erf: [
    `fn r_erf(x: f32) -> f32 {
  let a = select(abs(x), 4.0, abs(x) > 4.0);
  if (a < 1.0) { let s = 2.0 * x * x - 1.0; return x * ${horner([1.2316399988776539e-6, -1.7669080989435315e-5, 2.1751198801212013e-4, -2.285419497638941e-3, 0.019852498546242714, -0.1405360996723175, 0.9654687643051147], "s")}; }
  let s = (a - 2.5) / 1.5;
  return select(x, sign(x) * (1.0 - exp(-${horner([2.2740343410987407e-4, -9.643041412346065e-4, 3.190472722053528e-3, -0.010909415781497955, 0.0366474948823452, 2.1237504482269287, 8.029021263122559, 7.8068156242370605], "s")})), x == x);
}`,
  ],
};

const named: Partial<Record<KFn, string>> = { rsqrt: "inverseSqrt", bits: "bitcast<u32>", frombits: "bitcast<f32>" };

const wgslType: Record<KType, string> = { f32: "f32", u32: "u32", i32: "i32", bool: "bool", vec4f: "vec4f", vec4u: "vec4u" };

/** A number that constant expressions refuse or lose: its bits, by way of a zero that is no constant. */
const fromBits = (bits: string): string => `bitcast<f32>((d.B & 0u) | ${bits}u)`;

/** The shortest literal of the f32 nearest to `value`; an expression where it has none. WGSL lets devices ignore the sign of 0. */
export function f32Literal(value: number): string {
  const rounded = Math.fround(value);
  if (Number.isNaN(rounded)) return fromBits("0x7fc00000");
  if (!Number.isFinite(rounded)) return fromBits(rounded > 0 ? "0x7f800000" : "0xff800000");
  for (let digits = 6; digits <= 9; digits++) {
    const text = rounded.toPrecision(digits);
    if (Math.fround(Number(text)) === rounded) return `${Number(text)}f`;
  }
  return `${rounded}f`;
}

const atom = (text: string): Text => ({ text, binding: ATOM });

/** An operand, in parentheses where it binds less than `least`. */
const operand = ({ text, binding }: Text, least: number): string => (binding < least ? `(${text})` : text);

/** Sums and products are read from the left: the first operand may be one of the same kind. */
function printInfix(symbol: string, binding: number, [first, ...rest]: readonly Text[]): Text {
  if (first === undefined) return bug(`no operand of ${symbol}`);
  const least = binding === BITS ? ATOM : binding + 1;
  const parts = [operand(first, binding >= 2 ? binding : least), ...rest.map((part) => operand(part, least))];
  return { text: parts.join(` ${symbol} `), binding };
}

function literal(type: KType, value: number): string {
  switch (type) {
    case "f32":
      return f32Literal(value);
    case "u32":
      return `${value}u`;
    case "i32":
      return `${value}i`;
    case "bool":
      return value === 0 ? "false" : "true";
    case "vec4f":
      return `vec4f(${f32Literal(value)})`;
    case "vec4u":
      return `vec4u(${value}u)`;
  }
}

/** The helper that a call needs: one of four numbers at once has a helper of its own. */
function helperOf(fn: KFn, type: KType): Helper | undefined {
  if (fn === "half") return type === "vec4f" ? fn : undefined;
  if (helpers[fn] === undefined) return undefined;
  if (type !== "vec4f") return fn;
  return fn === "exp" ? "exp4" : bug(`${fn} of four numbers at once`);
}

function printCall(fn: KFn, type: KType, args: readonly KExpr[]): Text {
  const parts = args.map((e) => (type === "vec4u" && e.type === "u32" ? atom(`vec4u(${print(e).text})`) : print(e)));
  const operator = infix[fn];
  if (operator !== undefined) return printInfix(...operator, parts);
  const list = parts.map((p) => p.text);
  switch (fn) {
    case "neg":
      return atom(`(-${operand(parts[0] ?? bug("neg"), ATOM)})`);
    case "not":
      return atom(`(!${operand(parts[0] ?? bug("not"), ATOM)})`);
    case "select":
      return atom(`select(${list[2]}, ${list[1]}, ${list[0]})`);
    case "float":
      return atom(`${type}(${list[0]})`);
    case "uint":
      return atom(`u32(${list[0]})`);
    case "four":
      return atom(`vec4f(${list.join(", ")})`);
    case "half":
      return atom(type === "vec4f" ? `r_half(${list[0]})` : `unpack2x16float(${list[0]}).x`);
    default: {
      const helper = helperOf(fn, type);
      return atom(`${helper === undefined ? (named[fn] ?? fn) : `r_${helper}`}(${list.join(", ")})`);
    }
  }
}

function print(e: KExpr): Text {
  switch (e.op) {
    case "lit": {
      const text = literal(e.type, e.value);
      return atom(text.startsWith("-") ? `(${text})` : text);
    }
    case "var":
      return atom(identifier(e.name));
    case "override":
      return atom(e.name);
    case "dim":
      return atom(`d.${e.name}`);
    case "component":
      return atom(`${identifier(e.of)}${e.index.op === "lit" ? `.${"xyzw"[e.index.value]}` : `[${print(e.index).text}]`}`);
    case "lane":
      return atom("lane");
    case "group":
      return atom(`grp.${"xyz"[e.axis]}`);
    case "load":
      return atom(`${e.buffer}[${print(e.index).text}]`);
    case "element":
      return atom(`${identifier(e.array)}[${print(e.index).text}]`);
    case "shared":
      return atom(`${e.array}[${print(e.index).text}]`);
    case "call":
      return printCall(e.fn, e.type, e.args);
  }
}

function statement(s: KStmt, pad: string): string {
  const block = (body: readonly KStmt[]): string => body.map((inner) => statement(inner, `${pad}  `)).join("");
  const text = (e: KExpr): string => print(e).text;
  switch (s.op) {
    case "let":
      return `${pad}let ${identifier(s.name)} = ${text(s.value)};\n`;
    case "var":
      return `${pad}var ${identifier(s.name)} = ${text(s.value)};\n`;
    case "array":
      return `${pad}var ${identifier(s.name)}: array<f32, ${s.size}>;\n`;
    case "storeElement":
      return `${pad}${identifier(s.array)}[${text(s.index)}] = ${text(s.value)};\n`;
    case "assign":
      return `${pad}${identifier(s.name)} = ${text(s.value)};\n`;
    case "store":
      return `${pad}${s.buffer}[${text(s.index)}] = ${text(s.value)};\n`;
    case "storeShared":
      return `${pad}${s.array}[${text(s.index)}] = ${text(s.value)};\n`;
    case "for":
      return `${pad}for (var ${identifier(s.name)} = ${text(s.from)}; ${identifier(s.name)} < ${text(s.to)}; ${identifier(s.name)} += ${text(s.step)}) {\n${block(s.body)}${pad}}\n`;
    case "if":
      return `${pad}if (${text(s.cond)}) {\n${block(s.then)}${pad}}${s.otherwise.length > 0 ? ` else {\n${block(s.otherwise)}${pad}}` : ""}\n`;
    case "barrier":
      return `${pad}workgroupBarrier();\n`;
    case "comment":
      return `${pad}// ${s.text}\n`;
  }
}

function usedHelpers(body: readonly KStmt[], into: Set<Helper>): Set<Helper> {
  const expr = (e: KExpr): void => {
    if (e.op === "call") {
      const helper = helperOf(e.fn, e.type);
      if (helper !== undefined) into.add(helper);
      e.args.forEach(expr);
    } else if (e.op === "load" || e.op === "shared" || e.op === "element" || e.op === "component") expr(e.index);
  };
  for (const s of body) {
    if ("value" in s) expr(s.value);
    if ("index" in s) expr(s.index);
    if (s.op === "for") {
      expr(s.from);
      expr(s.to);
      usedHelpers(s.body, into);
    }
    if (s.op === "if") {
      expr(s.cond);
      usedHelpers(s.then, into);
      usedHelpers(s.otherwise, into);
    }
  }
  return into;
}

/** One WGSL module with the entry point `main`: binding 0 is the uniform of run-time sizes, the buffers follow. */
export function emitWgsl(kernel: Kernel): string {
  const used = usedHelpers(kernel.body, new Set());
  const lines = [
    "struct Dims { B: u32, L: u32, t: u32, pos: u32, M: u32 }",
    "@group(0) @binding(0) var<uniform> d: Dims;",
    ...kernel.buffers.map((b, i) => `@group(0) @binding(${i + 1}) var<storage, ${b.access}> ${b.name}: array<${b.type}>;`),
    ...kernel.overrides.map((o) => `override ${o.name}: u32 = ${o.value}u;`),
    ...kernel.shared.map((s) => `var<workgroup> ${s.name}: array<${wgslType[s.type]}, ${print(s.size).text}>;`),
    ...new Set([...used].flatMap((helper) => helpers[helper] ?? [])),
    `@compute @workgroup_size(${print(kernel.lanes).text})`,
    "fn main(@builtin(local_invocation_index) lane: u32, @builtin(workgroup_id) grp: vec3u) {",
  ];
  return `${lines.join("\n")}\n${kernel.body.map((s) => statement(s, "  ")).join("")}}\n`;
}
