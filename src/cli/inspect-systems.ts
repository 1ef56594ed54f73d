/** The state space models of a graph as the inspect page shows them: poles before and after discretization, impulse responses. */
import { bug } from "../ir/error.ts";
import { type Constant, type Constants, type Graph, type Node, ownArity, type SsmNode } from "../ir/graph.ts";
import { discreteOperands, type DiscreteSystem, interpret } from "../ir/interpret.ts";
import { eigenvalues } from "../math/schur.ts";
import { type Matrix, matrixOf } from "../math/matrix.ts";
import type { Module } from "../passes/pass.ts";
import { continuousSystem } from "../ssm/evaluate.ts";
import { realStep } from "../ssm/poles.ts";
import { denseForm } from "../ssm/system.ts";
import type { InspectSystem } from "./inspect-data.ts";

type Poles = readonly (readonly [number, number])[];

/** Channels whose poles and responses are shown. */
const SHOWN_CHANNELS = 4;
const IMPULSE_STEPS = 256;

/** One entry for each time-invariant ssm node, in order. `continuous` and `discrete` are the modules after those passes. */
export function systemsOf(continuous: Module, discrete: Module): InspectSystem[] {
  const before = ssmNodes(continuous.graph);
  return ssmNodes(discrete.graph).map((node, i) => {
    const earlier = before[i];
    const responses = impulseResponses(discrete, node);
    const H = channelsOf(node);
    return {
      name: nameOf(discrete.graph, node, i),
      continuous: earlier === undefined ? [] : continuousPoles(earlier, valuesOf(continuous, earlier)),
      discrete: discretePoles(discreteOperands(node, valuesOf(discrete, node))),
      pairs: earlier?.form.stage === "continuous" && earlier.form.structure === "diagonal" && earlier.form.pairs,
      impulses: shownChannels(H).map((channel) => ({ channel, values: Array.from(responses.filter((_, k) => k % H === channel)) })),
    };
  });
}

function ssmNodes({ nodes }: Graph): SsmNode[] {
  return nodes.filter((node): node is SsmNode => node.op === "ssm" && node.form.stage !== "scaled");
}

/** The operands after x. */
function valuesOf({ graph, constants }: { readonly graph: Graph; readonly constants: Constants }, node: SsmNode): Constant[] {
  return node.args.slice(1, ownArity(node)).map((a) => {
    const arg = graph.nodes[a];
    return arg?.op === "param" ? (constants.get(arg.name) ?? bug(`no value of ${arg.name}`)) : bug("an operand is no constant");
  });
}

function nameOf({ nodes }: Graph, node: SsmNode, index: number): string {
  const first = nodes[node.args[1] ?? -1];
  return first?.op === "param" ? first.name.replace(/[.:][^.:]*$/, "") : `ssm ${index}`;
}

function channelsOf(node: SsmNode): number {
  return Number(node.type.dims.at(-1)?.size);
}

function shownChannels(channels: number): number[] {
  const count = Math.min(SHOWN_CHANNELS, channels);
  return Array.from({ length: count }, (_, i) => Math.floor((i * channels) / count));
}

/** Poles of the shown channels, or of the shown groups of a dense system, in continuous time. */
function continuousPoles(node: SsmNode, values: readonly Constant[]): Poles {
  if (node.form.stage !== "continuous") return [];
  const system = continuousSystem(node.form, values);
  if (system.structure === "diagonal") return storedPoles(system.A, system.channels, system.states);
  const { A, groups, states: n } = system.structure === "dplr" ? denseForm(system) : system;
  return shownChannels(groups).flatMap((g) => {
    const step = system.structure === "dplr" ? (system.delta[g * system.states] ?? NaN) : 1;
    return eigenvalues(matrixOf(n, n, A.slice(g * n * n, (g + 1) * n * n))).map(({ re, im }) => [re / step, im / step] as const);
  });
}

/** The same in discrete time. */
function discretePoles(system: DiscreteSystem): Poles {
  const [groups = 1, n = 1] = system.abar.shape;
  if (system.structure === "diagonal") return storedPoles(system.abar.data, groups, n);
  const step = (g: number): Matrix =>
    system.structure === "dplr" ? realStep(system, g) : matrixOf(n, n, system.abar.data.slice(g * n * n, (g + 1) * n * n));
  return shownChannels(groups).flatMap((g) => eigenvalues(step(g)).map(({ re, im }) => [re, im] as const));
}

const storedPoles = (data: Float64Array, channels: number, n: number): Poles =>
  shownChannels(channels).flatMap((h) =>
    Array.from({ length: n }, (_, i) => [data[2 * (h * n + i)] ?? NaN, data[2 * (h * n + i) + 1] ?? NaN] as const),
  );

/** What the node gives on every channel for an input of 1 at step 0: its kernel. `[L H]` */
function impulseResponses({ graph, constants }: Module, node: SsmNode): Float64Array {
  const H = channelsOf(node);
  const params = node.args.slice(1, ownArity(node)).map((id) => graph.nodes[id] ?? bug("no operand"));
  const input: Node = { op: "input", name: "u", type: node.type, args: [] };
  const alone: Node = { ...node, args: [0, ...params.map((_, i) => i + 1)], post: undefined };
  const nodes = [input, ...params, alone];
  const u = new Float64Array(IMPULSE_STEPS * H).fill(1, 0, H);
  const inputs = new Map([["u", { shape: [1, IMPULSE_STEPS, H], data: u }]]);
  const { outputs } = interpret({ name: "impulse", nodes, outputs: [{ name: "y", value: nodes.length - 1 }] }, constants, inputs);
  return outputs.get("y")?.data ?? bug("no response");
}
