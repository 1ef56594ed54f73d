/**
 * What every schedule of a time-invariant state space model shares: its float32 tables, made in float64 at load, and its
 * convolution kernel, made on the device as their product.
 *
 * With S real state components, `K[jT + i] = sum_m left[m, i] right[j, m]`, left = C Abar^i, right = Abar^(jT) Bbar;
 * for complex states the components are real and imaginary parts and left carries (re, -im). K[0] also carries d.
 */
import { bug } from "../../ir/error.ts";
import { type Constant, ownArity, type SsmNode, type Structure, type ValueId } from "../../ir/graph.ts";
import {
  add,
  component,
  dim,
  div,
  eq,
  f32,
  fma,
  group,
  kernelBuilder,
  type KernelBuilder,
  type KExpr,
  lane,
  lt,
  min,
  mod,
  mul,
  select,
  sub,
} from "./kit.ts";
import { channelsOf, type LowerContext, type ValueRef } from "./schedule.ts";

export interface Lti {
  readonly structure: Structure;
  /** Of the input: as many states, or rows of states. */
  readonly channels: number;
  /** Numbers read from each state: channel h's are those from h P on. */
  readonly outputs: number;
  /** Stored states per channel: complex ones unless the system is dense. */
  readonly states: number;
  /** Of a DPLR system; 0 otherwise. */
  readonly rank: number;
  /** Real state components per channel. */
  readonly components: number;
  /** Whether states are kept with what rounding leaves out of them. */
  readonly compensated: boolean;
  /** Floats a channel's state takes: its components, twice where it is compensated. */
  readonly kept: number;
  /** 1 where each channel has its own system, 0 where all share one. */
  readonly headStride: 0 | 1;
  /** Length of one block of the tables, and how many blocks cover the longest sequence. */
  readonly block: number;
  readonly blocks: number;
  /** `[G P S block]` and `[G blocks S]`. */
  readonly left: number;
  readonly right: number;
  /** What a recurrence step reads: see the makers in `runtime/tables.ts`. */
  readonly recurrence: number;
  /** `[G block S]` of Abar^i Bbar and `[G S S]` of Abar^block, columns outermost; absent for a diagonal system. */
  readonly jumps: { readonly inputs: number; readonly jump: number } | undefined;
  /** `[G P]` */
  readonly skip: number;
  readonly u: ValueRef;
}

/** The operands that the table maker of a structure reads, in order, and the size of its recurrence table for one head. */
const makers: Readonly<
  Record<Structure, { readonly roles: readonly string[]; readonly recurrence: (n: number, rank: number, outputs: number) => number }>
> = {
  diagonal: { roles: ["abar", "gain"], recurrence: (n) => 6 * n },
  dense: { roles: ["abar", "bbar", "c"], recurrence: (n, _, outputs) => n * (2 * n + 1 + outputs) },
  dplr: { roles: ["abar", "p", "q", "bbar", "c"], recurrence: (n, rank, outputs) => (6 + 4 * rank + 2 * outputs) * n },
};

function constantName(node: SsmNode, index: number, context: LowerContext): string {
  const param = context.graph.nodes[node.args[index] ?? -1];
  return param?.op === "param" ? param.name : bug("a discrete ssm's operands are no constants");
}

/** Steps a pole must remember (lose a factor e in) for its state to be kept in two floats: so many roundings are too many. */
const longMemory = 1000;

/** Whether a pole of a diagonal part remembers for long. */
function isSlow({ data }: Constant): boolean {
  for (let i = 0; i < data.length; i += 2) if (Math.hypot(data[i] ?? 0, data[i + 1] ?? 0) > 1 - 1 / longMemory) return true;
  return false;
}

/** The discrete system of a node, with its tables requested. */
export function ltiOf(node: SsmNode, context: LowerContext): Lti {
  const { form } = node;
  if (form.stage !== "discrete") bug("lowering an ssm that is not discrete");
  const outputs = form.outputs ?? 1;
  const channels = channelsOf(node.type) / outputs;
  const operand = (index: number): Constant => context.constants.get(constantName(node, index, context)) ?? bug("no constant");
  const shapeOf = (index: number): readonly number[] => operand(index).shape;
  const heads = shapeOf(1)[0] ?? bug("no heads");
  const rank = form.structure === "dplr" ? (shapeOf(2)[1] ?? bug("no rank")) : 0;
  const components = form.structure === "dense" ? form.state : 2 * form.state;
  const compensated = form.structure !== "dense" && isSlow(operand(1));
  const longest = 2 ** Math.ceil(Math.log2(Math.max(context.maxLength, 1)));
  const block = Math.max(64, 2 ** Math.ceil(Math.log2(longest) / 2));
  const blocks = Math.ceil(longest / block);
  const { roles, recurrence } = makers[form.structure];
  const tables = context.table({
    maker: form.structure,
    tensors: Object.fromEntries(roles.map((role, i) => [role, constantName(node, i + 1, context)])),
    options: { block, blocks },
    sizes: {
      left: heads * outputs * components * block,
      right: heads * components * blocks,
      recurrence: heads * recurrence(form.state, rank, outputs),
      ...(form.structure === "diagonal" ? {} : { inputs: heads * components * block, jump: heads * components * components }),
    },
  });
  const table = (role: string): number => tables[role] ?? bug(`no table ${role}`);
  return {
    structure: form.structure,
    channels,
    outputs,
    states: form.state,
    rank,
    components,
    compensated,
    kept: compensated ? 2 * components : components,
    headStride: heads === 1 && channels > 1 ? 0 : 1,
    block,
    blocks,
    left: table("left"),
    right: table("right"),
    recurrence: table("recurrence"),
    jumps: form.structure === "diagonal" ? undefined : { inputs: table("inputs"), jump: table("jump") },
    skip: context.weight(constantName(node, ownArity(node) - 1, context)),
    u: context.value(node.args[0] ?? bug("ssm without input")),
  };
}

/** Rows of the product that one lane computes: as many blocks, of four neighbouring samples each. */
const rowsPerLane = 4;
const lanes = 64;

/** The stored system of an output channel, and the row of its output among those of all stored systems. */
export function outputOf(k: KernelBuilder, lti: Lti, channel: KExpr): { readonly head: KExpr; readonly row: KExpr } {
  const head = k.let("head", mul(div(channel, lti.outputs), lti.headStride));
  return { head, row: lti.outputs === 1 ? head : k.let("output", add(mul(head, lti.outputs), mod(channel, lti.outputs))) };
}

/** The convolution kernel `[H P M]`, K[0] with the skip d. A lane makes four neighbours of four blocks: sixteen products for five loads. */
export function convolutionKernel(id: ValueId, lti: Lti, context: LowerContext): number {
  const { components, block } = lti;
  const channels = lti.channels * lti.outputs;
  return context.prepared(`kernel:${id}`, `${channels}*d.M`, (buffer, emit) => {
    const k = kernelBuilder("ssm_kernel", lanes);
    const [left, right, skip, out] = [k.bind(lti.left, "read", "vec4f"), k.bind(lti.right), k.bind(lti.skip), k.bind(buffer, "read_write")];
    const quads = block / 4;
    const place = k.let("place", add(mul(group(0), lanes), lane));
    const h = k.let("h", group(1));
    const { head, row: output } = outputOf(k, lti, h);
    const points = dim("M");
    const quad = k.let("quad", mod(place, quads));
    const firstRow = k.let("first_row", mul(div(place, quads), rowsPerLane));
    const first = k.let("first", add(mul(firstRow, block), mul(quad, 4)));
    k.if(lt(first, points), () => {
      const last = k.let("last_row", div(sub(points, 1), block));
      const each = Array.from({ length: rowsPerLane }, (_, r) => r);
      const rows = each.map((r) => k.let(`row${r}`, mul(add(mul(head, lti.blocks), min(add(firstRow, r), last)), components)));
      const sums = each.map((r) => k.var(`sum${r}`, { op: "lit", type: "vec4f", value: 0 }));
      const base = k.let("left_base", add(mul(output, components * quads), quad));
      k.for("m", 0, components, (m) => {
        const four = k.let("four", k.load(left, add(base, mul(m, quads))));
        rows.forEach((row, r) => {
          const sum = sums[r] ?? bug("no row");
          k.assign(sum, fma(four, k.load(right, add(row, m)), sum));
        });
      });
      const direct = k.let("direct", select(eq(first, 0), k.load(skip, output), f32(0)));
      sums.forEach((sum, r) =>
        [0, 1, 2, 3].forEach((c) => {
          const value = component(sum, c);
          const l = k.let("l", add(first, r * block + c));
          k.if(lt(l, points), () => k.store(out, add(mul(h, points), l), r === 0 && c === 0 ? add(value, direct) : value));
        }),
      );
    });
    emitKernelCost(k, lti, emit);
  });
}

function emitKernelCost(k: KernelBuilder, lti: Lti, emit: LowerContext["emit"]): void {
  const { components, block, headStride, outputs } = lti;
  const channels = lti.channels * outputs;
  const used = `Math.ceil(d.M/${block})`;
  const samples = `Math.min(${block},4*Math.ceil(d.M/4))`;
  const groups = `Math.ceil(${block / 4}*Math.ceil(${used}/${rowsPerLane})/${lanes})`;
  const perGroup = `${components}*(Math.min(${4 * lanes},${samples})+Math.min(${used},${Math.max(rowsPerLane, (4 * lanes * rowsPerLane) / block)}))+1`;
  const tables = `${4 * (headStride === 1 ? lti.channels : 1)}*(${components}*(${outputs}*${samples}+${used})+${outputs})`;
  emit({
    built: k.finish(),
    grid: [groups, channels, 1],
    cost: {
      flops: `${2 * components * channels * rowsPerLane}*Math.ceil(${used}/${rowsPerLane})*${samples}`,
      bytes: `${4 * channels}*(d.M+(${perGroup})*${groups})`,
      minimum: `${4 * channels}*d.M+${tables}`,
      serial: components,
    },
  });
}

/** State components of all channels, `[B][S][H]`; where it is compensated, what is lost of each follows in the same order. */
export const stateOf = (id: ValueId, lti: Lti, context: LowerContext): number => context.state(id, `d.B*${lti.kept * lti.channels}`);
