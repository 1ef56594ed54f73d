/** Reads the constant operands of ssm nodes and names the constants that replace them; shared by structure and discretize. */
import { bug, CompileError, type Loc } from "../ir/error.ts";
import type { Constant, Graph, Node, ValueId } from "../ir/graph.ts";
import { interpret } from "../ir/interpret.ts";
import type { Module } from "./pass.ts";

/** The nodes that `id` is computed from, itself last, in order. */
function ancestors(nodes: readonly Node[], id: ValueId): readonly ValueId[] {
  const found = new Set<ValueId>([id]);
  for (let i = id; i >= 0; i--) if (found.has(i)) for (const a of nodes[i]?.args ?? []) found.add(a);
  return [...found].sort((a, b) => a - b);
}

/**
 * The value of a node that depends on parameters only.
 * Throws: CompileError `ssm-operand` where it depends on an input.
 */
export function constantValue(nodes: readonly Node[], constants: Module["constants"], id: ValueId, loc: Loc | undefined): Constant {
  const own = ancestors(nodes, id);
  const place = new Map(own.map((old, i) => [old, i]));
  const copied = own.map((old): Node => {
    const node = nodes[old] ?? bug(`no value %${old}`);
    if (node.op === "input")
      throw new CompileError({
        code: "ssm-operand",
        message: `a parameter of a state space model depends on input ${node.name}`,
        fix: "this family is time-invariant: compute its parameters from parameters only",
        loc,
      });
    return { ...node, args: node.args.map((a) => place.get(a) ?? bug(`%${a} is no ancestor`)) };
  });
  const graph: Graph = { name: "operand", nodes: copied, outputs: [{ name: "value", value: copied.length - 1 }] };
  return interpret(graph, constants, new Map()).outputs.get("value") ?? bug("no value");
}

/** Emits constants as `param` nodes that the rewritten nodes read. */
export interface ConstantWriter {
  /** A new parameter `<prefix>:<role>`; where that is taken by another node's, `<prefix>#2:<role>`, and so on. */
  readonly write: (prefix: string, parts: readonly NewConstant[], emit: (node: Node) => ValueId) => readonly ValueId[];
}

/** A constant to be: its role in the node, and the names of its dims, outermost first. */
export interface NewConstant {
  readonly role: string;
  readonly dims: readonly string[];
  readonly value: Constant;
}

/** Whether `write` made this name. */
export const isSystemConstant = (name: string): boolean => /:\w+$/.test(name);

/** Writes into `constants`. */
export function constantWriter(constants: Map<string, Constant>): ConstantWriter {
  return {
    write: (prefix, parts, emit) => {
      const free = (candidate: string): boolean => parts.every(({ role }) => !constants.has(`${candidate}:${role}`));
      let name = prefix;
      for (let k = 2; !free(name); k++) name = `${prefix}#${k}`;
      return parts.map(({ role, dims, value }) => {
        constants.set(`${name}:${role}`, value);
        const sizes = dims.map((dim, i) => ({ name: dim, size: value.shape[i] ?? bug(`${role} has ${value.shape.length} dims`) }));
        return emit({ op: "param", name: `${name}:${role}`, type: { dtype: "f32", dims: sizes }, args: [] });
      });
    },
  };
}

/** The names of the parameters that values are computed from. */
export function paramNames(nodes: readonly Node[], ids: readonly ValueId[]): readonly string[] {
  const names = ids.flatMap((id) => ancestors(nodes, id).map((a) => nodes[a]));
  return names.flatMap((node) => (node?.op === "param" ? [node.name] : []));
}

/** `s4_layers.0` of `s4_layers.0.kernel.C` and `s4_layers.0.D`; `fallback` where they share nothing. */
export function commonPrefix(names: readonly string[], fallback: string): string {
  const paths = names.map((name) => name.split(".").slice(0, -1));
  const [first = []] = paths;
  let shared = first.length;
  for (const path of paths) {
    let k = 0;
    while (k < shared && path[k] === first[k]) k++;
    shared = k;
  }
  return first.slice(0, shared).join(".") || fallback;
}
