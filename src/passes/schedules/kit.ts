/**
 * The vocabulary schedules write kernels in: typed expressions with the obvious simplifications, and a builder that
 * keeps track of names and bindings. Not a schedule itself, and no shader text.
 */
import { bug } from "../../ir/error.ts";
import type { Expr } from "../../ir/expr.ts";
import { scalarDef } from "../../ir/expr.ts";
import type { DimName, KBuffer, Kernel, KExpr, KFn, KStmt, KType } from "../../ir/kernel.ts";

export type { KExpr } from "../../ir/kernel.ts";

/** A number stands for a literal of the other operand's type. */
export type Operand = KExpr | number;

export const u32 = (value: number): KExpr => ({ op: "lit", type: "u32", value });
export const f32 = (value: number): KExpr => ({ op: "lit", type: "f32", value });
export const dim = (name: DimName): KExpr => ({ op: "dim", type: "u32", name });
export const override = (name: string): KExpr => ({ op: "override", type: "u32", name });
export const lane: KExpr = { op: "lane", type: "u32" };
export const group = (axis: 0 | 1 | 2): KExpr => ({ op: "group", type: "u32", axis });

const isLit = (e: KExpr, value: number): boolean => e.op === "lit" && e.value === value;

/** Gives both operands as expressions, a plain number taking the type of the other. */
function pair(a: Operand, b: Operand): readonly [KExpr, KExpr] {
  if (typeof a !== "number") return [a, typeof b === "number" ? { op: "lit", type: a.type, value: b } : b];
  if (typeof b !== "number") return [{ op: "lit", type: b.type, value: a }, b];
  return [u32(a), u32(b)];
}

function foldU32(fn: KFn, a: number, b: number): number | undefined {
  switch (fn) {
    case "add":
      return (a + b) >>> 0;
    case "sub":
      return (a - b) >>> 0;
    case "mul":
      return Math.imul(a, b) >>> 0;
    case "div":
      return b > 0 ? Math.floor(a / b) : undefined;
    case "mod":
      return b > 0 ? a % b : undefined;
    default:
      return undefined;
  }
}

function binary(fn: KFn, x: Operand, y: Operand, type?: KType): KExpr {
  const [a, b] = pair(x, y);
  if (a.type === "u32" && b.type === "u32" && a.op === "lit" && b.op === "lit") {
    const value = foldU32(fn, a.value, b.value);
    if (value !== undefined) return u32(value);
  }
  return { op: "call", type: type ?? a.type, fn, args: [a, b] };
}

/** a + 0 -> a, and for integers (a + 1) + 2 -> a + 3 */
export function add(x: Operand, y: Operand): KExpr {
  const [a, b] = pair(x, y);
  if (isLit(a, 0)) return b;
  if (isLit(b, 0)) return a;
  const [inner, first] = a.op === "call" && a.fn === "add" && a.type === "u32" ? a.args : [];
  return inner !== undefined && first?.op === "lit" && b.op === "lit" ? add(inner, add(first, b)) : binary("add", a, b);
}
/** a - 0 -> a */
export function sub(x: Operand, y: Operand): KExpr {
  const [a, b] = pair(x, y);
  return isLit(b, 0) ? a : binary("sub", a, b);
}
/** a * 1 -> a, and for integers a * 0 -> 0 */
export function mul(x: Operand, y: Operand): KExpr {
  const [a, b] = pair(x, y);
  if (isLit(a, 1)) return b;
  if (isLit(b, 1)) return a;
  if (a.type === "u32" && (isLit(a, 0) || isLit(b, 0))) return u32(0);
  return binary("mul", a, b);
}
export function div(x: Operand, y: Operand): KExpr {
  const [a, b] = pair(x, y);
  return isLit(b, 1) ? a : binary("div", a, b);
}
/** a mod 1 -> 0 */
export function mod(x: Operand, y: Operand): KExpr {
  const [a, b] = pair(x, y);
  return isLit(b, 1) ? u32(0) : binary("mod", a, b);
}
export const lt = (a: Operand, b: Operand): KExpr => binary("lt", a, b, "bool");
export const le = (a: Operand, b: Operand): KExpr => binary("le", a, b, "bool");
export const ge = (a: Operand, b: Operand): KExpr => binary("ge", a, b, "bool");
export const gt = (a: Operand, b: Operand): KExpr => binary("gt", a, b, "bool");
export const eq = (a: Operand, b: Operand): KExpr => binary("eq", a, b, "bool");
export const and = (a: KExpr, b: KExpr): KExpr => binary("and", a, b, "bool");
export const or = (a: KExpr, b: KExpr): KExpr => binary("or", a, b, "bool");
export const min = (a: Operand, b: Operand): KExpr => binary("min", a, b);
export const max = (a: Operand, b: Operand): KExpr => binary("max", a, b);
export const shl = (a: Operand, b: Operand): KExpr => binary("shl", a, b);
export const shr = (a: Operand, b: Operand): KExpr => binary("shr", a, b);
export const bitand = (a: Operand, b: Operand): KExpr => binary("bitand", a, b);
export const bitxor = (a: Operand, b: Operand): KExpr => binary("bitxor", a, b);
export const neg = (a: KExpr): KExpr => ({ op: "call", type: a.type, fn: "neg", args: [a] });
/** The type of as many numbers as `a` has words. */
const floatsOf = (a: KExpr): KType => (a.type === "vec4u" ? "vec4f" : "f32");
export const float = (a: KExpr): KExpr => ({ op: "call", type: floatsOf(a), fn: "float", args: [a] });
export const half = (a: KExpr): KExpr => ({ op: "call", type: floatsOf(a), fn: "half", args: [a] });
export const uint = (a: KExpr): KExpr => ({ op: "call", type: "u32", fn: "uint", args: [a] });
/** The u32 of the same bits as an f32. */
export const bits = (a: KExpr): KExpr => ({ op: "call", type: "u32", fn: "bits", args: [a] });
/** The f32 of the same bits as a u32. */
export const fromBits = (a: KExpr): KExpr => ({ op: "call", type: "f32", fn: "frombits", args: [a] });
/**
 * The f32 nearest to `a`: what is subtracted from it afterwards is not taken for what went into it. WGSL lets a compiler reassociate; none
 * knows that the highest bit of a batch size is 0.
 */
export const rounded = (a: KExpr): KExpr => fromBits(binary("bitor", bits(a), shr(dim("B"), 31)));
/** The largest power of two not above |a|; 0 of 0. */
export const binade = (a: KExpr): KExpr => fromBits(bitand(bits(a), 0x7f800000));
export const select = (cond: KExpr, a: KExpr, b: KExpr): KExpr => ({ op: "call", type: a.type, fn: "select", args: [cond, a, b] });
export const unary = (fn: KFn, a: KExpr): KExpr => ({ op: "call", type: a.type, fn, args: [a] });
/** Values side by side: a `vec4f` of four, one as it is. */
export const joined = (values: readonly KExpr[]): KExpr =>
  values.length === 1 ? (values[0] ?? bug("no value")) : { op: "call", type: "vec4f", fn: "four", args: values };
/** One of the four numbers of a `vec4f` variable. */
export function component(vector: KExpr, index: Operand): KExpr {
  const of = vector.op === "var" ? vector.name : bug("only a variable has components");
  return { op: "component", type: "f32", of, index: typeof index === "number" ? u32(index) : index };
}
/** a * b + c */
export const fma = (a: Operand, b: Operand, c: Operand): KExpr => add(mul(a, b), c);

/** A scalar expression of the graph over kernel values; constants become f32. */
export function fromExpr(expr: Expr, args: readonly KExpr[]): KExpr {
  switch (expr.op) {
    case "arg":
      return args[expr.index] ?? bug(`kernel has no value for $${expr.index}`);
    case "const":
      return f32(expr.value);
    case "call": {
      const type: KType = scalarDef(expr.fn).result === "bool" ? "bool" : "f32";
      return { op: "call", type, fn: expr.fn, args: expr.args.map((a) => fromExpr(a, args)) };
    }
  }
}

/** A complex number in two real expressions. */
export interface Complex {
  readonly re: KExpr;
  readonly im: KExpr;
}
export const cmul = (a: Complex, b: Complex): Complex => ({
  re: sub(mul(a.re, b.re), mul(a.im, b.im)),
  im: add(mul(a.re, b.im), mul(a.im, b.re)),
});
export const cadd = (a: Complex, b: Complex): Complex => ({ re: add(a.re, b.re), im: add(a.im, b.im) });
export const csub = (a: Complex, b: Complex): Complex => ({ re: sub(a.re, b.re), im: sub(a.im, b.im) });
export const conj = (a: Complex): Complex => ({ re: a.re, im: neg(a.im) });

/** Collects the statements, bindings, overrides and workgroup memory of one kernel. */
export interface KernelBuilder {
  /** Declares an immutable value and gives its name back. */
  readonly let: (name: string, value: KExpr) => KExpr;
  readonly var: (name: string, value: KExpr) => KExpr;
  readonly assign: (variable: KExpr, value: KExpr) => void;
  /** `size` zeros of the lane's own; gives the name. */
  readonly array: (name: string, size: number) => string;
  readonly element: (array: string, index: KExpr) => KExpr;
  readonly storeElement: (array: string, index: KExpr, value: KExpr) => void;
  readonly letComplex: (name: string, value: Complex) => Complex;
  readonly for: (name: string, from: Operand, to: Operand, body: (i: KExpr) => void, step?: Operand) => void;
  readonly if: (cond: KExpr, then: () => void, otherwise?: () => void) => void;
  readonly barrier: () => void;
  readonly comment: (text: string) => void;
  /** Binds a buffer of the plan by its number; the same number twice is one binding. */
  readonly bind: (buffer: number, access?: KBuffer["access"], type?: KBuffer["type"]) => string;
  readonly load: (name: string, index: KExpr) => KExpr;
  readonly store: (name: string, index: KExpr, value: KExpr) => void;
  /** Workgroup memory; gives its name, which no variable after it hides. */
  readonly shared: (name: string, size: Operand, type?: KType) => string;
  readonly loadShared: (array: string, index: KExpr) => KExpr;
  readonly storeShared: (array: string, index: KExpr, value: KExpr) => void;
  readonly override: (name: string, value: number) => KExpr;
  readonly finish: () => { readonly kernel: Kernel; readonly bindings: readonly number[] };
}

export function kernelBuilder(kernelName: string, lanes: Operand): KernelBuilder {
  const frames: KStmt[][] = [[]];
  /** Names visible in the blocks being written, outermost first; a name may return in a block beside. */
  const visible: Set<string>[] = [new Set()];
  const buffers: KBuffer[] = [];
  const bindings: number[] = [];
  const shared: { name: string; type: KType; size: KExpr }[] = [];
  const overrides: { name: string; value: number }[] = [];
  const emit = (stmt: KStmt): void => void (frames.at(-1) ?? bug("no frame")).push(stmt);
  const unique = (name: string, block: Set<string> | undefined = visible.at(-1)): string => {
    let fresh = name;
    for (let i = 1; visible.some((names) => names.has(fresh)); i++) fresh = `${name}_${i}`;
    (block ?? bug("no block")).add(fresh);
    return fresh;
  };
  const declare = (op: "let" | "var", name: string, value: KExpr): KExpr => {
    const fresh = unique(name);
    emit({ op, name: fresh, value });
    return { op: "var", type: value.type, name: fresh };
  };
  const nest = (body: () => void): readonly KStmt[] => {
    frames.push([]);
    visible.push(new Set());
    body();
    visible.pop();
    return frames.pop() ?? [];
  };
  const bind: KernelBuilder["bind"] = (buffer, access = "read", type = "f32") => {
    const at = bindings.indexOf(buffer);
    const old = buffers[at];
    if (old !== undefined) {
      // Of values that lie side by side in it, one may be read and another written.
      if (access === "read_write") buffers[at] = { ...old, access };
      return old.name;
    }
    bindings.push(buffer);
    buffers.push({ name: `b${buffers.length + 1}`, type, access });
    return `b${buffers.length}`;
  };
  return {
    let: (name, value) => (value.op === "lit" || value.op === "var" ? value : declare("let", name, value)),
    var: (name, value) => declare("var", name, value),
    assign: (variable, value) =>
      emit({ op: "assign", name: variable.op === "var" ? variable.name : bug("assignment to no variable"), value }),
    array: (name, size) => {
      const fresh = unique(name);
      emit({ op: "array", name: fresh, size });
      return fresh;
    },
    element: (array, index) => ({ op: "element", type: "f32", array, index }),
    storeElement: (array, index, value) => emit({ op: "storeElement", array, index, value }),
    letComplex: (name, value) => ({ re: declare("let", `${name}_re`, value.re), im: declare("let", `${name}_im`, value.im) }),
    for: (name, from, to, body, step = 1) => {
      const [start, end] = pair(from, to);
      let fresh = name;
      const inner = nest(() => {
        fresh = unique(name);
        body({ op: "var", type: start.type, name: fresh });
      });
      emit({
        op: "for",
        name: fresh,
        from: start,
        to: end,
        step: typeof step === "number" ? { op: "lit", type: start.type, value: step } : step,
        body: inner,
      });
    },
    if: (cond, then, otherwise) => emit({ op: "if", cond, then: nest(then), otherwise: otherwise === undefined ? [] : nest(otherwise) }),
    barrier: () => emit({ op: "barrier" }),
    comment: (text) => emit({ op: "comment", text }),
    bind,
    load: (name, index) => ({
      op: "load",
      type: buffers.find((b) => b.name === name)?.type ?? bug(`no buffer ${name}`),
      buffer: name,
      index,
    }),
    store: (buffer, index, value) => emit({ op: "store", buffer, index, value }),
    shared: (name, size, type = "f32") => {
      const fresh = unique(name, visible[0]);
      shared.push({ name: fresh, type, size: typeof size === "number" ? u32(size) : size });
      return fresh;
    },
    loadShared: (array, index) => ({
      op: "shared",
      type: shared.find((s) => s.name === array)?.type ?? bug(`no shared ${array}`),
      array,
      index,
    }),
    storeShared: (array, index, value) => emit({ op: "storeShared", array, index, value }),
    override: (name, value) => {
      overrides.push({ name, value });
      return override(name);
    },
    finish: () => ({
      kernel: {
        name: kernelName,
        lanes: typeof lanes === "number" ? u32(lanes) : lanes,
        buffers,
        shared,
        overrides,
        body: frames[0] ?? [],
      },
      bindings,
    }),
  };
}
