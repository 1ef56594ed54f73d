/** Fits the tensors of a checkpoint to the parameters of a graph: all of them or an error that lists every misfit. */
import { bug, CompileError, type Loc } from "../ir/error.ts";
import type { Constant, Constants, Graph, ParamNode } from "../ir/graph.ts";
import type { TensorFile } from "./safetensors.ts";
import type { Scheme } from "./scheme.ts";

type Kind = "missing" | "unexpected" | "shape" | "dtype" | "nan";

interface Problem {
  readonly kind: Kind;
  readonly text: string;
  readonly loc?: Loc | undefined;
}

const FIXES: Readonly<Record<Kind, string>> = {
  missing: "name the layers as the checkpoint does, or choose the checkpoint's naming scheme in the model's options",
  unexpected: "declare the layers these tensors belong to, or take the tensors out of the file",
  shape: "give the layer the sizes of the checkpoint",
  dtype: "save the tensor as F32, F64, F16 or BF16",
  nan: "look for the step of training where the weights diverged; these cannot be run",
};
/** The order of the table above decides which problem names the error. */
const KINDS = Object.keys(FIXES) as readonly Kind[];
const SHOWN = 20;
const FLOATS: readonly string[] = ["F64", "F32", "F16", "BF16"];
const FLOAT32_MAX = 3.4028234663852886e38;

/**
 * Reads the value of every parameter of `graph` from `file`.
 *
 * Throws: one CompileError that lists all problems, with the code of the first kind present of `weights-missing`,
 * `weights-unexpected`, `weights-shape`, `weights-dtype`, `weights-nan`.
 */
export async function loadWeights(graph: Graph, file: TensorFile, scheme: Scheme): Promise<Constants> {
  const constants = new Map<string, Constant>();
  const problems: Problem[] = [];
  const used = new Set<string>();
  for (const node of graph.nodes) {
    if (node.op !== "param" || node.fixed === true) continue;
    const shape = shapeOf(node);
    const stored = scheme.stored({ name: node.name, shape });
    used.add(stored.name);
    const misfit = checkStored(node, stored, file);
    const data = misfit === undefined ? await file.read(stored.name) : new Float64Array(0);
    const problem = misfit ?? checkValues(stored.name, data, node.loc);
    if (problem !== undefined) problems.push(problem);
    else constants.set(node.name, { shape, data });
  }
  for (const [name, { dtype, shape }] of file.entries) {
    if (used.has(name) || scheme.ignores(name)) continue;
    problems.push({ kind: "unexpected", text: `"${name}" ${dtype} [${shape.join(", ")}] belongs to no parameter of the model` });
  }
  if (problems.length > 0) throw report(file.label, problems);
  return constants;
}

function shapeOf(node: ParamNode): readonly number[] {
  return node.type.dims.map(({ name, size }) =>
    typeof size === "number" ? size : bug(`dim ${name} of parameter ${node.name} has no size`),
  );
}

function checkStored(node: ParamNode, stored: ReturnType<Scheme["stored"]>, file: TensorFile): Problem | undefined {
  const { loc } = node;
  const entry = file.entries.get(stored.name);
  const wanted = stored.shapes.map((shape) => `[${shape.join(", ")}]`).join(" or ");
  if (entry === undefined) return { kind: "missing", text: `"${stored.name}" ${wanted} is not in the file`, loc };
  if (!stored.shapes.some((shape) => shape.join() === entry.shape.join())) {
    return { kind: "shape", text: `"${stored.name}" is [${entry.shape.join(", ")}] in the file and ${wanted} in the model`, loc };
  }
  if (!FLOATS.includes(entry.dtype)) {
    return { kind: "dtype", text: `"${stored.name}" is ${entry.dtype} in the file; the model needs floating point`, loc };
  }
  return undefined;
}

function checkValues(name: string, data: Float64Array, loc: Loc | undefined): Problem | undefined {
  const at = data.findIndex((value) => !(Math.abs(value) <= FLOAT32_MAX));
  return at < 0 ? undefined : { kind: "nan", text: `"${name}" holds ${data[at]} at element ${at}, which float32 cannot`, loc };
}

function report(label: string, problems: readonly Problem[]): CompileError {
  const kind = KINDS.find((k) => problems.some((p) => p.kind === k)) ?? bug("no problem to report");
  const sorted = [...problems].sort((a, b) => KINDS.indexOf(a.kind) - KINDS.indexOf(b.kind));
  const lines = sorted.slice(0, SHOWN).map(({ text }) => `\n  ${text}`);
  const rest = problems.length > SHOWN ? `\n  and ${problems.length - SHOWN} more` : "";
  return new CompileError({
    code: `weights-${kind}`,
    message: `${label} does not fit the model:${lines.join("")}${rest}`,
    fix: FIXES[kind],
    loc: sorted[0]?.loc,
  });
}
