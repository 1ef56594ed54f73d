/**
 * The pass `quantize`: which weights are stored in fewer bits, and their values then. How numbers are packed is in
 * `weights/packing.ts`.
 */
import type { Constant, Constants, Graph, ParamNode } from "../ir/graph.ts";
import { formats, type Packed, type PackingError, type WeightFormat } from "../ir/packed.ts";
import { pack } from "../weights/packing.ts";
import { isSystemConstant } from "./operands.ts";
import type { Module, Pass, PassContext } from "./pass.ts";

/** The fewest inputs of a weight whose groups are worth their scales. */
const FEWEST_INPUTS = 32;

/** `param w` of a product or a table -> the same, its constant packed and its values those of the packed words. */
export const quantize: Pass = {
  name: "quantize",
  doc: "Packs the weights of products and tables into halves or into codes of 8 or 4 bits, where asked for; their values become what those are.",
  needs: ["initialized"],
  ensures: ["initialized"],
  run: (module, context) => {
    const constants = new Map(module.constants);
    for (const { name } of packable(module.graph)) {
      const value = constants.get(name);
      const format = value && formatFor(value, context);
      if (value === undefined || format === undefined) continue;
      const packed = packedConstant(value, format);
      if (packed === undefined) context.note(`weights: ${name} stays float32: its values have no place in ${format}`);
      else constants.set(name, packed);
    }
    const report = weightReport(constants);
    if (report !== undefined) context.note(reportText(report));
    return { graph: module.graph, constants } satisfies Module;
  },
};

/** Parameters that are the weight of a product or a table, each once; not those of systems, and not those that no checkpoint has. */
function packable({ nodes }: Graph): readonly ParamNode[] {
  const used = nodes.flatMap((node) => (node.op === "matmul" || node.op === "embed" ? [nodes[node.args[1] ?? -1]] : []));
  return [...new Set(used)].flatMap((node) => (node?.op === "param" && node.fixed !== true && !isSystemConstant(node.name) ? [node] : []));
}

/** What becomes of a weight; undefined where it stays as it is. */
function formatFor({ shape, packed }: Constant, { dtype = "f32", quantize: codes }: PassContext): WeightFormat | undefined {
  if (packed !== undefined) return undefined;
  const rest = dtype === "f16" ? "f16" : undefined;
  return (shape[1] ?? 0) < FEWEST_INPUTS ? rest : (codes ?? rest);
}

function packedConstant({ shape, data }: Constant, format: WeightFormat): Constant | undefined {
  const [rows = 1, inner = 1] = shape;
  const made = pack(format, rows, inner, data);
  return made && { shape, data: made.data, packed: made.packed };
}

/** A weight of fewer bits, and what that changed. */
export interface PackedWeight extends PackingError {
  readonly name: string;
  readonly format: WeightFormat;
}

/** The packed weights of a module, and what packing changed in all of them. */
export interface WeightReport {
  /** Root of the mean square over that of the values, of all packed weights together. */
  readonly rms: number;
  /** The weight of the largest relative error. */
  readonly worst: PackedWeight;
  readonly tensors: readonly PackedWeight[];
}

/** What packing changed; undefined where nothing is packed. */
export function weightReport(constants: Constants): WeightReport | undefined {
  const tensors = [...constants].flatMap(([name, { packed }]) =>
    isMeasured(packed) ? [{ name, format: packed.format, ...packed.error }] : [],
  );
  const [first] = tensors;
  if (first === undefined) return undefined;
  const sum = (of: (weight: PackedWeight) => number): number => tensors.reduce((total, weight) => total + of(weight), 0);
  return {
    rms: Math.sqrt(
      sum(({ rms, norm }) => (rms * norm) ** 2) /
        Math.max(
          sum(({ norm }) => norm ** 2),
          Number.MIN_VALUE,
        ),
    ),
    worst: tensors.reduce((worst, weight) => (weight.rms > worst.rms ? weight : worst), first),
    tensors,
  };
}

const isMeasured = (packed: Packed | undefined): packed is Packed & { readonly error: PackingError } => packed?.error !== undefined;

/** One sentence. */
export function reportText({ rms, worst, tensors }: WeightReport): string {
  const counts = Object.keys(formats).flatMap((format) => {
    const { length } = tensors.filter((weight) => weight.format === format);
    return length === 0 ? [] : [`${length} as ${format}`];
  });
  const relative = (error: number): string => error.toExponential(1);
  return `weights: ${counts.join(", ")}; relative error ${relative(rms)} (rms), worst ${relative(worst.rms)} in ${worst.name}, its largest ${relative(worst.max)} of the largest weight`;
}
