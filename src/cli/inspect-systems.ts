/** The state space models of a graph as the inspect page shows them: poles before and after discretization, impulse responses. */
import { bug } from "../ir/error.ts";
import type { Constant, Constants, Graph, SsmNode } from "../ir/graph.ts";
import { eigenvalues } from "../math/schur.ts";
import { matrixOf } from "../math/matrix.ts";
import type { Module } from "../passes/pass.ts";
import type { InspectSystem } from "./inspect-data.ts";

type Poles = readonly (readonly [number, number])[];

/** Channels whose poles and responses are shown. */
const SHOWN_CHANNELS = 4;
const IMPULSE_STEPS = 256;

/** One entry for each ssm node, in order. `continuous` and `discrete` are the modules after those passes. */
export function systemsOf(continuous: Module, discrete: Module): InspectSystem[] {
  const before = ssmNodes(continuous.graph);
  return ssmNodes(discrete.graph).map((node, i) => {
    const values = valuesOf(discrete, node);
    const earlier = before[i];
    return {
      name: nameOf(discrete.graph, node, i),
      continuous: earlier === undefined ? [] : continuousPoles(earlier, valuesOf(continuous, earlier)),
      discrete: polesOf(structureOf(node), values[0]),
      pairs: earlier?.form.stage === "continuous" && earlier.form.structure === "diagonal" && earlier.form.pairs,
      impulses: shownChannels(channelsOf(node)).map((channel) => ({ channel, values: impulse(structureOf(node), values, channel) })),
    };
  });
}

function ssmNodes({ nodes }: Graph): SsmNode[] {
  return nodes.filter((node): node is SsmNode => node.op === "ssm");
}

/** The operands after x, where they are parameters. */
function valuesOf({ graph, constants }: { readonly graph: Graph; readonly constants: Constants }, node: SsmNode): (Constant | undefined)[] {
  return node.args.slice(1).map((a) => {
    const arg = graph.nodes[a];
    return arg?.op === "param" ? constants.get(arg.name) : undefined;
  });
}

function nameOf({ nodes }: Graph, node: SsmNode, index: number): string {
  const first = nodes[node.args[1] ?? -1];
  return first?.op === "param" ? first.name.replace(/[.:][^.:]*$/, "") : `ssm ${index}`;
}

function structureOf({ form }: SsmNode): "dense" | "diagonal" {
  return form.stage === "family" ? bug("an ssm of stage family has no structure") : form.structure;
}

function channelsOf(node: SsmNode): number {
  return Number(node.type.dims.at(-1)?.size);
}

function shownChannels(channels: number): number[] {
  const count = Math.min(SHOWN_CHANNELS, channels);
  return Array.from({ length: count }, (_, i) => Math.floor((i * channels) / count));
}

function continuousPoles(node: SsmNode, [A]: readonly (Constant | undefined)[]): Poles {
  return node.form.stage === "continuous" ? polesOf(node.form.structure, A) : [];
}

/** Diagonal `[H N 2]`: of the shown channels; dense `[G N N]`: eigenvalues of the shown groups. */
function polesOf(structure: "dense" | "diagonal", A: Constant | undefined): Poles {
  if (A === undefined) return [];
  const [groups = 1, N = 1] = A.shape;
  return shownChannels(groups).flatMap((g) => {
    if (structure === "diagonal")
      return Array.from({ length: N }, (_, n) => [A.data[2 * (g * N + n)] ?? NaN, A.data[2 * (g * N + n) + 1] ?? NaN] as const);
    return eigenvalues(matrixOf(N, N, A.data.slice(g * N * N, (g + 1) * N * N))).map(({ re, im }) => [re, im] as const);
  });
}

function impulse(structure: "dense" | "diagonal", values: readonly (Constant | undefined)[], channel: number): number[] {
  return structure === "diagonal" ? diagonalImpulse(values, channel) : denseImpulse(values, channel);
}

/** K_l = Re(sum_n gain_n abar_n^l) + d [l = 0] */
function diagonalImpulse([abar, gain, d]: readonly (Constant | undefined)[], h: number): number[] {
  if (abar === undefined || gain === undefined) return [];
  const N = abar.shape[1] ?? 0;
  const response = Array.from({ length: IMPULSE_STEPS }, () => 0);
  response[0] = d?.data[h] ?? 0;
  for (let n = 0; n < N; n++) {
    const at = 2 * (h * N + n);
    const [aRe = 0, aIm = 0] = abar.data.subarray(at, at + 2);
    let [re = 0, im = 0] = gain.data.subarray(at, at + 2);
    for (let l = 0; l < IMPULSE_STEPS; l++) {
      response[l] = (response[l] ?? 0) + re;
      [re, im] = [re * aRe - im * aIm, re * aIm + im * aRe];
    }
  }
  return response;
}

/** K_l = C Abar^l Bbar + d [l = 0] */
function denseImpulse([abar, bbar, c, d]: readonly (Constant | undefined)[], h: number): number[] {
  if (abar === undefined || bbar === undefined || c === undefined) return [];
  const [groups = 1, N = 1] = abar.shape;
  const g = groups === 1 ? 0 : h;
  let x = Array.from(bbar.data.subarray(g * N, (g + 1) * N));
  return Array.from({ length: IMPULSE_STEPS }, (_, l) => {
    const y = x.reduce((sum, value, n) => sum + value * (c.data[g * N + n] ?? 0), l === 0 ? (d?.data[g] ?? 0) : 0);
    x = x.map((_unused, i) => x.reduce((sum, value, j) => sum + value * (abar.data[(g * N + i) * N + j] ?? 0), 0));
    return y;
  });
}
