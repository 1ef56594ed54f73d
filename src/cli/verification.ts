/**
 * Holds a bundle against the float64 interpreter: every mode on random whole sequences, and streams cut at random. What
 * `recurve verify` prints and a manifest's report contains.
 */
import { bug } from "../ir/error.ts";
import { isLength, type Constant, type Constants, type Graph, type InputNode } from "../ir/graph.ts";
import { interpret, type SystemEvaluator } from "../ir/interpret.ts";
import { random, type Random } from "../math/random.ts";
import type { ExecutionMode, TensorInfo } from "../runtime/api.ts";
import { evaluateSystem } from "../ssm/evaluate.ts";
import type { AnyInputs, AnyModel, AnyOutputs } from "./bundle.ts";

/** What the bundle should compute. */
export interface Reference {
  readonly graph: Graph;
  readonly constants: Constants;
}

/** How a mode fared. */
export interface ModeVerdict {
  /** A mode, or `stream`: pushes of random lengths. */
  readonly mode: ExecutionMode | "stream";
  readonly cases: number;
  /** Largest difference over the largest magnitude of the output in that case. */
  readonly error: number;
  /** The case of that error. */
  readonly worst: { readonly case: number; readonly B: number; readonly L: number; readonly output: string };
  readonly agrees: boolean;
}

export interface VerifyReport {
  readonly seed: number;
  readonly tolerance: number;
  readonly adapter: string;
  readonly modes: readonly ModeVerdict[];
}

export interface VerifyOptions {
  readonly cases: number;
  readonly seed: number;
  /** Sequences are no longer than this, nor than the model's maximum. */
  readonly longest: number;
  readonly onCase?: (done: number) => void;
}

/** The error each kernel of a state space model is tested to, relative to its output's scale. */
const ERROR_OF_A_LAYER = 2e-5;

/** The error allowed to a whole model: what its state space layers are allowed each. */
export function toleranceOf(graph: Graph): number {
  return ERROR_OF_A_LAYER * Math.max(1, graph.nodes.filter((node) => node.op === "ssm").length);
}

/** Runs `cases` random cases through every mode of `model` and, where it has any, through streams. */
export async function verifyModel(model: AnyModel, reference: Reference, options: VerifyOptions): Promise<VerifyReport> {
  const tolerance = toleranceOf(reference.graph);
  const verdicts = new Map<string, ModeVerdict>();
  for (let i = 0; i < options.cases; i++) {
    const generator = random(options.seed, `case ${i}`);
    const { B, L } = drawSizes(generator, i, Math.min(options.longest, model.info.maxLength), model.info.period);
    const inputs = drawInputs(reference.graph, generator, B, L);
    const expected = interpret(reference.graph, reference.constants, inputs, { systems: evaluateSystem satisfies SystemEvaluator }).outputs;
    const note = (mode: ModeVerdict["mode"], outputs: AnyOutputs): void => {
      const { error, output } = compare(outputs, expected);
      const before = verdicts.get(mode);
      const worse = before === undefined || !(error <= before.error);
      verdicts.set(mode, {
        mode,
        cases: i + 1,
        error: worse ? error : before.error,
        worst: worse ? { case: i, B, L, output } : before.worst,
        agrees: (before?.agrees ?? true) && error <= tolerance,
      });
    };
    for (const mode of model.info.modes) note(mode, await model.run(toDevice(reference.graph, inputs), { mode }));
    if (model.info.modes.includes("recurrence")) note("stream", await streamed(model, reference.graph, inputs, { B, L }, generator));
    options.onCase?.(i + 1);
  }
  const { description, architecture } = model.info.adapter;
  return { seed: options.seed, tolerance, adapter: description || architecture, modes: [...verdicts.values()] };
}

/** The shortest sequence, then the longest, then lengths whose logarithm is uniform; multiples of `period`. */
function drawSizes({ uniform }: Random, index: number, longest: number, period: number): { B: number; L: number } {
  const length = index === 0 ? 1 : index === 1 ? longest : Math.floor(Math.exp(uniform() * Math.log(longest + 1)));
  const L = Math.max(1, Math.floor(length / period)) * period;
  return { B: 1 + Math.floor(3 * uniform()), L };
}

function drawInputs(graph: Graph, generator: Random, B: number, L: number): Map<string, Constant> {
  const inputs = new Map<string, Constant>();
  graph.nodes.forEach((node, id) => {
    if (node.op !== "input") return;
    const shape = node.type.dims.map(({ size }) => (size === "B" ? B : isLength(size) ? L : size));
    const draw = node.type.dtype === "f32" ? () => Math.fround(generator.normal()) : idsOf(graph, id, generator);
    inputs.set(node.name, { shape, data: Float64Array.from({ length: shape.reduce((a, b) => a * b, 1) }, draw) });
  });
  return inputs;
}

/** Ids below the rows of the table they choose from. */
function idsOf(graph: Graph, input: number, { uniform }: Random): () => number {
  const embed = graph.nodes.find((node) => node.op === "embed" && node.args[0] === input);
  const rows = graph.nodes[embed?.args[1] ?? -1]?.type.dims[0]?.size;
  return () => Math.floor(uniform() * (typeof rows === "number" ? rows : 1));
}

/** The inputs, or time steps `from` to `to` of them, as a bundle takes them. */
function toDevice(graph: Graph, inputs: Constants, from = 0, to = Infinity): AnyInputs {
  const nodes = graph.nodes.filter((node): node is InputNode => node.op === "input");
  return Object.fromEntries(
    nodes.map((node) => {
      const { shape, data } = cutSteps(node, inputs.get(node.name) ?? bug(`no values for input ${node.name}`), from, to);
      const values =
        node.type.dtype === "f32" ? { data: Float32Array.from(data), dims: shape } : { data: Int32Array.from(data), dims: shape };
      return [node.name, values] as const;
    }),
  );
}

/** Inputs are batch-major, so that the time steps of one sequence are contiguous. */
function cutSteps(node: InputNode, value: Constant, from: number, to: number): Constant {
  if (node.type.dims[1]?.size !== "L") return value;
  const [B = 1, L = 1, ...rest] = value.shape;
  const width = rest.reduce((a, b) => a * b, 1);
  const steps = Math.min(to, L) - from;
  const data = new Float64Array(B * steps * width);
  for (let b = 0; b < B; b++) data.set(value.data.subarray((b * L + from) * width, (b * L + from + steps) * width), b * steps * width);
  return { shape: [B, steps, ...rest], data };
}

async function streamed(
  model: AnyModel,
  graph: Graph,
  inputs: Constants,
  { B, L }: { B: number; L: number },
  { uniform }: Random,
): Promise<AnyOutputs> {
  const stream = await model.stream({ batch: B });
  const pieces: AnyOutputs[] = [];
  for (let from = 0; from < L;) {
    const to = Math.min(L, from + 1 + Math.floor(uniform() * Math.min(L, 200)));
    pieces.push(await stream.push(toDevice(graph, inputs, from, to)));
    from = to;
  }
  stream.destroy();
  return joinSteps(pieces, model.info.outputs, B, L);
}

/** Outputs with a length are joined along it; of the others the last is the result. */
function joinSteps(pieces: readonly AnyOutputs[], specs: readonly TensorInfo[], B: number, L: number): AnyOutputs {
  return Object.fromEntries(
    specs.map(({ name, dims }) => {
      const parts = pieces.map((piece) => piece[name] ?? bug(`a push without output ${name}`));
      if (!dims.includes("L")) return [name, parts.at(-1) ?? bug("a stream of no pushes")] as const;
      const count = parts.reduce((sum, { data }) => sum + data.length, 0);
      const row = count / B;
      const data = new Float32Array(count);
      let at = 0;
      for (const part of parts) {
        const own = part.data.length / B;
        for (let b = 0; b < B; b++) data.set(part.data.subarray(b * own, (b + 1) * own), b * row + at);
        at += own;
      }
      return [name, { data, dims: dims.map((size) => (size === "B" ? B : size === "L" ? L : size)) }] as const;
    }),
  );
}

/** The worst output; differences where one is not finite count as infinite unless both are the same. */
function compare(actual: AnyOutputs, expected: Constants): { readonly error: number; readonly output: string } {
  let worst = { error: -1, output: "" };
  for (const [name, reference] of expected) {
    const tensor = actual[name];
    const fits = tensor !== undefined && tensor.dims.join() === reference.shape.join();
    const error = fits ? relativeError(tensor.data, reference.data) : Infinity;
    if (error > worst.error) worst = { error, output: name };
  }
  return worst;
}

function relativeError(actual: ArrayLike<number>, expected: Float64Array): number {
  let scale = Number.MIN_VALUE;
  let error = 0;
  expected.forEach((e, i) => {
    const a = actual[i] ?? NaN;
    if (Object.is(a, e)) return;
    if (Number.isFinite(e)) scale = Math.max(scale, Math.abs(e));
    const difference = Math.abs(a - e);
    error = Math.max(error, Number.isNaN(difference) ? Infinity : difference);
  });
  return error / scale;
}
