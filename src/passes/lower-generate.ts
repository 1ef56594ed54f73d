/** Language models: which models are one, and the program that follows a step of it and chooses the next token. */
import type { ProgramSource } from "../codegen/plan-source.ts";
import { CompileError } from "../ir/error.ts";
import type { Graph, Node, ValueId } from "../ir/graph.ts";
import { bufferFor, costOf, dispatchSource, inputBuffer, type Shared } from "./lower-entry.ts";
import type { DispatchCost } from "./lowered.ts";
import type { DispatchSpec } from "./schedules/schedule.ts";
import { sampleKernel, settingsSize } from "./schedules/sample.ts";

/** A language model's names for what it takes and gives. */
const [IDS, LOGITS] = ["ids", "logits"];

/** What generation adds to a plan, with the costs of its dispatches. */
export interface LoweredGenerate {
  readonly program: ProgramSource;
  readonly vocabulary: number;
  readonly costs: readonly DispatchCost[];
}

/** The rows of the smallest table that the ids of an input look into; undefined where they look into none. */
export function idsBelow(graph: Graph, input: ValueId): number | undefined {
  const rows = graph.nodes.flatMap((node) => {
    const table = node.op === "embed" && node.args[0] === input ? graph.nodes[node.args[1] ?? -1] : undefined;
    return table === undefined ? [] : [Number(table.type.dims[0]?.size)];
  });
  return rows.length === 0 ? undefined : Math.min(...rows);
}

/** The logits of a language model: its one input is `ids [B L]`, and it has an output `logits [B L V]`. */
function logitsOf(graph: Graph): { readonly ids: ValueId; readonly value: ValueId; readonly width: number } | undefined {
  const isNamed = (node: Node): boolean => node.op === "input" && node.name === IDS;
  const sizes = (node: Node | undefined): string => node?.type.dims.map(({ size }) => (typeof size === "number" ? "V" : size)).join() ?? "";
  const inputs = graph.nodes.filter((node) => node.op === "input");
  const ids = graph.nodes.findIndex(isNamed);
  const output = graph.outputs.find(({ name }) => name === LOGITS);
  const node = graph.nodes[output?.value ?? -1];
  const width = node?.type.dims[2]?.size;
  if (inputs.length !== 1 || inputs[0]?.type.dtype !== "i32" || sizes(inputs[0]) !== "B,L" || ids < 0) return undefined;
  return output === undefined || sizes(node) !== "B,L,V" || typeof width !== "number" ? undefined : { ids, value: output.value, width };
}

/**
 * The choice of the next token after a step; undefined where the model is no language model. `vocabulary` leaves out the
 * rows of the head from it on, which only pad it.
 * Throws: `bad-vocabulary`.
 */
export function lowerGenerate(shared: Shared, graph: Graph, vocabulary: number | undefined): LoweredGenerate | undefined {
  const found = logitsOf(graph);
  if (found === undefined) return undefined;
  const { ids, value, width } = found;
  const most = Math.min(width, idsBelow(graph, ids) ?? width);
  const tokens = checkVocabulary(graph, vocabulary, most);
  const kernel = sampleKernel(
    {
      logits: bufferFor(shared, `output:${LOGITS}`, () => ({ kind: "output", name: LOGITS })),
      ids: inputBuffer(shared, IDS),
      settings: bufferFor(shared, "settings", () => ({ kind: "settings", size: `${settingsSize}` })),
    },
    width,
    tokens,
  );
  const bytes = `d.B*${4 * (tokens + settingsSize + 2)}`;
  const cost = { flops: `d.B*${tokens}`, bytes, minimum: bytes, serial: Math.ceil(tokens / 256) };
  const spec: DispatchSpec = { built: kernel, grid: ["d.B", 1, 1], constants: { LANES: "d.W" }, cost };
  const program = { prepare: [], body: [dispatchSource(shared, spec, 1)] };
  return { program, vocabulary: tokens, costs: [costOf(spec, "sample", [value], 1)] };
}

function checkVocabulary({ name }: Graph, vocabulary: number | undefined, most: number): number {
  if (vocabulary === undefined) return most;
  if (Number.isInteger(vocabulary) && vocabulary >= 1 && vocabulary <= most) return vocabulary;
  throw new CompileError({
    code: "bad-vocabulary",
    message: `${name} cannot have a vocabulary of ${vocabulary}: its embedding and its head have ${most} rows`,
    fix: `give a whole number from 1 to ${most}, or none`,
  });
}
