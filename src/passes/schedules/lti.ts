/**
 * What every schedule of a time-invariant state space model shares: its float32 tables, made in float64 at load, and its
 * convolution kernel, made on the device as their product.
 *
 * With S real state components, `K[jT + i] = sum_m left[m, i] right[j, m]`, left = C Abar^i, right = Abar^(jT) Bbar;
 * for complex states the components are real and imaginary parts and left carries (re, -im). K[0] also carries d.
 */
import { bug } from "../../ir/error.ts";
import { ownArity, type SsmNode, type Structure, type ValueId } from "../../ir/graph.ts";
import { add, div, eq, f32, fma, group, kernelBuilder, lane, lt, mod, mul, select } from "./kit.ts";
import { channelsOf, groupsOf, type LowerContext, type ValueRef } from "./schedule.ts";

export interface Lti {
  readonly structure: Structure;
  readonly channels: number;
  /** Stored states per channel: complex ones unless the system is dense. */
  readonly states: number;
  /** Of a DPLR system; 0 otherwise. */
  readonly rank: number;
  /** Real state components per channel. */
  readonly components: number;
  /** 1 where each channel has its own system, 0 where all share one. */
  readonly headStride: 0 | 1;
  /** Length of one block of the tables, and how many blocks cover the longest sequence. */
  readonly block: number;
  readonly blocks: number;
  /** `[G S block]` and `[G blocks S]`. */
  readonly left: number;
  readonly right: number;
  /** What a recurrence step reads: see the makers in `runtime/tables.ts`. */
  readonly recurrence: number;
  /** `[G block S]` of Abar^i Bbar and `[G S S]` of Abar^block, columns outermost; absent for a diagonal system. */
  readonly jumps: { readonly inputs: number; readonly jump: number } | undefined;
  /** `[G]` */
  readonly skip: number;
  readonly u: ValueRef;
}

/** The operands that the table maker of a structure reads, in order, and the size of its recurrence table for one head. */
const makers: Readonly<Record<Structure, { readonly roles: readonly string[]; readonly recurrence: (n: number, rank: number) => number }>> =
  {
    diagonal: { roles: ["abar", "gain"], recurrence: (n) => 6 * n },
    dense: { roles: ["abar", "bbar", "c"], recurrence: (n) => n * (2 * n + 2) },
    dplr: { roles: ["abar", "p", "q", "bbar", "c"], recurrence: (n, rank) => (8 + 4 * rank) * n },
  };

function constantName(node: SsmNode, index: number, context: LowerContext): string {
  const param = context.graph.nodes[node.args[index] ?? -1];
  return param?.op === "param" ? param.name : bug("a discrete ssm's operands are no constants");
}

/** The discrete system of a node, with its tables requested. */
export function ltiOf(node: SsmNode, context: LowerContext): Lti {
  const { form } = node;
  if (form.stage !== "discrete") bug("lowering an ssm that is not discrete");
  const channels = channelsOf(node.type);
  const shapeOf = (index: number): readonly number[] =>
    context.constants.get(constantName(node, index, context))?.shape ?? bug("no constant");
  const heads = shapeOf(1)[0] ?? bug("no heads");
  const rank = form.structure === "dplr" ? (shapeOf(2)[1] ?? bug("no rank")) : 0;
  const components = form.structure === "dense" ? form.state : 2 * form.state;
  const longest = 2 ** Math.ceil(Math.log2(Math.max(context.maxLength, 1)));
  const block = Math.max(64, 2 ** Math.ceil(Math.log2(longest) / 2));
  const blocks = Math.ceil(longest / block);
  const { roles, recurrence } = makers[form.structure];
  const tables = context.table({
    maker: form.structure,
    tensors: Object.fromEntries(roles.map((role, i) => [role, constantName(node, i + 1, context)])),
    options: { block, blocks },
    sizes: {
      left: heads * components * block,
      right: heads * components * blocks,
      recurrence: heads * recurrence(form.state, rank),
      ...(form.structure === "diagonal" ? {} : { inputs: heads * components * block, jump: heads * components * components }),
    },
  });
  const table = (role: string): number => tables[role] ?? bug(`no table ${role}`);
  return {
    structure: form.structure,
    channels,
    states: form.state,
    rank,
    components,
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

/** The convolution kernel `[H M]`, K[0] with the skip d. */
export function convolutionKernel(id: ValueId, lti: Lti, context: LowerContext): number {
  return context.prepared(`kernel:${id}`, `${lti.channels}*d.M`, (buffer, emit) => {
    const k = kernelBuilder("ssm_kernel", 64);
    const [left, right, skip, out] = [k.bind(lti.left), k.bind(lti.right), k.bind(lti.skip), k.bind(buffer, "read_write")];
    const l = k.let("l", add(mul(group(0), 64), lane));
    const h = k.let("h", group(1));
    const head = k.let("head", mul(h, lti.headStride));
    const points = { op: "dim", type: "u32", name: "M" } as const;
    k.if(lt(l, points), () => {
      const i = k.let("i", mod(l, lti.block));
      const j = k.let("j", div(l, lti.block));
      const sum = k.var("sum", select(eq(l, 0), k.load(skip, head), f32(0)));
      const leftBase = k.let("left_base", add(mul(head, lti.components * lti.block), i));
      const rightBase = k.let("right_base", mul(add(mul(head, lti.blocks), j), lti.components));
      k.for("m", 0, lti.components, (m) =>
        k.assign(sum, fma(k.load(left, add(leftBase, mul(m, lti.block))), k.load(right, add(rightBase, m)), sum)),
      );
      k.store(out, add(mul(h, points), l), sum);
    });
    const heads = lti.headStride === 1 ? lti.channels : 1;
    const tables = `${4 * heads}*(${lti.components}*(Math.min(${lti.block},d.M)+Math.ceil(d.M/${lti.block}))+1)`;
    emit({
      built: k.finish(),
      grid: [groupsOf("d.M", 64), lti.channels, 1],
      cost: {
        flops: `${2 * lti.components * lti.channels}*d.M`,
        bytes: `${4 * lti.channels}*(d.M+(${lti.components}*(Math.min(64,d.M)+1)+1)*Math.ceil(d.M/64))`,
        minimum: `${4 * lti.channels}*d.M+${tables}`,
        serial: lti.components,
      },
    });
  });
}

/** State components of all channels, `[B][S][H]`. */
export const stateOf = (id: ValueId, lti: Lti, context: LowerContext): number => context.state(id, `d.B*${lti.components * lti.channels}`);
