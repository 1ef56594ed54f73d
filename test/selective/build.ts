/** Selective families as graphs: every operand an input or a parameter of its own name, the result the output `y`. */
import { graphBuilder, type GraphBuilder } from "../../src/ir/build.ts";
import type { Constant, Graph, ValueId } from "../../src/ir/graph.ts";
import { type Recurrence, type RecurrenceSizes, sizeOfDims, termsOf, type Terms } from "../../src/ssm/recurrence.ts";

/** What stands before and after a family's own nodes. */
export interface Around {
  /** Operands to leave out. */
  readonly without?: readonly string[];
  /** Operands that are parameters here, though they may vary in time. */
  readonly constant?: readonly string[];
  /** What an operand is made of instead of being given; other inputs come by name and channels. */
  readonly operands?: Readonly<Record<string, (t: Terms, given: Given) => ValueId>>;
  /** What the output is made of. */
  readonly result?: (t: Terms, y: ValueId, given: Given) => ValueId;
}

/** An input of so many channels, or a parameter. */
export interface Given {
  readonly input: (name: string, channels: number) => ValueId;
  readonly param: (name: string, channels: number) => ValueId;
}

const sequence = (channels: number) => ({
  dtype: "f32" as const,
  dims: [
    { name: "B", size: "B" as const },
    { name: "L", size: "L" as const },
    { name: "H", size: channels },
  ],
});

/** The graph, and the values of its own fixed numbers. */
export function recurrenceGraph(
  family: Recurrence,
  sizes: RecurrenceSizes,
  { without = [], constant = [], operands = {}, result }: Around = {},
): { readonly graph: Graph; readonly constants: ReadonlyMap<string, Constant> } {
  const g: GraphBuilder = graphBuilder(family.name);
  let fresh = 0;
  const t = termsOf(g, (leaf) => `${leaf}${fresh++}`, undefined);
  const known = new Map<string, ValueId>();
  const once = (name: string, make: () => ValueId): ValueId => {
    const id = known.get(name) ?? make();
    known.set(name, id);
    return id;
  };
  const given: Given = {
    input: (name, channels) => once(name, () => g.input(name, sequence(channels))),
    param: (name, channels) => once(name, () => g.param(name, [{ name: "H", size: channels }])),
  };
  const of = (name: string): ValueId => {
    const spec = family.operands[name];
    if (spec === undefined) throw new Error(`${family.name} has no operand ${name}`);
    const made = operands[name];
    if (made !== undefined) return once(name, () => made(t, given));
    const channels = sizeOfDims(spec.dims, sizes);
    return spec.param === true || constant.includes(name) ? given.param(name, channels) : given.input(name, channels);
  };
  const y = family.build(t, { of, has: (name) => !without.includes(name) }, sizes);
  const graph = g.finish([{ name: "y", value: result === undefined ? y : result(t, y, given) }]);
  const constants = new Map<string, Constant>();
  for (const node of graph.nodes)
    if (node.op === "param" && node.init?.kind === "constant") {
      const shape = node.type.dims.map((d) => Number(d.size));
      constants.set(node.name, { shape, data: new Float64Array(shape.reduce((a, b) => a * b, 1)).fill(node.init.value) });
    }
  return { graph, constants };
}
