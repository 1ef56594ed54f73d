/** The golden op cases of the selective families, as graphs with inputs, outputs and states. */
import { readFileSync } from "node:fs";
import { arg, call, constant } from "../../src/ir/expr.ts";
import type { Constant, Graph, Node } from "../../src/ir/graph.ts";
import type { Recurrence, RecurrenceSizes } from "../../src/ssm/recurrence.ts";
import { gatedDelta } from "../../src/ssm/recurrences/gated-delta.ts";
import { gla } from "../../src/ssm/recurrences/gla.ts";
import { mamba } from "../../src/ssm/recurrences/mamba.ts";
import { mlstm } from "../../src/ssm/recurrences/mlstm.ts";
import { retention } from "../../src/ssm/recurrences/retention.ts";
import { rgLru } from "../../src/ssm/recurrences/rg-lru.ts";
import { rwkv6 } from "../../src/ssm/recurrences/rwkv6.ts";
import { rwkv7 } from "../../src/ssm/recurrences/rwkv7.ts";
import { ssd } from "../../src/ssm/recurrences/ssd.ts";
import { bytesSource, openSafetensors, type TensorFile } from "../../src/weights/safetensors.ts";
import { type Around, recurrenceGraph } from "./build.ts";

const folder = new URL("../../../shared/golden/mamba/", import.meta.url);

/** One case of `ops.json`. */
export interface OpCase {
  readonly op: string;
  readonly name: string;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly opts: Readonly<Record<string, unknown>>;
}

/** What a node of a golden sequence remembers, as the interpreter lays it out. */
export interface Memory {
  /** Its name in the golden data. */
  readonly name: string;
  readonly keptBy: (node: Node) => boolean;
  /** At the start of the sequence, where that is no beginning. */
  readonly before?: Float64Array;
  readonly after: Float64Array;
}

/** A case, ready to run. */
export interface GoldenOp {
  readonly name: string;
  readonly op: string;
  readonly graph: Graph;
  readonly constants: ReadonlyMap<string, Constant>;
  readonly inputs: ReadonlyMap<string, Constant>;
  readonly y: Constant;
  readonly memories: readonly Memory[];
}

export const opCases = (JSON.parse(readFileSync(new URL("ops.json", folder), "utf8")) as { cases: readonly OpCase[] }).cases;

let file: Promise<TensorFile> | undefined;
const tensors = (): Promise<TensorFile> =>
  (file ??= openSafetensors(bytesSource(readFileSync(new URL("ops.safetensors", folder)), "ops.safetensors")));

/** A tensor of the golden op cases. */
export async function opTensor(name: string): Promise<Constant> {
  const source = await tensors();
  return { shape: source.entries.get(name)?.shape ?? [], data: await source.read(name) };
}

/** Dims `order` of a tensor, in that order. */
function permuted({ shape, data }: Constant, order: readonly number[]): Constant {
  const strides = shape.map((_, i) => shape.slice(i + 1).reduce((a, b) => a * b, 1));
  const next = order.map((i) => shape[i] ?? NaN);
  const values = data.map((_, i) => {
    let [rest, at] = [i, 0];
    for (let d = order.length - 1; d >= 0; d--) {
      at += (rest % (next[d] ?? 1)) * (strides[order[d] ?? 0] ?? 0);
      rest = Math.floor(rest / (next[d] ?? 1));
    }
    return data[at] ?? NaN;
  });
  return { shape: next, data: values };
}

/** `[B L ..]` with all dims after L in one. */
const flat = ({ shape: [B = 0, L = 0, ...rest], data }: Constant): Constant => ({
  shape: [B, L, rest.reduce((a, b) => a * b, 1)],
  data,
});
const vector = ({ data }: Constant): Constant => ({ shape: [data.length], data });
const mapped = ({ shape, data }: Constant, f: (x: number) => number): Constant => ({ shape, data: data.map(f) });

const silu = call("mul", arg(1), call("sigmoid", arg(1)));
const gated: NonNullable<Around["result"]> = (t, y, { input }) => t.map(call("mul", arg(0), silu), y, input("z", NaN));

/** What differs between families: the operands of a case, by the family's names, and its sizes. */
interface Plan {
  readonly family: Recurrence;
  readonly sizes: RecurrenceSizes;
  readonly values: Readonly<Record<string, Constant>>;
  readonly params: Readonly<Record<string, Constant>>;
  readonly around?: Around;
  /** From the golden state to `[B][N][H P]`. */
  readonly state: (golden: Constant) => Constant;
  readonly stateNames: readonly [before: string, after: string];
  /** What else is remembered. */
  readonly more?: readonly Memory[];
}

/** Whether a node is a recurrence with a state of `numbers` a sequence. */
const recurrenceOf =
  (numbers: number): Memory["keptBy"] =>
  (node) =>
    node.op === "ssm" && node.form.stage === "selective" && node.form.heads * node.form.width * node.form.state === numbers;

export async function goldenOp(c: OpCase): Promise<GoldenOp> {
  const given: Record<string, Constant> = {};
  for (const name of c.inputs) given[name] = await opTensor(`${c.name}.in.${name}`);
  const out: Record<string, Constant> = {};
  for (const name of c.outputs) out[name] = await opTensor(`${c.name}.out.${name}`);
  const of = (name: string): Constant => given[name] ?? out[name] ?? { shape: [], data: new Float64Array() };
  const plan = planOf(c, given, of);
  const { graph, constants } = recurrenceGraph(plan.family, plan.sizes, plan.around);
  const [before, after] = plan.stateNames;
  const y = c.op === "selective_scan" ? permuted(of("y"), [0, 2, 1]) : flat(of("y"));
  const state = plan.state(of(after)).data;
  return {
    name: c.name,
    op: c.op,
    graph,
    constants: new Map([...constants, ...Object.entries(plan.params).map(([k, v]) => [k, vector(v)] as const)]),
    inputs: new Map(Object.entries(plan.values)),
    y,
    memories: [
      {
        name: after,
        keptBy: recurrenceOf(state.length / (y.shape[0] ?? 1)),
        ...(given[before] === undefined ? {} : { before: plan.state(given[before]).data }),
        after: state,
      },
      ...(plan.more ?? []),
    ],
  };
}

function planOf(c: OpCase, given: Readonly<Record<string, Constant>>, of: (name: string) => Constant): Plan {
  const has = (name: string): boolean => given[name] !== undefined;
  const optional = (name: string): Record<string, Constant> => (has(name) ? { [name]: of(name) } : {});
  const around = (channels: number, step: string, more: Around): Around => ({
    ...more,
    operands: {
      ...more.operands,
      dt: (t, { input, param }) => stepSize(t, input(step, channels), has(`${step}_bias`) ? param(`${step}_bias`, channels) : undefined, c),
    },
  });
  switch (c.op) {
    case "selective_scan": {
      const [, H = 0, N = 0] = [0, ...of("A").shape];
      const B = of("B");
      const fixed = B.shape.length === 2;
      const G = fixed ? H : B.shape.length === 4 ? (B.shape[1] ?? 1) : 1;
      const overL = (x: Constant): Constant => flat(permuted(x, x.shape.length === 4 ? [0, 3, 1, 2] : [0, 2, 1]));
      const both = { B: of("B"), C: of("C") };
      return {
        family: mamba,
        sizes: { H, N, P: 1, G },
        values: {
          u: overL(of("u")),
          delta: overL(of("delta")),
          ...(has("z") ? { z: overL(of("z")) } : {}),
          ...(fixed ? {} : { B: overL(both.B), C: overL(both.C) }),
        },
        params: {
          A_log: mapped(of("A"), (a) => Math.log(-a)),
          ...optional("D"),
          ...optional("delta_bias"),
          ...(fixed ? both : {}),
        },
        around: around(H, "delta", {
          without: has("D") ? [] : ["D"],
          constant: fixed ? ["B", "C"] : [],
          ...(has("z") ? { result: (t, y, g) => gated(t, y, { ...g, input: (name) => g.input(name, H) }) } : {}),
        }),
        state: (h) => permuted(h, [0, 2, 1]),
        stateNames: ["h0", "hL"],
      };
    }
    case "ssd": {
      const [, , H = 0, P = 0] = of("x").shape;
      const [, , G = 0, N = 0] = of("B").shape;
      const D = has("D") ? { D: perElement(of("D"), P) } : {};
      return {
        family: ssd,
        sizes: { H, N, P, G },
        values: {
          x: flat(of("x")),
          dt: flat(of("dt")),
          B: flat(of("B")),
          C: flat(of("C")),
          ...(has("z") ? { z: flat(of("z")) } : {}),
        },
        params: { A_log: mapped(of("A"), (a) => Math.log(-a)), ...D, ...optional("dt_bias") },
        around: around(H, "dt", {
          without: has("D") ? [] : ["D"],
          ...(has("z") ? { result: (t, y, g) => gated(t, y, { ...g, input: (name) => g.input(name, H * P) }) } : {}),
        }),
        state: (h) => permuted(h, [0, 3, 1, 2]),
        stateNames: ["h0", "hL"],
      };
    }
    case "linattn":
    case "gated_delta": {
      const [, , H = 0, N = 0] = of("k").shape;
      const P = of("v").shape[3] ?? 0;
      const sizes = { H, N, P, G: H };
      const common = { sizes, state: (S: Constant) => permuted(S, [0, 2, 1, 3]), stateNames: ["S0", "S"] as const };
      const query = c.name.startsWith("rwkv") ? "r" : "q";
      const q = { [query]: flat(of("q")), k: flat(of("k")), v: flat(of("v")) };
      const scaled: Around = { result: (t, y) => t.scale(y, Number(c.opts["scale"])) };
      if (c.op === "gated_delta")
        return {
          ...common,
          family: gatedDelta,
          values: { ...q, beta_logit: flat(of("beta_logit")), ...(has("g") ? { g: flat(of("g")) } : {}) },
          params: {},
          around: {
            ...scaled,
            without: has("g") ? [] : ["g"],
            operands: { beta: (t, { input }) => t.apply("sigmoid", input("beta_logit", H)) },
          },
        };
      if (has("u"))
        return { ...common, family: rwkv6, values: { ...q, log_decay: flat(of("logw")) }, params: { u: of("u") }, around: scaled };
      if (has("rate"))
        return {
          ...common,
          family: rwkv7,
          values: { ...q, log_decay: flat(of("logw")), kappa: flat(of("kappa_hat")), rate: flat(of("rate")) },
          params: {},
          around: scaled,
        };
      return of("logw").shape.length === 1
        ? { ...common, family: retention, values: q, params: { log_decay: of("logw") }, around: scaled }
        : { ...common, family: gla, values: { ...q, log_decay: flat(of("logw")) }, params: {}, around: scaled };
    }
    case "rglru": {
      const H = of("x").shape[2] ?? 0;
      return {
        family: rgLru,
        sizes: { H, N: 1, P: 1, G: 1 },
        values: { x: of("x"), r: of("r"), i: of("i") },
        params: { lambda: of("lam") },
        state: (h) => h,
        stateNames: ["h0", "h"],
      };
    }
    case "mlstm": {
      const [, , H = 0, N = 0] = of("k").shape;
      const P = of("v").shape[3] ?? 0;
      return {
        family: mlstm,
        sizes: { H, N, P, G: H },
        values: {
          q: mapped(flat(of("q")), (x) => x * Number(c.opts["scale"])),
          k: flat(of("k")),
          v: flat(of("v")),
          i: flat(of("i_logit")),
          f: flat(of("f_logit")),
        },
        params: {},
        state: (S) => permuted(S, [0, 2, 1, 3]),
        stateNames: ["C0", "C"],
        more: [
          { name: "n", keptBy: recurrenceOf(H * N), after: permuted(of("n"), [0, 2, 1]).data },
          { name: "m", keptBy: ({ op }) => op === "cumulate", after: of("m").data },
        ],
      };
    }
    default:
      throw new Error(`no family for ${c.op}`);
  }
}

/** D of every head, or of every element, as one of every channel. */
const perElement = ({ shape, data }: Constant, P: number): Constant =>
  shape.length === 2
    ? { shape, data }
    : { shape: [data.length * P], data: Float64Array.from({ length: data.length * P }, (_, i) => data[Math.floor(i / P)] ?? NaN) };

/** softplus(dt + bias), within the limits of the case. */
function stepSize(t: Parameters<NonNullable<Around["result"]>>[0], dt: number, bias: number | undefined, { opts }: OpCase): number {
  const sum = bias === undefined ? dt : t.add(dt, bias);
  const positive = opts["delta_softplus"] === true || opts["dt_softplus"] === true ? t.apply("softplus", sum) : sum;
  const [low, high] = (opts["dt_limit"] ?? [0, null]) as readonly [number, number | null];
  const above = low > 0 ? t.map(call("max", arg(0), constant(low)), positive) : positive;
  return high === null ? above : t.map(call("min", arg(0), constant(high)), above);
}
