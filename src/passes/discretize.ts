/** The pass `discretize`: continuous state space models become discrete ones. The rules are in `src/ssm/discretizations/`. */
import { bug } from "../ir/error.ts";
import type { Node, SsmForm, SsmNode, ValueId } from "../ir/graph.ts";
import type { DiscreteSystem } from "../ir/interpret.ts";
import { dropDead, rebuild } from "../ir/rewrite.ts";
import { discretizationNamed } from "../ssm/discretizations.ts";
import { discretizeSystem } from "../ssm/discretize.ts";
import { continuousSystem } from "../ssm/evaluate.ts";
import { growth, unstablePoles } from "../ssm/poles.ts";
import { constantValue, constantWriter, type NewConstant, paramNames } from "./operands.ts";
import type { Module, Pass, PassContext } from "./pass.ts";

/** `ssm` continuous of A, B, C, D, delta -> `ssm` discrete of abar, gain, d (diagonal) or abar, bbar, c, d (dense). */
export const discretize: Pass = {
  name: "discretize",
  doc: "Turns A, B, C, D and step size into the discrete system, B and C of a diagonal one folded into its gain.",
  needs: ["structured"],
  ensures: ["discretized"],
  run: ({ graph, constants }, context) => {
    const values = new Map(constants);
    const writer = constantWriter(values);
    const done = new Map<string, readonly ValueId[]>();
    const next = rebuild(graph, (node, emit, nodes) => {
      if (node.op !== "ssm" || node.form.stage !== "continuous") return emit(node);
      const own = node.args.slice(1, 6);
      const key = JSON.stringify([node.form, own]);
      const operands = done.get(key) ?? writer.write(prefixOf(nodes, own), discreteConstants(node, own, nodes, values, context), emit);
      done.set(key, operands);
      const form: SsmForm = { stage: "discrete", structure: node.form.structure, state: node.form.state };
      return emit({ ...node, form, args: [node.args[0] ?? bug("an ssm has an input"), ...operands, ...node.args.slice(6)] });
    });
    return { graph: dropDead(next), constants: values };
  },
};

/** `s4_layers.0` of `s4_layers.0:A`. */
function prefixOf(nodes: readonly Node[], own: readonly ValueId[]): string {
  const [name] = paramNames(nodes, own);
  return name?.split(":")[0] ?? `ssm${nodes.length}`;
}

function discreteConstants(
  node: SsmNode,
  own: readonly ValueId[],
  nodes: readonly Node[],
  values: Module["constants"],
  { warn }: PassContext,
): readonly NewConstant[] {
  if (node.form.stage !== "continuous") return bug("the node is not continuous");
  const continuous = continuousSystem(
    node.form,
    own.map((id) => constantValue(nodes, values, id, node.loc)),
  );
  const rule = discretizationNamed(node.form.discretization, node.loc);
  const system = discretizeSystem(continuous, rule, node.loc);
  const grown = unstablePoles(continuous).length > 0 ? undefined : growth(system);
  if (grown !== undefined)
    warn(
      `${prefixOf(nodes, own)}: ${rule.name} makes a stable pole unstable (|abar| = ${grown.toPrecision(6)}): take a smaller step size, or zoh or bilinear`,
    );
  return constantsOf(system);
}

function constantsOf(system: DiscreteSystem): readonly NewConstant[] {
  if (system.structure === "diagonal")
    return [
      { role: "abar", dims: ["H", "N", "c"], value: system.abar },
      { role: "gain", dims: ["H", "N", "c"], value: system.gain },
      { role: "d", dims: ["H"], value: system.d },
    ];
  return [
    { role: "abar", dims: ["G", "N", "N2"], value: system.abar },
    { role: "bbar", dims: ["G", "N"], value: system.bbar },
    { role: "c", dims: ["G", "N"], value: system.c },
    { role: "d", dims: ["G"], value: system.d },
  ];
}
