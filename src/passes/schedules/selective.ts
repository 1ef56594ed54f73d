/**
 * What the schedules of a selective recurrence share: reading its operands, keeping a column of a head's state, one step of
 * it, and what that costs. A column is one of the H P columns of all states: column p of head h is number h P + p.
 */
import { bug } from "../../ir/error.ts";
import {
  type Graph,
  type MatmulNode,
  type Node,
  selectiveRoles,
  type SelectiveForm,
  type SelectiveRole,
  type SsmNode,
  type ValueId,
  ownArity,
} from "../../ir/graph.ts";
import { isOutput } from "../../ir/rewrite.ts";
import { bufferOf } from "../joined.ts";
import { add, div, f32, fma, joined, type KernelBuilder, type KExpr, lt, min, mul, u32, unary } from "./kit.ts";
import { channelsOf, type Coords, flopsOf, hasLength, type LowerContext, operandsBytes, read, type ValueRef } from "./schedule.ts";
import { rowBytes, unpackingFlops, type Wide } from "./weight.ts";
import { isScale, scaleAt } from "./norm.ts";
import { alone, type Team } from "./team.ts";
import { across, fewProducts, isWhole, none, ownNorm, productAt, productOf } from "./product.ts";

/** A selective node with its operands' places. */
export interface Selective {
  readonly form: SelectiveForm;
  /** H P */
  readonly columns: number;
  readonly has: (role: SelectiveRole) => boolean;
  /**
   * Number `index` of an operand at a time step of a sequence, one of those of write `w` where that is given; of a product or a norm that is
   * absorbed, computed here.
   */
  readonly read: (k: KernelBuilder, role: SelectiveRole, at: Omit<Coords, "c">, index: KExpr, w?: number) => KExpr;
  /** Whether there is a value of every row, not of every head. */
  readonly rows: (role: "decay" | "rates") => boolean;
  /** Whether an operand varies in time. */
  readonly varies: (role: SelectiveRole) => boolean;
  /** The roles, of those that one value plays the first. */
  readonly distinct: readonly SelectiveRole[];
  /** Whether one value is the decay of heads and the gain too. */
  readonly shares: boolean;
  /** To be called in a step before anything is read: what is the same for all rows of absorbed norms, and an absorbed product. */
  readonly begin: (k: KernelBuilder, at: Omit<Coords, "c">, own: Head, team: Team) => void;
  /** Channels of the norms taken on the way, those of the product aside. */
  readonly normed: number;
  /** A product computed on the way: its inputs, the bytes of its weight and of its epilogue's parameters, operations a result; whether teams share them. */
  readonly product: { readonly inputs: number; readonly bytes: number; readonly flops: number; readonly shared: boolean } | undefined;
  /** What the epilogue reads beyond that: values of every result, and parameters of every channel. */
  readonly post: { readonly values: number; readonly params: number };
}

export function selectiveOf(node: SsmNode, context: LowerContext): Selective {
  const { form } = node;
  if (form.stage !== "selective") return bug(`a selective schedule was given a ${form.stage} ssm`);
  const roles = selectiveRoles(form);
  const idOf = (role: SelectiveRole): ValueId => node.args[roles.indexOf(role)] ?? bug(`no ${role}`);
  const refs = new Map<SelectiveRole, ValueRef>(roles.map((role) => [role, context.value(idOf(role))]));
  const extras = [...new Set(node.args.slice(roles.length))].filter((id) => !node.args.slice(0, roles.length).includes(id));
  const of = (role: SelectiveRole): ValueRef => refs.get(role) ?? bug(`no operand ${role}`);
  const norms = [...new Set(node.args.slice(0, roles.length))].flatMap((id) => {
    const norm = context.graph.nodes[id];
    return isScale(norm) && context.absorbed(id) ? [{ id, norm }] : [];
  });
  const product = absorbedProduct(idOf("decay"), context);
  /** Of a step at hand: the scales of norms, and the product's result. */
  const known = new Map<ValueId, KExpr>();
  return {
    form,
    columns: form.heads * form.width,
    has: (role) => refs.has(role),
    read: (k, role, at, index, w) => {
      const count = numbersOf(of(role)) / form.writes;
      const here = { ...at, c: index, ...(w === undefined ? {} : { among: { start: w * count, count } }) };
      const id = idOf(role);
      const made = (): KExpr => known.get(id) ?? bug(`${role} is read before the step begins`);
      if (id === product?.id) return made();
      const normed = norms.find((norm) => norm.id === id);
      if (normed === undefined) return read(k, of(role), here);
      return mul(read(k, context.value(normed.norm.args[0] ?? bug("norm")), here), made());
    },
    begin: (k, at, { heads: [head = bug("no head")] }, team) => {
      for (const { id, norm } of norms) known.set(id, scaleAt(k, norm, at, context, team));
      if (product !== undefined) known.set(product.id, k.let("made", productAt(k, product.node, { ...at, c: head }, context, team)));
    },
    normed: norms.reduce((sum, { norm }) => sum + channelsOf(norm.type), 0),
    shares: form.gain && form.writes === 1 && idOf("gain") === idOf("decay"),
    rows: (role) => form.state > 1 && refs.has(role) && numbersOf(of(role)) === form.heads * form.state,
    varies: (role) => refs.has(role) && of(role).layout !== "P",
    distinct: roles.filter((role, i) => node.args.indexOf(idOf(role)) === i && idOf(role) !== product?.id),
    product: productCost(product?.node, context),
    post: {
      values: extras.filter((id) => context.value(id).layout !== "P").length,
      params: extras.filter((id) => context.value(id).layout === "P").length,
    },
  };
}

/** The product that an operand is, where the node computes it on the way. */
function absorbedProduct(id: ValueId, context: LowerContext): { readonly id: ValueId; readonly node: MatmulNode } | undefined {
  const node = context.graph.nodes[id];
  return node?.op === "matmul" && context.absorbed(id) ? { id, node } : undefined;
}

/** Products of so many inputs are worth computing on the way. */
const mostInputs = 256;

/** Norms of no more channels are worth taking on the way, by every lane. */
const mostNormed = 64;

/** What a kernel of a lane a column may compute of a step's operands: norms of k and q, and the product that is the decay, or decay and gain. */
export function stepOperands(node: SsmNode, context: LowerContext): readonly ValueId[] {
  const { form } = node;
  if (form.stage !== "selective" || form.width > 1) return [];
  const norms = selectiveRoles(form).flatMap((role, i) => {
    const id = node.args[i] ?? bug(`no ${role}`);
    const norm = context.graph.nodes[id];
    const small = (role === "k" || role === "q") && isScale(norm) && channelsOf(norm.type) <= mostNormed;
    return small && isReadBy(context.graph, id, node) ? [id] : [];
  });
  return [...new Set([...norms, ...stepProduct(node, norms, context)])].toSorted((a, b) => a - b);
}

/** Whether nothing else reads a value. */
const isReadBy = (graph: Graph, id: ValueId, user: Node): boolean =>
  !isOutput(graph, id) && graph.nodes.every((node) => node === user || !node.args.includes(id));

/** That product, and the norm of its input, where `norms` are taken too. */
function stepProduct(node: SsmNode, norms: readonly ValueId[], context: LowerContext): readonly ValueId[] {
  const { form } = node;
  if (form.stage !== "selective") return bug("no selective node");
  const roles = selectiveRoles(form);
  const id = node.args[roles.indexOf("decay")] ?? bug("no decay");
  const product = context.graph.nodes[id];
  const once = node.args.every((arg, i) => arg !== id || roles[i] === "decay" || (roles[i] === "gain" && form.writes === 1));
  if (product?.op !== "matmul" || !once || channelsOf(product.type) !== form.heads) return [];
  const { inputs, parts, ...whole } = productOf(product, context);
  const [x = bug("matmul")] = product.args;
  const own = isScale(context.graph.nodes[x]) && isReadBy(context.graph, x, product) ? [x, id] : [id];
  const fits = inputs * parts <= mostInputs && isWhole({ inputs, parts, ...whole }) && hasRoom(node, [...norms, ...own], context);
  return fits ? own : [];
}

/** Whether the buffers of a step that computes `absorbed` are at most 8: values, the weight, all parameters in one, state, result. */
function hasRoom(node: SsmNode, absorbed: readonly ValueId[], { graph }: LowerContext): boolean {
  const read = (args: readonly ValueId[]): ValueId[] =>
    args.flatMap((arg) => (absorbed.includes(arg) ? read(graph.nodes[arg]?.args ?? []) : [arg]));
  const values = read(node.args).filter((arg) => graph.nodes[arg]?.op !== "param");
  return new Set(values.map((arg) => bufferOf(graph, arg))).size <= 4;
}

function productCost(product: MatmulNode | undefined, context: LowerContext): Selective["product"] {
  if (product === undefined) return undefined;
  const { inputs, outputs, parts, weight } = productOf(product, context);
  const params = product.args.slice(ownArity(product)).filter((id) => context.value(id).layout === "P").length;
  const flops =
    (2 + unpackingFlops(weight)) * inputs * parts + flopsOf(product.post) + (ownNorm(product, context) ? 2 * inputs + parts : 0);
  return { inputs, bytes: (rowBytes(weight) * parts + 4 * params) * outputs, flops, shared: inputs * parts > fewProducts };
}

/** Numbers of a value a step, or of a parameter. */
const numbersOf = ({ type, layout }: ValueRef): number =>
  layout === "P" ? type.dims.reduce((product, d) => product * Number(d.size), 1) : channelsOf(type);

/** Where one column's N numbers are kept, or a part of them. */
export interface Column {
  /** Runs `body` for every row, by whose number, as it is given here, they are known. */
  readonly each: (body: (n: KExpr) => void) => void;
  readonly get: (n: KExpr) => KExpr;
  readonly set: (n: KExpr, value: KExpr) => void;
}

/** Rows that are written out and kept in variables of their own; more are an array of the lane. */
export const registerRows = 16;

/** A column of the lane's own, from zero; of few rows, four side by side. */
export function ownColumn(k: KernelBuilder, rows: number, wide: Wide = 1): Column {
  if (rows <= registerRows) {
    const vars = Array.from({ length: rows }, (_, n) => k.var(`s${n}`, none(wide)));
    const of = (n: KExpr): KExpr => (n.op === "lit" ? vars[n.value] : undefined) ?? bug("a register by a number not known");
    return { each: (body) => vars.forEach((_, n) => body(u32(n))), get: of, set: (n, value) => k.assign(of(n), value) };
  }
  const array = k.array("s", rows);
  return {
    each: (body) => k.for("n", 0, rows, body),
    get: (n) => k.element(array, n),
    set: (n, value) => k.storeElement(array, n, value),
  };
}

/** A column of a buffer `[B][N][H P]`, or of one like it. */
export const bufferColumn = (k: KernelBuilder, buffer: string, rows: number, index: (n: KExpr) => KExpr): Column => ({
  each: (body) => k.for("n", 0, rows, body),
  get: (n) => k.load(buffer, index(n)),
  set: (n, value) => k.store(buffer, index(n), value),
});

/**
 * Every `parts`-th row of a buffer's column, which is one lane's of a team: all of them are loaded, then all are stored, for a load that
 * may be of what was stored before has to wait. `inside` where not every lane has a column.
 */
export function sharedColumn(
  k: KernelBuilder,
  buffer: string,
  rows: number,
  { part, parts }: Team,
  index: (n: KExpr) => KExpr,
  inside?: KExpr,
): Column {
  const own = ownColumn(k, Math.ceil(rows / parts));
  const whole = rows % parts === 0;
  const rowAt = (i: KExpr): KExpr => k.let("n", add(part, mul(i, parts)));
  own.each((i) => own.set(i, k.load(buffer, index(whole ? rowAt(i) : min(rowAt(i), rows - 1)))));
  const held = new Map<KExpr, KExpr>();
  return {
    each: (body) =>
      own.each((i) => {
        const n = rowAt(i);
        held.set(n, i);
        if (whole) body(n);
        else k.if(lt(n, rows), () => body(n));
      }),
    get: (n) => own.get(held.get(n) ?? bug("a row of another lane")),
    set: (n, value) => {
      const store = (): void => k.store(buffer, index(n), value);
      if (inside === undefined) store();
      else k.if(inside, store);
    },
  };
}

/** The index of a row of a column in a stream's state. */
export const stateIndex = ({ form, columns }: Selective, b: KExpr, n: KExpr, column: KExpr): KExpr =>
  add(mul(add(mul(b, form.state), n), columns), column);

/** A head and its rates, or those of four columns that have a head each. */
export interface Head {
  readonly heads: readonly KExpr[];
  /** The rate of a row, where there are rates. */
  readonly rate: (n: KExpr) => KExpr;
}

/** A column's place in the recurrence: its number, its head, and the first row of its group; or that of four neighbours of one group. */
export interface Place extends Head {
  /** The first of `columns`. */
  readonly column: KExpr;
  readonly columns: readonly KExpr[];
  readonly row: KExpr;
}

/** A value of every head, side by side. */
const ofHeads = ({ heads }: Head, value: (head: KExpr) => KExpr): KExpr => joined(heads.map(value));

/** Heads whose rates are read where they are asked for. */
export function headOf(k: KernelBuilder, s: Selective, ...heads: readonly KExpr[]): Head {
  const rateOf = (head: KExpr, n: KExpr): KExpr =>
    s.read(k, "rates", { b: u32(0), l: u32(0) }, s.rows("rates") ? add(mul(head, s.form.state), n) : head);
  return { heads, rate: (n) => joined(heads.map((head) => rateOf(head, n))) };
}

/** The place of a column, or of `wide` from it on; with `steps`, for many time steps: what does not change is read once, where there is room for it. */
export function placeOf(k: KernelBuilder, s: Selective, column: KExpr, steps: boolean, wide: Wide = 1): Place {
  const { form } = s;
  const columns = across(wide).map((i) => k.let("column", add(column, i)));
  const [first = bug("no column"), ...others] = columns.map((column) => div(column, form.width));
  const head = k.let("head", first);
  const own = headOf(k, s, head, ...(form.width % columns.length === 0 ? [] : others.map((other) => k.let("head", other))));
  const place = { ...own, column, columns, row: k.let("row", mul(div(head, form.heads / form.groups), form.state)) };
  if (!s.has("rates") || !steps || (s.rows("rates") && form.state > registerRows)) return place;
  const known = Array.from({ length: s.rows("rates") ? form.state : 1 }, (_, n) => k.let("rate", own.rate(u32(n))));
  return { ...place, rate: (n) => (s.rows("rates") && n.op === "lit" ? known[n.value] : known[0]) ?? bug("no rate") };
}

/** The decay as it is given, before rates. */
const decayAt = (k: KernelBuilder, s: Selective, at: Omit<Coords, "c">, own: Head, n: KExpr): KExpr =>
  ofHeads(own, (head) => s.read(k, "decay", at, s.rows("decay") ? add(mul(head, s.form.state), n) : head));

/** `decay` times the rate of a row. */
export const rated = (s: Selective, place: Head, n: KExpr, decay: KExpr): KExpr => (s.has("rates") ? mul(decay, place.rate(n)) : decay);

/** The logarithm of a row's decay. */
export const logDecayAt = (k: KernelBuilder, s: Selective, at: Omit<Coords, "c">, place: Head, n: KExpr): KExpr =>
  rated(s, place, n, decayAt(k, s, at, place, n));

/** A column of the state at its place, or four side by side. */
export interface Lane {
  readonly place: Place;
  readonly state: Column;
}

/** What one step is asked for. */
export interface StepOptions {
  /** Whether results are wanted, or the next state only. */
  readonly reads: boolean;
  /** Lanes that have a part of the rows each: results are of those of the lane. */
  readonly team?: Team;
  /** Hears of the decay as it is given, of a row where every row has its own. */
  readonly onDecay?: (decay: KExpr, n: KExpr) => void;
}

/** One step of a lane; gives the results of every read, of four columns side by side. */
export function advance(
  k: KernelBuilder,
  s: Selective,
  at: Omit<Coords, "c">,
  { place, state }: Lane,
  { reads, team = alone, onDecay }: StepOptions,
): readonly KExpr[] {
  const { heads, state: N, groups, writes, before, correction, bonus } = s.form;
  const { columns, row } = place;
  const zero = none(columns.length === 4 ? 4 : 1);
  const given = s.rows("decay") ? undefined : k.let("given", decayAt(k, s, at, place, u32(0)));
  if (given !== undefined) onDecay?.(given, u32(0));
  const gain = (w: number): KExpr =>
    s.shares && given !== undefined ? given : ofHeads(place, (head) => s.read(k, "gain", at, add(head, w * heads), w));
  const values = Array.from({ length: writes }, (_, w) =>
    k.let("v", joined(columns.map((column) => s.read(k, "v", at, add(column, w * s.columns), w)))),
  );
  const inputs = values.map((v, w) => (s.has("gain") ? k.let("input", mul(v, gain(w))) : v));
  const whole = given === undefined || s.rows("rates") ? undefined : k.let("decay", unary("exp", rated(s, place, u32(0), given)));
  const decayOf = (n: KExpr): KExpr => {
    if (whole !== undefined) return whole;
    const decay = given ?? k.let("given", decayAt(k, s, at, place, n));
    if (given === undefined) onDecay?.(decay, n);
    return unary("exp", rated(s, place, n, decay));
  };
  const results = reads ? Array.from({ length: s.form.reads }, () => k.var("y", zero)) : [];
  const seen = correction ? k.var("inner", zero) : undefined;
  if (seen !== undefined) state.each((n) => k.assign(seen, fma(state.get(n), s.read(k, "b", at, add(row, n)), seen)));
  const inner = seen && team.join([seen], ([total = seen]) => total);
  const present = bonus && reads ? k.var("present", f32(0)) : undefined;
  // Of four columns a vector stands before what they share, whose type a product takes.
  state.each((n) => {
    const keys = Array.from({ length: writes }, (_, w) => k.let("key", s.read(k, "k", at, add(row, add(n, w * groups * N)), w)));
    const queries = results.map((_, r) => k.let("query", s.read(k, "q", at, add(row, add(n, r * groups * N)))));
    const old = state.get(n);
    const kept = mul(old, decayOf(n));
    const moved = inner === undefined ? kept : fma(inner, s.read(k, "c", at, add(row, n)), kept);
    const next = k.let(
      "next",
      inputs.reduce((sum, input, w) => fma(input, keys[w] ?? bug("no key"), sum), moved),
    );
    results.forEach((result, r) => k.assign(result, fma(before ? old : next, queries[r] ?? bug("no query"), result)));
    if (present !== undefined) {
      const read = mul(queries[0] ?? bug("no query"), s.read(k, "bonus", at, add(row, n)));
      k.assign(present, fma(read, keys[0] ?? bug("no key"), present));
    }
    state.set(n, next);
  });
  const [value = zero] = values;
  return present === undefined ? results : results.map((y) => k.let("result", fma(value, present, y)));
}

/** Operations of one step of one column; of `wide` in a lane, those of one head share its decays. */
export function stepFlops(s: Selective, reads: boolean, wide: Wide = 1): number {
  const { state: N, width, writes, correction, bonus } = s.form;
  const [rows, rates] = [s.rows("decay") || s.rows("rates"), s.has("rates") ? 1 : 0];
  const decay = (rows ? (rates + 1) * N : rates + 1) / (width % wide === 0 ? wide : 1);
  const each = 1 + 2 * writes + (correction ? 4 : 0) + (reads ? 2 * s.form.reads + (bonus ? 3 : 0) : 0);
  return decay + each * N + (s.has("gain") ? writes : 0) + (s.product?.flops ?? 0) + 3 * s.normed;
}

/** Dependent steps that one load from device memory takes as long as, where nothing else is done meanwhile: 0.5 us on an H100. */
const loadSteps = 8;

/**
 * Dependent steps of a lane in one time step: its operands come, then of its rows four go side by side. A state in a buffer
 * is loaded row by row, each behind the store of the one before.
 */
export const serialSteps = ({ form }: Selective, stored = false): number =>
  stored ? loadSteps * form.state : loadSteps + Math.ceil(form.state / 4);

/** Heads and groups that workgroups of `size` neighbouring columns see, summed over workgroups. */
function seenBy({ form, columns }: Selective, size: number): { readonly heads: number; readonly groups: number } {
  const seen = { heads: 0, groups: 0 };
  const perGroup = form.heads / form.groups;
  for (let first = 0; first < columns; first += size) {
    const [from, to] = [Math.floor(first / form.width), Math.floor((Math.min(first + size, columns) - 1) / form.width)];
    seen.heads += to - from + 1;
    seen.groups += Math.floor(to / perGroup) - Math.floor(from / perGroup) + 1;
  }
  return seen;
}

/** Words that workgroups of `size` columns read, and of results write, summed over them: of a time step, and once for all. */
export function wordsSeen(s: Selective, size: number, reads: boolean): { readonly step: number; readonly once: number } {
  const { state: N, writes, reads: R } = s.form;
  const { heads, groups } = seenBy(s, size);
  const words: Readonly<Record<SelectiveRole, number>> = {
    v: writes * s.columns,
    k: writes * groups * N,
    q: reads ? R * groups * N : 0,
    decay: heads * (s.rows("decay") ? N : 1),
    rates: heads * (s.rows("rates") ? N : 1),
    gain: writes * heads,
    b: groups * N,
    c: groups * N,
    bonus: reads ? groups * N : 0,
  };
  const total = { step: 0, once: 0 };
  for (const role of s.distinct) total[s.varies(role) ? "step" : "once"] += words[role];
  if (s.product !== undefined) {
    total.step += s.product.inputs * Math.ceil(s.columns / size);
    total.once += s.product.bytes / 4;
  }
  if (!reads) return total;
  const results = R * s.columns;
  return { step: total.step + results * (1 + s.post.values), once: total.once + results * s.post.params };
}

/** Bytes of the operands and the results, each once, in this entry. */
export function leastBytes(s: Selective, node: SsmNode, context: LowerContext): string {
  const ids = [...new Set(node.args)].filter((id) => !context.absorbed(id));
  const product = s.product === undefined ? "" : `+${4 * s.product.inputs}*d.B+${s.product.bytes}`;
  const normed = s.normed === 0 ? "" : `+${4 * s.normed}*d.B`;
  const steps = hasLength(node.type) && context.entry !== "step" ? "*d.L" : "";
  return `${operandsBytes(ids, context.entry, context)}${product}${normed}+${4 * s.form.reads * s.columns}*d.B${steps}`;
}
