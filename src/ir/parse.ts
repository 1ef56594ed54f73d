/** Reads the text form of `print.ts` back. Reads syntax only: `verifyGraph` judges the graph. */
import { bug, CompileError, type Loc } from "./error.ts";
import { arg, call, constant, scalarFns, type Expr, type ScalarFn } from "./expr.ts";
import {
  lengthAt,
  type Axis,
  type Dim,
  type Graph,
  type GraphOutput,
  type Init,
  type Length,
  type Node,
  type Op,
  type Size,
  type SsmForm,
  type Structure,
  type SystemEntries,
  type TensorType,
  type ValueId,
} from "./graph.ts";
import type { selectiveFlags } from "./print.ts";

/** Throws: CompileError `ir-syntax` at line and column of the text. */
export function parseGraph(text: string): Graph {
  const lines = text
    .split("\n")
    .map((line, i) => ({ line, number: i + 1 }))
    .filter(({ line }) => line.trim() !== "");
  const next = (): Cursor => {
    const found = lines.shift();
    return found === undefined ? new Cursor("", text.split("\n").length).fail("more lines") : new Cursor(found.line, found.number);
  };
  const head = next();
  head.word("graph");
  const name = head.name();
  head.word("{");
  head.end();
  const nodes: Node[] = [];
  let c = next();
  while (!c.tries("return")) {
    nodes.push(parseLine(c, nodes.length));
    c = next();
  }
  const outputs = parseOutputs(c);
  const close = next();
  close.word("}");
  close.end();
  if (lines.length > 0) next().fail("the end of the text");
  return { name, nodes, outputs };
}

/** Reads an expression such as `($0 * neg($1))`. */
export function parseExpr(text: string): Expr {
  const c = new Cursor(text, 1);
  const expr = expression(c);
  c.end();
  return expr;
}

/** A place in one line of text; every method skips the blanks before what it reads. */
class Cursor {
  private at = 0;
  private readonly line: string;
  private readonly number: number;
  constructor(line: string, number: number) {
    this.line = line;
    this.number = number;
  }

  fail(expected: string): never {
    this.blanks();
    const loc: Loc = { file: "graph text", line: this.number, column: this.at + 1 };
    const frame = `${this.line}\n${" ".repeat(this.at)}^`;
    throw new CompileError({
      code: "ir-syntax",
      message: `expected ${expected}`,
      fix: "write it as `recurve inspect` prints it",
      loc,
      frame,
    });
  }
  private blanks(): void {
    while (this.line[this.at] === " " || this.line[this.at] === "\r" || this.line[this.at] === "\t") this.at++;
  }
  /** The text a sticky pattern matches here, consumed; undefined where it does not match. */
  match(pattern: RegExp): string | undefined {
    this.blanks();
    const sticky = new RegExp(pattern.source, "y");
    sticky.lastIndex = this.at;
    const found = sticky.exec(this.line)?.[0];
    this.at += found?.length ?? 0;
    return found;
  }
  /** Whether the text goes on with exactly this; consumed where it does. */
  tries(text: string): boolean {
    this.blanks();
    const ends = /\w$/.test(text) ? /\w/.test(this.line[this.at + text.length] ?? "") : false;
    if (ends || !this.line.startsWith(text, this.at)) return false;
    this.at += text.length;
    return true;
  }
  word(text: string): void {
    if (!this.tries(text)) this.fail(`\`${text}\``);
  }
  name(): string {
    const quoted = this.match(/"(?:[^"\\]|\\.)*"/);
    return quoted === undefined ? (this.match(/[A-Za-z_][\w.-]*/) ?? this.fail("a name")) : String(JSON.parse(quoted));
  }
  number64(): number {
    return Number(this.match(/-?(?:Infinity|NaN|\d+(?:\.\d+)?(?:e[+-]?\d+)?)/) ?? this.fail("a number"));
  }
  /** One of a few words. */
  oneOf<const W extends string>(words: readonly W[]): W {
    return words.find((word) => this.tries(word)) ?? this.fail(words.join(" or "));
  }
  value(): ValueId {
    this.word("%");
    return this.number64();
  }
  values(): ValueId[] {
    const ids: ValueId[] = [];
    while (this.tries("%")) ids.push(this.number64());
    return ids;
  }
  /** `open item, item close`. */
  list<T>(open: string, close: string, item: () => T): T[] {
    this.word(open);
    const items: T[] = [];
    while (!this.tries(close)) {
      if (items.length > 0) this.word(",");
      items.push(item());
    }
    return items;
  }
  /** `key=` and a number. */
  attribute(key: string): number {
    this.word(`${key}=`);
    return this.number64();
  }
  end(): void {
    this.blanks();
    if (this.at < this.line.length) this.fail("the end of the line");
  }
}

function parseOutputs(c: Cursor): GraphOutput[] {
  const outputs: GraphOutput[] = [];
  do {
    const name = c.name();
    c.word(":");
    outputs.push({ name, value: c.value() });
  } while (c.tries(","));
  c.end();
  return outputs;
}

function parseLine(c: Cursor, id: ValueId): Node {
  if (c.value() !== id) c.fail(`value %${id} to be the next`);
  c.word(":");
  const type = parseType(c);
  c.word("=");
  const op = c.oneOf(ops);
  const node = parsers[op](c, type);
  const post = "post" in node && c.tries("post") ? { post: braced(c), args: [...node.args, ...c.values()] } : {};
  const loc = parseLoc(c);
  c.end();
  return { ...node, ...post, ...(loc === undefined ? {} : { loc }) };
}

function parseType(c: Cursor): TensorType {
  const dtype = c.tries("i32") ? "i32" : "f32";
  const dims: Dim[] = [];
  c.word("[");
  while (!c.tries("]")) {
    const name = c.match(/[A-Za-z_]\w*/) ?? c.fail("a dim");
    dims.push({ name, size: c.tries("=") ? size(c) : runtimeSize(c, name) });
  }
  return { dtype, dims };
}

const size = (c: Cursor): Size => (c.tries("B") ? "B" : c.tries("L") ? length(c) : c.number64());
/** What follows an `L`. */
const length = (c: Cursor): Length => lengthAt(c.tries("/") ? c.number64() : 1);
const runtimeSize = (c: Cursor, name: string): Size => (name === "B" ? name : name === "L" ? length(c) : c.fail(`a size of ${name}`));

function parseLoc(c: Cursor): Loc | undefined {
  if (!c.tries("@")) return undefined;
  const text = c.match(/[^]*:\d+:\d+(?=\s*$)/) ?? c.fail("file:line:column");
  const [, file = "", line, column] = /^([^]*):(\d+):(\d+)$/.exec(text) ?? bug("a place that matched");
  return { file: file.startsWith('"') ? String(JSON.parse(file)) : file, line: Number(line), column: Number(column) };
}

/** One entry an op: its attributes and arguments; `post` keys mark the ops that take an epilogue. */
const parsers: { readonly [K in Op]: (c: Cursor, type: TensorType) => Node } = {
  input: (c, type) => ({ op: "input", type, name: c.name(), args: [] }),
  param: (c, type) => ({
    op: "param",
    type,
    name: c.name(),
    ...(c.tries("fixed") ? { fixed: true } : {}),
    ...(c.tries("init") ? { init: parseInit(c) } : {}),
    args: [],
  }),
  map: (c, type) => ({ op: "map", type, expr: braced(c), args: c.values() }),
  matmul: (c, type) => ({ op: "matmul", type, parts: c.tries("parts=") ? c.number64() : 1, args: c.values(), post: undefined }),
  norm: (c, type) => ({
    op: "norm",
    type,
    kind: c.oneOf(["layer", "rms"]),
    eps: c.attribute("eps"),
    ...(c.tries("groups=") ? { groups: c.number64() } : {}),
    args: c.values(),
    post: undefined,
  }),
  pool: (c, type) => ({
    op: "pool",
    type,
    kind: c.oneOf(["mean", "max", "last", "first"]),
    ...(c.tries("steps=") ? { steps: c.number64() } : {}),
    args: c.values(),
    post: undefined,
  }),
  ssm: (c, type) => ({ op: "ssm", type, form: parseForm(c), args: c.values(), post: undefined }),
  conv: (c, type) => ({ op: "conv", type, ...(c.tries("axis=") ? { axis: parseAxis(c) } : {}), args: c.values(), post: undefined }),
  attention: (c, type) => ({
    op: "attention",
    type,
    heads: c.attribute("heads"),
    kvHeads: c.attribute("kvHeads"),
    scale: c.attribute("scale"),
    ...(c.tries("window=") ? { window: c.number64() } : {}),
    ...(c.tries("rope=") ? { rope: { dims: c.number64(), base: c.attribute("base"), interleaved: c.tries("interleaved") } } : {}),
    args: c.values(),
    post: undefined,
  }),
  embed: (c, type) => ({ op: "embed", type, args: c.values(), post: undefined }),
  slice: (c, type) => ({
    op: "slice",
    type,
    start: c.attribute("start"),
    ...(c.tries("step=") ? { step: c.number64() } : {}),
    args: c.values(),
  }),
  concat: (c, type) => ({ op: "concat", type, args: c.values() }),
  pack: (c, type) => ({
    op: "pack",
    type,
    by: c.attribute("by"),
    ...(c.tries("only=") ? { only: c.number64() } : {}),
    args: c.values(),
  }),
  unpack: (c, type) => ({ op: "unpack", type, by: c.attribute("by"), args: c.values(), post: undefined }),
  reverse: (c, type) => ({ op: "reverse", type, args: c.values() }),
  lowpass: (c, type) => ({ op: "lowpass", type, by: c.attribute("by"), args: c.values() }),
  repeat: (c, type) => ({ op: "repeat", type, block: c.attribute("block"), times: c.attribute("times"), args: c.values() }),
  cumulate: (c, type) => ({ op: "cumulate", type, kind: c.oneOf(["sum", "turn", "max-plus"]), args: c.values() }),
  rotate: (c, type) => ({
    op: "rotate",
    type,
    pairs: c.oneOf(["neighbours", "halves"]),
    size: c.attribute("size"),
    planes: c.attribute("planes"),
    args: c.values(),
  }),
};
const ops = Object.keys(parsers) as readonly Op[];

const structures: readonly Structure[] = ["dense", "diagonal", "dplr"];

function parseForm(c: Cursor): SsmForm {
  const stage = c.oneOf(["family", "continuous", "discrete", "scaled", "selective"]);
  switch (stage) {
    case "family": {
      const form = {
        stage,
        family: c.name(),
        discretization: c.name(),
        state: c.attribute("state"),
        ...(c.tries("width=") ? { width: c.number64() } : {}),
        ...(c.tries("along=") ? { along: { ...parseAxis(c), delay: c.attribute("delay") } } : {}),
        options: (c.word("options="), parseOptions(c)),
      };
      return c.tries("A=") ? { ...form, entries: parseEntries(c) } : form;
    }
    case "continuous":
      return {
        stage,
        structure: c.oneOf(structures),
        discretization: c.name(),
        state: c.attribute("state"),
        ...parseReads(c),
        pairs: c.tries("pairs"),
      };
    case "discrete":
      return { stage, structure: c.oneOf(structures), state: c.attribute("state"), ...parseReads(c) };
    case "scaled":
      return { stage, state: c.attribute("state"), alpha: c.attribute("alpha") };
    case "selective": {
      const [heads, state, width, groups, writes, reads] = [
        c.attribute("heads"),
        c.attribute("state"),
        c.attribute("width"),
        c.attribute("groups"),
        c.attribute("writes"),
        c.attribute("reads"),
      ];
      const flag = (name: (typeof selectiveFlags)[number]): boolean => c.tries(name);
      const [rates, gain, correction, before, bonus] = [flag("rates"), flag("gain"), flag("correction"), flag("before"), flag("bonus")];
      return { stage, heads, state, width, groups, writes, reads, rates, gain, correction, before, bonus };
    }
  }
}

const parseReads = (c: Cursor): { readonly outputs?: number } => (c.tries("outputs=") ? { outputs: c.number64() } : {});

const parseAxis = (c: Cursor): Axis => ({ size: c.number64(), stride: c.attribute("stride") });

function parseEntries(c: Cursor): SystemEntries {
  const matrix = (): Expr[][] => c.list("[", "]", () => c.list("[", "]", () => expression(c)));
  const named = (key: string): Expr[][] => (c.word(`${key}=`), matrix());
  return { A: matrix(), B: named("B"), C: named("C"), D: named("D") };
}

function parseInit(c: Cursor): Init {
  const kind = c.oneOf(["constant", "values", "uniform", "normal", "logUniform", "ramp", "family"]);
  if (kind === "family") {
    c.word("(");
    const [family, param] = [c.name(), (c.word(","), c.name())];
    const options = (c.word(","), parseOptions(c));
    c.word(")");
    return { kind, family, param, options };
  }
  const numbers = c.list("(", ")", () => c.number64());
  if (kind === "values") return { kind, values: numbers };
  const [a = c.fail(`numbers for ${kind}`), b = kind === "constant" ? 0 : c.fail(`two numbers for ${kind}`)] = numbers;
  return kind === "constant" ? { kind, value: a } : kind === "normal" ? { kind, mean: a, std: b } : { kind, low: a, high: b };
}

function parseOptions(c: Cursor): Record<string, string | number | boolean> {
  const entry = (): [string, string | number | boolean] => [c.name(), (c.word(":"), option(c))];
  return Object.fromEntries(c.list("{", "}", entry));
}

function option(c: Cursor): string | number | boolean {
  if (c.tries("true")) return true;
  if (c.tries("false")) return false;
  const quoted = c.match(/"(?:[^"\\]|\\.)*"/);
  return quoted === undefined ? c.number64() : String(JSON.parse(quoted));
}

function braced(c: Cursor): Expr {
  c.word("{");
  const expr = expression(c);
  c.word("}");
  return expr;
}

const infixes: readonly (readonly [string, ScalarFn])[] = Object.entries(scalarFns)
  .flatMap(([fn, def]) => ("infix" in def ? [[def.infix, fn as ScalarFn] as const] : []))
  .sort(([a], [b]) => b.length - a.length);

function expression(c: Cursor): Expr {
  if (c.tries("$")) return arg(c.number64());
  if (c.tries("(")) {
    const left = expression(c);
    const [, fn] = infixes.find(([text]) => c.tries(text)) ?? c.fail("an operator");
    const right = expression(c);
    c.word(")");
    return call(fn, left, right);
  }
  const fn = c.match(/[A-Za-z]\w*(?=\()/);
  if (fn === undefined) return constant(c.number64());
  if (!Object.hasOwn(scalarFns, fn)) c.fail(`a scalar function, not ${fn}`);
  const args = c.list("(", ")", () => expression(c));
  const { arity } = scalarFns[fn as ScalarFn];
  if (args.length !== arity) c.fail(`${arity} arguments of ${fn}`);
  return call(fn as ScalarFn, ...args);
}
