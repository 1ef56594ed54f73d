/** What each `Property` of a module means, as a check. */
import { ownArity, type Node } from "../ir/graph.ts";
import { formatLoc } from "../ir/error.ts";
import { nodeAt } from "../ir/rewrite.ts";
import { canFuse } from "./fuse.ts";
import type { Module, Property } from "./pass.ts";

/** What is missing for a property to hold, in words; undefined where it holds. */
type Check = (module: Module) => string | undefined;

/** One check a property. */
export const properties: { readonly [P in Property]: Check } = {
  /** Every parameter has its values. */
  initialized: ({ graph, constants }) =>
    firstFault(graph.nodes, (node) => {
      if (node.op !== "param") return undefined;
      const value = constants.get(node.name);
      if (value === undefined) return `${node.name} has no values`;
      const shape = node.type.dims.map((d) => d.size).join(" ");
      const count = value.shape.reduce((a, b) => a * b, 1);
      return value.shape.join(" ") === shape && value.data.length === count
        ? undefined
        : `${node.name} is [${shape}], its ${value.data.length} values [${value.shape.join(" ")}]`;
    }),
  /** Every state space model is A, B, C, D and a step size, its family forgotten. */
  structured: ({ graph }) =>
    firstFault(graph.nodes, (node) =>
      node.op === "ssm" && node.form.stage === "family" ? `${node.form.family} is not structured` : undefined,
    ),
  /** Every state space model is a discrete system: of parameters, of the step's number, or of the input. */
  discretized: ({ graph }) =>
    firstFault(graph.nodes, (node) => {
      if (node.op !== "ssm" || node.form.stage === "scaled" || node.form.stage === "selective") return undefined;
      if (node.form.stage !== "discrete") return `an ssm is at stage ${node.form.stage}`;
      return node.args.slice(1, ownArity(node)).every((a) => nodeAt(graph, a).op === "param")
        ? undefined
        : "the system of an ssm is not made of parameters";
    }),
  /** No pointwise node is left that another op could compute on its way. */
  fused: ({ graph }) => (canFuse(graph) ? "a pointwise node can still be fused" : undefined),
};

function firstFault(nodes: readonly Node[], check: (node: Node) => string | undefined): string | undefined {
  for (const [id, node] of nodes.entries()) {
    const fault = check(node);
    if (fault !== undefined) return `%${id}: ${fault} ${formatLoc(node.loc)}`.trim();
  }
  return undefined;
}
