/** The pass `init`: numbers for every parameter without weights. What a family's parameters start from is in its file. */
import { bug, CompileError } from "../ir/error.ts";
import type { Constant, Init, NodeOf } from "../ir/graph.ts";
import { logUniform, random, type Random } from "../math/random.ts";
import { familyNamed } from "../ssm/families.ts";
import type { Module, Pass, PassContext } from "./pass.ts";

/** `param` without values -> `param` with values drawn from its initializer, the same for the same seed and name. */
export const init: Pass = {
  name: "init",
  doc: "Gives every parameter without weights the values of its initializer, seeded by the parameter's name.",
  needs: [],
  ensures: ["initialized"],
  run: (module, context) => {
    const constants = new Map(module.constants);
    const made: string[] = [];
    for (const node of module.graph.nodes) {
      if (node.op !== "param" || constants.has(node.name)) continue;
      constants.set(node.name, initialValues(node, context));
      if (node.fixed !== true) made.push(node.name);
    }
    if (made.length > 0) context.note(`${made.length} parameters without weights were initialized with seed ${context.seed}`);
    return { graph: module.graph, constants } satisfies Module;
  },
};

function initialValues(node: NodeOf<"param">, { seed }: PassContext): Constant {
  if (node.init === undefined)
    throw new CompileError({
      code: "param-without-values",
      message: `parameter ${node.name} has neither weights nor an initializer`,
      fix: "give weights that contain it, or an initializer where it is declared",
      loc: node.loc,
    });
  const shape = node.type.dims.map((d) => (typeof d.size === "number" ? d.size : bug(`parameter ${node.name} has a dim of unknown size`)));
  const count = shape.reduce((a, b) => a * b, 1);
  return { shape, data: draw(node, node.init, shape, count, random(seed, node.name)) };
}

function draw(node: NodeOf<"param">, from: Init, shape: readonly number[], count: number, generator: Random): Float64Array {
  const each = (f: () => number): Float64Array => Float64Array.from({ length: count }, f);
  switch (from.kind) {
    case "constant":
      return new Float64Array(count).fill(from.value);
    case "values":
      if (from.values.length === count) return Float64Array.from(from.values);
      throw new CompileError({
        code: "init-count",
        message: `parameter ${node.name} [${shape.join(" ")}] has ${count} elements, its initializer ${from.values.length}`,
        fix: "give one value for every element, row by row",
        loc: node.loc,
      });
    case "uniform":
      return each(() => from.low + (from.high - from.low) * generator.uniform());
    case "normal":
      return each(() => from.mean + from.std * generator.normal());
    case "logUniform": {
      const next = logUniform(generator, from.low, from.high);
      return each(() => Math.exp(next()));
    }
    case "ramp":
      return Float64Array.from({ length: count }, (_, i) => from.low + (count === 1 ? 0 : (i / (count - 1)) * (from.high - from.low)));
    case "family":
      return familyNamed(from.family, node.loc).initialize(from.param, shape, from.options, generator, node.loc);
  }
}
