/**
 * The meaning of a graph: float64, plain loops, every op as its definition reads. Slow by design; every mode of every
 * kernel is judged against it. Whole sequences from a given state to the final state, so that any chunking of a
 * sequence gives the same numbers. Imports no family: systems that are not discrete yet come through `options.systems`.
 */
import { bug } from "./error.ts";
import {
  isLength,
  ownArity,
  type AnchorNode,
  type Constant,
  type Constants,
  type Dim,
  type Graph,
  type Node,
  type PackNode,
  type SsmNode,
  type ValueId,
} from "./graph.ts";
import {
  at,
  concat,
  conv,
  convAlong,
  dense,
  diagonal,
  dplr,
  embed,
  empty,
  matmul,
  mimo,
  norm,
  pointwise,
  product,
  shapeOf,
  slice,
  spanAt,
  type DiscreteSystem,
  type MimoSystem,
  type FiniteResponse,
  type Span,
  type Value,
} from "./loops.ts";
import { attention } from "./attention.ts";
import { cumulate, repeat, rotate } from "./channels.ts";
import { rateOfType } from "./infer.ts";
import { selective } from "./selective.ts";
import { scaledLegs } from "./scaled-legs.ts";
import { lowpass, pack, pool, poolSteps, reverse, unpack } from "./steps.ts";

export type { DenseSystem, DiagonalSystem, DiscreteSystem, DplrSystem, MimoSystem } from "./loops.ts";

/** The discrete system of an ssm node of an earlier stage; `operands` are the values of its arguments after x, `channels` those of x. */
export type SystemEvaluator = (
  node: SsmNode,
  operands: readonly Constant[],
  channels: number,
) => DiscreteSystem | MimoSystem | FiniteResponse;

/**
 * What a stream remembers between two pushes. One array per stateful node, component-major with channels innermost:
 *
 * - diagonal and dplr ssm `[B][2 n + (0: real, 1: imaginary)][H]`: x_n after the last step
 * - dense ssm `[B][n][H]`: x_n after the last step; of a family with M inputs `[B][n][H/M]`; scaled ssm: x_n / sqrt(2 n + 1)
 * - ssm of a family that is one system of all channels `[B][2 n + (0: real, 1: imaginary)]`: x_n after the last step
 * - conv `[B][K-1][H]`: the last K-1 inputs, oldest first; along an axis `[B][R][H]`, R = (min(K, size) - 1) stride: that of step l in row l mod R
 * - attention `[B][n][keys, values]`: those of the steps so far, of a window its last ones, keys turned to their places
 * - pool `[B][H]`: mean: the running sum; max: the running maximum; last, first: that value; of several steps `[B][steps][H]`:
 *   step t at t mod steps
 * - selective ssm `[B][n][H P]`: S after the last step
 * - cumulate `[B][H]`: its last value
 * - pack `[B][by][H]`: the steps of its block, those still to come of no meaning
 * - unpack `[B][H by]`: the last step of its argument
 */
export interface GraphState {
  /** Time steps processed so far. */
  readonly position: number;
  readonly nodes: ReadonlyMap<ValueId, Float64Array>;
}

/** The state before the first step. */
export const emptyState: GraphState = { position: 0, nodes: new Map() };

export interface InterpretOptions {
  readonly systems?: SystemEvaluator;
  /** Where to continue; `emptyState` where absent. */
  readonly state?: GraphState;
}

export interface Interpretation {
  readonly outputs: ReadonlyMap<string, Constant>;
  readonly state: GraphState;
}

interface Run extends Span {
  readonly before: GraphState;
  readonly after: Map<ValueId, Float64Array>;
  readonly systems: SystemEvaluator;
}

/** Throws: `bug: ...` where an input or a parameter is missing or has another shape than the graph says. */
export function interpret(graph: Graph, constants: Constants, inputs: Constants, options: InterpretOptions = {}): Interpretation {
  const before = options.state ?? emptyState;
  const systems = options.systems ?? ((node) => bug(`an ssm of stage ${node.form.stage} needs a SystemEvaluator`));
  const run: Run = { ...sizesOf(graph, inputs), position: before.position, before, after: new Map(), systems };
  const values: Value[] = [];
  const valueOf = (id: ValueId): Value => values[id] ?? bug(`%${id} is used before it is computed`);
  for (const [id, node] of graph.nodes.entries()) values.push(evaluate(run, node, id, node.args.map(valueOf), constants, inputs));
  const outputs = new Map(graph.outputs.map(({ name, value }) => [name, valueOf(value)] as const));
  return { outputs, state: { position: before.position + run.L, nodes: run.after } };
}

/** B and L as the inputs have them; 1 where no input says. */
function sizesOf(graph: Graph, inputs: Constants): { B: number; L: number } {
  const sizes = { B: 1, L: 1 };
  for (const node of graph.nodes) {
    if (node.op !== "input") continue;
    const { shape } = inputs.get(node.name) ?? bug(`no input ${node.name}`);
    node.type.dims.forEach(({ size }, i) => {
      const actual = shape[i] ?? bug(`input ${node.name} has ${shape.length} dims`);
      if (size === "B") sizes.B = actual;
      else if (isLength(size)) sizes.L = actual;
    });
  }
  return sizes;
}

function given(run: Run, what: string, dims: readonly Dim[], value: Constant | undefined): Value {
  const shape = shapeOf(run, dims);
  if (value === undefined) bug(`no value for ${what}`);
  if (value.shape.join() !== shape.join() || value.data.length !== product(shape))
    bug(`${what} is [${value.shape.join(" ")}], the graph says [${shape.join(" ")}]`);
  return { dims, shape, data: value.data };
}

function evaluate(run: Run, node: Node, id: ValueId, args: readonly Value[], constants: Constants, inputs: Constants): Value {
  switch (node.op) {
    case "input":
      return given(run, `input ${node.name}`, node.type.dims, inputs.get(node.name));
    case "param":
      return given(run, `param ${node.name}`, node.type.dims, constants.get(node.name));
    case "map":
      return pointwise(run, node.type.dims, node.expr, args);
    case "slice":
      return slice(run, node.type.dims, node.start, node.step ?? 1, at(args, 0));
    case "concat":
      return concat(run, node.type.dims, args);
    case "pack":
      return packed(run, node, id, at(args, 0));
    case "repeat":
      return repeat(run, node.type.dims, node, at(args, 0));
    case "rotate":
      return rotate(node, at(args, 0), at(args, 1));
    case "cumulate": {
      const y = empty(run, node.type.dims);
      run.after.set(id, cumulate(spanAt(run, rateOfType(y)), node.kind, args, y, run.before.nodes.get(id)));
      return y;
    }
    case "reverse":
      return run.position === 0 ? reverse(at(args, 0)) : bug("a sequence can be reversed only whole");
    case "lowpass":
      return run.position === 0 ? lowpass(at(args, 0), empty(run, node.type.dims)) : bug("frequencies are of a whole sequence");
    default: {
      const own = ownArity(node);
      const results = anchor(run, node, id, args.slice(0, own));
      return node.post === undefined ? at(results, 0) : pointwise(run, node.type.dims, node.post, [...results, ...args.slice(own)]);
    }
  }
}

/** An anchor's own results, before its epilogue: one, or one for each part of a matmul. */
function anchor(run: Run, node: AnchorNode, id: ValueId, args: readonly Value[]): readonly Value[] {
  const x = at(args, 0);
  if (node.op === "matmul")
    return Array.from({ length: node.parts }, (_, part) => matmul(x, at(args, 1), empty(run, node.type.dims), part));
  const y = empty(run, node.type.dims);
  const before = run.before.nodes.get(id);
  const span = spanAt(run, rateOfType(x));
  switch (node.op) {
    case "norm":
      norm(x, y, node.kind, node.eps, node.groups);
      break;
    case "pool":
      run.after.set(id, node.steps === undefined ? pool(span, x, y, node.kind, before) : poolSteps(span, x, y, node, before));
      break;
    case "conv":
      run.after.set(
        id,
        node.axis === undefined ? conv(span, x, at(args, 1), y, before) : convAlong(span, x, at(args, 1), y, node.axis, before),
      );
      break;
    case "attention":
      run.after.set(id, attention(span, node, { q: x, k: at(args, 1), v: at(args, 2) }, y, before));
      break;
    case "embed":
      embed(x, at(args, 1), y);
      break;
    case "unpack":
      run.after.set(id, unpack(spanAt(run, rateOfType(y)), x, node, y, before));
      break;
    case "ssm": {
      if (node.form.stage === "scaled") {
        run.after.set(id, scaledLegs(span, node.form, x, y, before));
        break;
      }
      if (node.form.stage === "selective") {
        run.after.set(id, selective(span, node.form, args, y, before));
        break;
      }
      const system = discreteSystem(run, node, args);
      if (system.structure === "fir" && system.axis !== undefined) {
        run.after.set(id, convAlong(span, x, system.taps, y, system.axis, before));
        break;
      }
      run.after.set(id, recurrence(span, system, x, y, before));
      break;
    }
  }
  return [y];
}

/** Its state says where in a block the faster sequence is. */
function packed(run: Run, node: PackNode, id: ValueId, x: Value): Value {
  const y = empty(run, node.type.dims);
  run.after.set(id, pack(spanAt(run, rateOfType(x)), x, node, y, run.before.nodes.get(id)));
  return y;
}

function recurrence(span: Span, system: ReturnType<SystemEvaluator>, x: Value, y: Value, before: Float64Array | undefined): Float64Array {
  switch (system.structure) {
    case "diagonal":
      return diagonal(span, system, x, y, before);
    case "dense":
      return dense(span, system, x, y, before);
    case "dplr":
      return dplr(span, system, x, y, before);
    case "mimo":
      return mimo(span, system, x, y, before);
    case "fir":
      return conv(span, x, system.taps, y, before);
  }
}

function discreteSystem(run: Run, node: SsmNode, args: readonly Value[]): ReturnType<SystemEvaluator> {
  const operands = args.slice(1);
  return node.form.stage === "discrete" ? discreteOperands(node, operands) : run.systems(node, operands, at(args, 0).shape.at(-1) ?? 0);
}

/** The system of a discrete node, from the operands after x. */
export function discreteOperands({ form }: SsmNode, operands: readonly Constant[]): DiscreteSystem {
  const of = (i: number): Constant => at(operands, i);
  if (form.stage !== "discrete") return bug(`an ssm of stage ${form.stage} is not discrete`);
  switch (form.structure) {
    case "diagonal":
      return { structure: "diagonal", abar: of(0), gain: of(1), d: of(2) };
    case "dense":
      return { structure: "dense", abar: of(0), bbar: of(1), c: of(2), d: of(3) };
    case "dplr":
      return { structure: "dplr", abar: of(0), p: of(1), q: of(2), bbar: of(3), c: of(4), d: of(5) };
  }
}
