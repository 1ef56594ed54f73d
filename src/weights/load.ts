/** Fits the tensors of a checkpoint to the parameters of a graph: all of them or an error that lists every misfit. */
import { bug, CompileError, type Loc } from "../ir/error.ts";
import type { Constant, Constants, Graph, ParamNode } from "../ir/graph.ts";
import type { TensorFile } from "./safetensors.ts";
import type { Scheme, Stored, Wanted } from "./scheme.ts";

type Kind = "missing" | "unexpected" | "shape" | "dtype" | "values" | "nan";

interface Problem {
  readonly kind: Kind;
  readonly text: string;
  /** The tensor of the checkpoint at fault. */
  readonly tensor: string;
  readonly loc?: Loc | undefined;
}

const FIXES: Readonly<Record<Kind, string>> = {
  missing: "name the layers as the checkpoint does, or choose the checkpoint's naming scheme in the model's options",
  unexpected: "declare the layers these tensors belong to, or take the tensors out of the file",
  shape: "give the layer the sizes of the checkpoint",
  dtype: "save the tensor as F32, F64, F16 or BF16",
  values: "convert the checkpoint with the code that made it to the layout of its latest version",
  nan: "look for the step of training where the weights diverged; these cannot be run",
};
/** The order of the table above decides which problem names the error. */
const KINDS = Object.keys(FIXES) as readonly Kind[];
const SHOWN = 20;
const FLOATS: readonly string[] = ["F64", "F32", "F16", "BF16"];
/** A lone number may be a count, such as the length that an S4 layer's kernel was made for. */
const INTEGERS: readonly string[] = ["I64", "I32"];
const FLOAT32_MAX = 3.4028234663852886e38;

/**
 * Reads the value of every parameter of `graph` from `file`.
 *
 * Throws: one CompileError that lists all problems, with the code of the first kind present of `weights-missing`,
 * `weights-unexpected`, `weights-shape`, `weights-dtype`, `weights-values`, `weights-nan`.
 */
export async function loadWeights(graph: Graph, file: TensorFile, scheme: Scheme): Promise<Constants> {
  const constants = new Map<string, Constant>();
  const problems: Problem[] = [];
  const used = new Set<string>();
  for (const node of graph.nodes) {
    if (node.op !== "param" || node.fixed === true) continue;
    const shape = shapeOf(node);
    const stored = scheme.stored({ name: node.name, shape }, file.entries);
    for (const { name } of stored.from) used.add(name);
    const misfits = stored.from.flatMap((wanted) => checkWanted(node, wanted, file));
    const data = misfits.length === 0 ? await valuesOf(node, stored, file) : misfits;
    if (data instanceof Float64Array) constants.set(node.name, { shape, data });
    else problems.push(...data);
  }
  for (const [name, { dtype, shape }] of file.entries) {
    if (used.has(name) || scheme.ignores(name)) continue;
    const text = `"${name}" ${dtype} [${shape.join(", ")}] belongs to no parameter of the model`;
    problems.push({ kind: "unexpected", tensor: name, text });
  }
  if (problems.length > 0) throw report(file, scheme, problems);
  return constants;
}

function shapeOf(node: ParamNode): readonly number[] {
  return node.type.dims.map(({ name, size }) =>
    typeof size === "number" ? size : bug(`dim ${name} of parameter ${node.name} has no size`),
  );
}

function checkWanted({ loc, type }: ParamNode, { name, shapes }: Wanted, file: TensorFile): Problem[] {
  const entry = file.entries.get(name);
  const wanted = shapes?.map((shape) => `[${shape.join(", ")}]`).join(" or ");
  const problem = (kind: Kind, what: string): Problem[] => [{ kind, tensor: name, text: `"${name}" ${what}`, loc }];
  if (entry === undefined) return problem("missing", `${wanted === undefined ? "" : `${wanted} `}is not in the file`);
  if (shapes?.some((shape) => shape.join() === entry.shape.join()) === false)
    return problem("shape", `is [${entry.shape.join(", ")}] in the file and ${wanted} in the model`);
  if (!FLOATS.includes(entry.dtype) && !(INTEGERS.includes(entry.dtype) && type.dims.length === 0))
    return problem("dtype", `is ${entry.dtype} in the file; the model needs floating point`);
  return [];
}

/** The values of a parameter whose tensors are there, or what is wrong with them. */
async function valuesOf({ name, loc }: ParamNode, { from, make }: Stored, file: TensorFile): Promise<Float64Array | Problem[]> {
  const tensors: Constant[] = [];
  for (const wanted of from) tensors.push({ shape: file.entries.get(wanted.name)?.shape ?? [], data: await file.read(wanted.name) });
  const tensor = (index: number): Constant => tensors[index] ?? bug(`${name} is made from ${tensors.length} tensors`);
  const at = from[0]?.name ?? name;
  const data = make === undefined ? tensor(0).data : make(tensor);
  if (typeof data === "string") return [{ kind: "values", tensor: at, text: `"${at}" gives no values for ${name}: ${data}`, loc }];
  const index = data.findIndex((value) => !(Math.abs(value) <= FLOAT32_MAX));
  if (index < 0) return data;
  return [{ kind: "nan", tensor: at, text: `"${at}" holds ${data[index]} at element ${index}, which float32 cannot`, loc }];
}

function report(file: TensorFile, scheme: Scheme, problems: readonly Problem[]): CompileError {
  const kind = KINDS.find((k) => problems.some((p) => p.kind === k)) ?? bug("no problem to report");
  const sorted = [...problems].sort((a, b) => KINDS.indexOf(a.kind) - KINDS.indexOf(b.kind));
  const lines = sorted.slice(0, SHOWN).map(({ text }) => `\n  ${text}`);
  const rest = problems.length > SHOWN ? `\n  and ${problems.length - SHOWN} more` : "";
  return new CompileError({
    code: `weights-${kind}`,
    message: `${file.label} does not fit the model:${lines.join("")}${rest}`,
    fix: [FIXES[kind], ...prefixAdvice(file, sorted), ...optionAdvice(scheme, sorted)].join("; "),
    loc: sorted[0]?.loc,
  });
}

/** Whether all that is missing is there behind one more name. */
function prefixAdvice(file: TensorFile, problems: readonly Problem[]): readonly string[] {
  const missing = problems.filter(({ kind }) => kind === "missing").map(({ tensor }) => tensor);
  const [first] = missing;
  const longer = first === undefined ? undefined : [...file.entries.keys()].find((name) => name.endsWith(`.${first}`));
  const prefix = longer?.slice(0, -(first?.length ?? 0) - 1);
  if (prefix === undefined || !missing.every((name) => file.entries.has(`${prefix}.${name}`))) return [];
  return [`every tensor of the file has "${prefix}." in front: declare the layers inside scope("${prefix}", ...)`];
}

/** The options of a layer that decide what does not fit, and those that no tensor tells. */
function optionAdvice({ options, untold }: Scheme, problems: readonly Problem[]): readonly string[] {
  const structural = problems.filter(({ kind }) => kind === "missing" || kind === "unexpected" || kind === "shape");
  const deciding = options.filter(({ tensors }) => structural.some(({ tensor }) => tensors.test(tensor)));
  if (deciding.length === 0) return [];
  const names = [...new Set(deciding.flatMap((option) => option.names.split(", ")))];
  return [
    `look at the options that decide these tensors: ${names.join(", ")}`,
    `no tensor tells ${untold.join(", ")}: give them as in training`,
  ];
}
