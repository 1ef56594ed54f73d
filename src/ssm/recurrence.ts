/**
 * What a selective family is: a linear recurrence whose decay, input or output depends on the input. Its file states its
 * operands and writes the recurrence down as nodes of the graph around the one that all of them share (`SelectiveForm`).
 */
import type { GraphBuilder } from "../ir/build.ts";
import type { Loc } from "../ir/error.ts";
import { arg, call, constant, type Expr, type ScalarFn } from "../ir/expr.ts";
import { selectiveRoles, type SelectiveForm, type SelectiveRole, type ValueId } from "../ir/graph.ts";

/**
 * One dim of an operand: `H` heads, `N` rows and `P` columns of a head's state, `G` groups of heads that share k and q, `R`
 * inputs and outputs of a head, `S` planes that turn, `2` real and imaginary parts. A value has all of its dims in one, the
 * last one innermost.
 */
export type Letter = "H" | "N" | "P" | "G" | "R" | "S" | "2";
export type RecurrenceSizes = Readonly<Record<"H" | "N" | "P" | "G", number>> & Readonly<Partial<Record<"R" | "S", number>>>;

export interface OperandSpec {
  readonly doc: string;
  readonly dims: readonly Letter[];
  /** A parameter of the layer, and no value that varies in time. */
  readonly param?: true;
  /** A layer may go without. */
  readonly optional?: true;
  /** What it may be; any number where absent. */
  readonly domain?: "positive" | "negative" | "unit";
}

/** What of the parts of a selective form differs from the plainest one. */
type FormOf = Pick<SelectiveForm, "heads" | "state" | "width" | "groups"> & Partial<Pick<SelectiveForm, "writes" | "reads" | "before">>;

/** The words a recurrence is written in; each makes a node. */
export interface Terms {
  /** Any scalar expression of values of equal dims. */
  readonly map: (expr: Expr, ...values: readonly ValueId[]) => ValueId;
  readonly add: (a: ValueId, b: ValueId) => ValueId;
  readonly mul: (a: ValueId, b: ValueId) => ValueId;
  readonly scale: (a: ValueId, by: number) => ValueId;
  readonly apply: (fn: ScalarFn, a: ValueId) => ValueId;
  readonly concat: (...values: readonly ValueId[]) => ValueId;
  /** Channels from `start`, `size` of them. */
  readonly slice: (x: ValueId, start: number, size: number) => ValueId;
  /** Each block of `block` channels `times` times. */
  readonly repeat: (x: ValueId, block: number, times: number) => ValueId;
  readonly cumulate: GraphBuilder["cumulate"];
  readonly rotate: GraphBuilder["rotate"];
  readonly norm: GraphBuilder["norm"];
  /** One step later, zeros first. */
  readonly delay: (x: ValueId, channels: number) => ValueId;
  /** A number of the recurrence itself, `size` times. */
  readonly fixed: (value: number, size: number) => ValueId;
  /** The shared recurrence; which operands there are says what the form has. */
  readonly recur: (form: FormOf, operands: Readonly<Partial<Record<SelectiveRole, ValueId>>>) => ValueId;
}

/** A family as its file states it; `K` its operands. */
export interface Recurrence<K extends string = string> {
  readonly name: string;
  readonly source: string;
  /** How the state moves: one decay a head, one a row, or more than that. */
  readonly transition: "scalar" | "diagonal" | "diagonal plus rank one";
  readonly operands: Readonly<Record<K, OperandSpec>>;
  /** Emits the recurrence; operands that the layer goes without are absent. */
  readonly build: (terms: Terms, operands: Operands<K>, sizes: RecurrenceSizes) => ValueId;
}

/** The operands a recurrence is given. */
export interface Operands<K extends string> {
  /** One that must be there. */
  readonly of: (operand: K) => ValueId;
  readonly has: (operand: K) => boolean;
}

/** Checks that the operands used are declared. */
export const defineRecurrence = <const K extends string>(recurrence: Recurrence<K>): Recurrence<K> => recurrence;

/** The terms of a recurrence whose own numbers are called `name.<what>`. */
export function termsOf(g: GraphBuilder, name: (leaf: string) => string, loc: Loc | undefined): Terms {
  const map: Terms["map"] = (expr, ...values) => g.map(expr, values, loc);
  const fixed = (value: number, dims: readonly (readonly [string, number])[]): ValueId =>
    g.fixed(
      name("fixed"),
      dims.map(([dim, size]) => ({ name: dim, size })),
      { kind: "constant", value },
      loc,
    );
  return {
    map,
    add: (a, b) => map(call("add", arg(0), arg(1)), a, b),
    mul: (a, b) => map(call("mul", arg(0), arg(1)), a, b),
    scale: (a, by) => map(call("mul", arg(0), constant(by)), a),
    apply: (fn, a) => map(call(fn, arg(0)), a),
    concat: (...values) => g.concat(values, loc),
    slice: (x, start, size) => g.slice(x, start, size, loc),
    repeat: (x, block, times) => g.repeat(x, block, times, loc),
    cumulate: g.cumulate,
    rotate: g.rotate,
    norm: g.norm,
    delay: (x, channels) => {
      const taps = ([1, 0] as const).map((tap) =>
        fixed(tap, [
          ["H", channels],
          ["K", 1],
        ]),
      );
      return g.conv(x, g.concat(taps, loc), loc);
    },
    fixed: (value, size) => fixed(value, [["H", size]]),
    recur: ({ writes = 1, reads = 1, before = false, ...sizes }, operands) => {
      const has = (role: SelectiveRole): boolean => operands[role] !== undefined;
      const [rates, gain, correction, bonus] = [has("rates"), has("gain"), has("b"), has("bonus")];
      const form: SelectiveForm = { stage: "selective", ...sizes, writes, reads, rates, gain, correction, before, bonus };
      return g.ssm(
        form,
        selectiveRoles(form).flatMap((role) => operands[role] ?? []),
        loc,
      );
    },
  };
}

/** How many numbers an operand has. */
export const sizeOfDims = (dims: readonly Letter[], sizes: RecurrenceSizes): number =>
  dims.reduce((product, letter) => product * (letter === "2" ? 2 : (sizes[letter] ?? 1)), 1);
