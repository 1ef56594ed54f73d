/** The pass `discretize`: continuous state space models become discrete ones. The rules are in `src/ssm/discretizations/`. */
import { bug } from "../ir/error.ts";
import { type Node, ownArity, type SsmForm, type SsmNode, type Structure, type ValueId } from "../ir/graph.ts";
import type { DiscreteSystem } from "../ir/interpret.ts";
import { dropDead, rebuild } from "../ir/rewrite.ts";
import { keepsStability } from "../ssm/discretization.ts";
import { discretizationNamed } from "../ssm/discretizations.ts";
import { discretizeSystem } from "../ssm/discretize.ts";
import { continuousSystem } from "../ssm/evaluate.ts";
import { growth, unstablePoles } from "../ssm/poles.ts";
import { constantValue, type ConstantWriter, constantWriter, type NewConstant, paramNames } from "./operands.ts";
import type { Module, Pass, PassContext } from "./pass.ts";

/** `ssm` continuous of A, B, C, D, delta -> `ssm` discrete of abar, gain, d (diagonal), abar, bbar, c, d (dense), or abar, p, q, bbar, c, d (dplr). */
export const discretize: Pass = {
  name: "discretize",
  doc: "Turns A, B, C, D and step size into the discrete system, B and C of a diagonal one folded into its gain.",
  needs: ["structured"],
  ensures: ["discretized"],
  run: ({ graph, constants }, context) => {
    const values = new Map(constants);
    const writer = constantWriter(values);
    const done = new Map<string, Discrete>();
    const next = rebuild(graph, (node, emit, nodes) => {
      if (node.op !== "ssm" || node.form.stage !== "continuous") return emit(node);
      const own = node.args.slice(1, ownArity(node));
      const key = JSON.stringify([node.form, own]);
      const known =
        done.get(key) ?? discreteOperands(node.form, discreteSystem(node, own, nodes, values, context), prefixOf(nodes, own), writer, emit);
      done.set(key, known);
      return emit({
        ...node,
        form: known.form,
        args: [node.args[0] ?? bug("an ssm has an input"), ...known.operands, ...node.args.slice(ownArity(node))],
      });
    });
    return { graph: dropDead(next), constants: values };
  },
};

/** `s4_layers.0` of `s4_layers.0:A`. */
function prefixOf(nodes: readonly Node[], own: readonly ValueId[]): string {
  const [name] = paramNames(nodes, own);
  return name?.split(":")[0] ?? `ssm${nodes.length}`;
}

/** A discrete form and the constants it reads. */
interface Discrete {
  readonly form: SsmForm;
  readonly operands: readonly ValueId[];
}

/** A rule may change the structure: zero-order hold makes normal plus low rank dense. */
function discreteOperands(
  { outputs }: Extract<SsmForm, { stage: "continuous" }>,
  system: DiscreteSystem,
  prefix: string,
  writer: ConstantWriter,
  emit: (node: Node) => ValueId,
): Discrete {
  const state = system.abar.shape[1] ?? bug("abar has no states");
  return {
    form: { stage: "discrete", structure: system.structure, state, ...(outputs === undefined ? {} : { outputs }) },
    operands: writer.write(prefix, constantsOf(system), emit),
  };
}

function discreteSystem(
  node: SsmNode,
  own: readonly ValueId[],
  nodes: readonly Node[],
  values: Module["constants"],
  { warn }: PassContext,
): DiscreteSystem {
  if (node.form.stage !== "continuous") return bug("the node is not continuous");
  const continuous = continuousSystem(
    node.form,
    own.map((id) => constantValue(nodes, values, id, node.loc)),
  );
  const rule = discretizationNamed(node.form.discretization, node.loc);
  const system = discretizeSystem(continuous, rule, node.loc);
  const grown = keepsStability(rule) || unstablePoles(continuous).length > 0 ? undefined : growth(system);
  if (grown !== undefined)
    warn(
      `${prefixOf(nodes, own)}: ${rule.name} makes a stable pole unstable (|abar| = ${grown.toPrecision(6)}): take a smaller step size, or zoh or bilinear`,
    );
  return system;
}

function constantsOf(system: DiscreteSystem): readonly NewConstant[] {
  const { structure: _, ...values } = system;
  const dims = dimsOf[system.structure];
  return Object.entries(values).map(([role, value]) => {
    const [first, ...others] = dims[role] ?? bug(`no dims of ${role}`);
    // Several outputs are a dim of c and d.
    return { role, dims: [first ?? bug("no dims"), ...(value.shape.length > 1 + others.length ? ["P"] : []), ...others], value };
  });
}

const dimsOf: Readonly<Record<Structure, Readonly<Record<string, readonly string[]>>>> = {
  diagonal: { abar: ["H", "N", "c"], gain: ["H", "N", "c"], d: ["H"] },
  dense: { abar: ["G", "N", "N2"], bbar: ["G", "N"], c: ["G", "N"], d: ["G"] },
  dplr: {
    abar: ["H", "N", "c"],
    p: ["H", "R", "N", "c"],
    q: ["H", "R", "N", "c"],
    bbar: ["H", "N", "c"],
    c: ["H", "N", "c"],
    d: ["H"],
  },
};
