/**
 * The text form of a graph: one node a line, values numbered in topological order, shapes on the left, so that a diff of
 * dumps is a diff of programs. `parse.ts` reads it back, exactly. Not a place for values of parameters: those live in
 * `Constants`.
 *
 * ```
 * graph g {
 *   %0: [B L H=64] = input y
 *   %1: [B L H=64] = map {($0 * neg($1))} %0 %0 @ model.ts:3:7
 *   return out: %1
 * }
 * ```
 */
import { formatLoc, type Loc } from "./error.ts";
import { scalarDef, type Expr } from "./expr.ts";
import {
  ownArity,
  type Graph,
  type Init,
  type Node,
  type NodeOf,
  type Op,
  type SsmForm,
  type SystemEntries,
  type TensorType,
  type ValueId,
} from "./graph.ts";
import { formatDims } from "./infer.ts";

/** The text of a graph; `parseGraph` gives an equal graph back. */
export function printGraph(graph: Graph): string {
  const lines = graph.nodes.map((node, id) => `  %${id}: ${printType(node.type)} = ${printNode(node)}${printLoc(node.loc)}`);
  const outputs = graph.outputs.map(({ name, value }) => `${printName(name)}: %${value}`);
  return [`graph ${printName(graph.name)} {`, ...lines, `  return ${outputs.join(", ")}`, "}", ""].join("\n");
}

/** `[B L H=64]`, `i32[B L]`: f32 goes without saying. */
export const printType = (type: TensorType): string => (type.dtype === "f32" ? "" : type.dtype) + formatDims(type.dims);

/** A node without its number, type and place: op, attributes, arguments. Equal texts are equal computations. */
export function printNode(node: Node): string {
  const post = "post" in node ? node.post : undefined;
  const own = post === undefined || !("post" in node) ? node.args.length : ownArity(node);
  const head = [node.op, ...printAttributes(node), ...node.args.slice(0, own).map(printValue)];
  return (post === undefined ? head : [...head, "post", `{${printExpr(post)}}`, ...node.args.slice(own).map(printValue)]).join(" ");
}

/** Infix for arithmetic and comparisons, always in parentheses; a call for everything else. */
export function printExpr(expr: Expr): string {
  switch (expr.op) {
    case "arg":
      return `$${expr.index}`;
    case "const":
      return printNumber(expr.value);
    case "call": {
      const args = expr.args.map(printExpr);
      const { infix } = scalarDef(expr.fn);
      return infix === undefined ? `${expr.fn}(${args.join(", ")})` : `(${args.join(` ${infix} `)})`;
    }
  }
}

/** The shortest text that reads back as the same float64, with `-0`, `NaN` and `Infinity`. */
export const printNumber = (x: number): string => (Object.is(x, -0) ? "-0" : String(x));

/** As it is where it is a plain dotted word, in JSON quotes otherwise. */
export const printName = (name: string): string => (/^[A-Za-z_][\w.-]*$/.test(name) ? name : JSON.stringify(name));

const printValue = (id: ValueId): string => `%${id}`;

/** A file whose name would not read back bare goes in quotes. */
function printLoc(loc: Loc | undefined): string {
  if (loc === undefined) return "";
  const bare = /^[^"\s][^\n\r]*$/.test(loc.file);
  return ` @ ${formatLoc(bare ? loc : { ...loc, file: JSON.stringify(loc.file) })}`;
}

function printAttributes(node: Node): string[] {
  // The table has an entry for every op; the cast ties a node to the entry of its own op.
  const print = attributePrinters[node.op] as (node: Node) => string[];
  return print(node);
}

const attributePrinters: { readonly [K in Op]: (node: NodeOf<K>) => string[] } = {
  input: (node) => [printName(node.name)],
  param: (node) => [
    printName(node.name),
    ...(node.fixed === true ? ["fixed"] : []),
    ...(node.init === undefined ? [] : ["init", printInit(node.init)]),
  ],
  map: (node) => [`{${printExpr(node.expr)}}`],
  matmul: (node) => (node.parts === 1 ? [] : [`parts=${node.parts}`]),
  norm: (node) => [node.kind, `eps=${printNumber(node.eps)}`, ...(node.groups === undefined ? [] : [`groups=${node.groups}`])],
  pool: (node) => [node.kind, ...(node.steps === undefined ? [] : [`steps=${node.steps}`])],
  ssm: (node) => printForm(node.form),
  conv: (node) => (node.axis === undefined ? [] : [`axis=${node.axis.size}`, `stride=${node.axis.stride}`]),
  attention: ({ heads, kvHeads, scale, window, rope }) => [
    `heads=${heads}`,
    `kvHeads=${kvHeads}`,
    `scale=${printNumber(scale)}`,
    ...(window === undefined ? [] : [`window=${window}`]),
    ...(rope === undefined ? [] : [`rope=${rope.dims}`, `base=${printNumber(rope.base)}`, ...(rope.interleaved ? ["interleaved"] : [])]),
  ],
  embed: () => [],
  slice: (node) => [`start=${node.start}`, ...(node.step === undefined ? [] : [`step=${node.step}`])],
  concat: () => [],
  pack: (node) => [`by=${node.by}`, ...(node.only === undefined ? [] : [`only=${node.only}`])],
  unpack: (node) => [`by=${node.by}`],
  reverse: () => [],
  lowpass: (node) => [`by=${node.by}`],
  repeat: (node) => [`block=${node.block}`, `times=${node.times}`],
  cumulate: (node) => [node.kind],
  rotate: (node) => [node.pairs, `size=${node.size}`, `planes=${node.planes}`],
};

const printOutputs = (outputs: number | undefined): string[] => (outputs === undefined ? [] : [`outputs=${outputs}`]);

function printForm(form: SsmForm): string[] {
  switch (form.stage) {
    case "family":
      return [
        "family",
        printName(form.family),
        printName(form.discretization),
        `state=${form.state}`,
        ...(form.width === undefined ? [] : [`width=${form.width}`]),
        ...(form.along === undefined ? [] : [`along=${form.along.size}`, `stride=${form.along.stride}`, `delay=${form.along.delay}`]),
        `options=${printOptions(form.options)}`,
        ...(form.entries === undefined ? [] : printEntries(form.entries)),
      ];
    case "continuous":
      return [
        "continuous",
        form.structure,
        printName(form.discretization),
        `state=${form.state}`,
        ...printOutputs(form.outputs),
        ...(form.pairs ? ["pairs"] : []),
      ];
    case "discrete":
      return ["discrete", form.structure, `state=${form.state}`, ...printOutputs(form.outputs)];
    case "scaled":
      return ["scaled", `state=${form.state}`, `alpha=${printNumber(form.alpha)}`];
    case "selective":
      return [
        "selective",
        ...(["heads", "state", "width", "groups", "writes", "reads"] as const).map((size) => `${size}=${form[size]}`),
        ...selectiveFlags.filter((flag) => form[flag]),
      ];
  }
}

/** What a selective form may have, in the order of its text. */
export const selectiveFlags = ["rates", "gain", "correction", "before", "bonus"] as const;

function printEntries(entries: SystemEntries): string[] {
  const matrix = (rows: readonly (readonly Expr[])[]): string => `[${rows.map((row) => `[${row.map(printExpr).join(", ")}]`).join(", ")}]`;
  return [`A=${matrix(entries.A)}`, `B=${matrix(entries.B)}`, `C=${matrix(entries.C)}`, `D=${matrix(entries.D)}`];
}

function printInit(init: Init): string {
  switch (init.kind) {
    case "constant":
      return `constant(${printNumber(init.value)})`;
    case "values":
      return `values(${init.values.map(printNumber).join(", ")})`;
    case "uniform":
    case "logUniform":
    case "ramp":
      return `${init.kind}(${printNumber(init.low)}, ${printNumber(init.high)})`;
    case "normal":
      return `normal(${printNumber(init.mean)}, ${printNumber(init.std)})`;
    case "family":
      return `family(${printName(init.family)}, ${printName(init.param)}, ${printOptions(init.options)})`;
  }
}

function printOptions(options: Readonly<Record<string, string | number | boolean>>): string {
  const entries = Object.entries(options).map(
    ([key, value]) => `${printName(key)}: ${typeof value === "number" ? printNumber(value) : JSON.stringify(value)}`,
  );
  return `{${entries.join(", ")}}`;
}
