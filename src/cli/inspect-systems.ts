/** The time-invariant systems of a graph as the inspect page shows them. What is computed is in `src/ssm`; here is how much of it. */
import { bug, formatLoc } from "../ir/error.ts";
import {
  type Constant,
  type ConvNode,
  type Graph,
  type Node,
  ownArity,
  type SelectiveForm,
  type SsmForm,
  type SsmNode,
} from "../ir/graph.ts";
import { discreteOperands, type DiscreteSystem } from "../ir/interpret.ts";
import { abs, type Complex } from "../math/complex.ts";
import { constantValue, paramNames } from "../passes/operands.ts";
import type { Module } from "../passes/pass.ts";
import type { Discretization } from "../ssm/discretization.ts";
import { discretizationNamed } from "../ssm/discretizations.ts";
import { continuousSystem } from "../ssm/evaluate.ts";
import { singleContinuousOutputs, singleOutputs } from "../ssm/outputs.ts";
import { impulseResponses, kernelTransfer, onCircle, telling, type Transfer, transferFunction } from "../ssm/response.ts";
import type { ContinuousSystem, DiagonalSystem } from "../ssm/system.ts";
import {
  basisFunctions,
  continuousPoles,
  discretePoles,
  discretized,
  memory,
  spreadOf,
  storedSystems,
  timeConstant,
  type TimedPole,
} from "../ssm/timescales.ts";
import type { InspectCurve, InspectSystem } from "./inspect-data.ts";

/** Channels whose responses are shown. */
const SHOWN_CHANNELS = 4;
/** Poles that are drawn, where channels of one state each make few of them. */
const SHOWN_POLES = 256;
const SHOWN_STATES = 6;
const BASIS_POINTS = 241;
/** Impulse responses reach over this many times the longest memory, within limits. */
const MEMORIES = 5;
const LONGEST = 4096;
const SHORTEST = 64;
/** Where nothing decays. */
const ENDLESS = 1024;

/** One entry for every system there is, in order. `continuous` and `discrete` are the modules after those passes. */
export function systemsOf(continuous: Module, discrete: Module): InspectSystem[] {
  const before = continuous.graph.nodes.filter(isConstant);
  let count = 0;
  const found = discrete.graph.nodes.flatMap((node): InspectSystem[] => {
    if (node.op === "conv") return [convolution(discrete, node)];
    if (node.op === "ssm" && node.form.stage === "scaled") return [varying(discrete.graph, node, node.form.state)];
    if (node.op === "ssm" && node.form.stage === "selective") return [selective(discrete.graph, node, node.form)];
    if (!isConstant(node)) return [];
    const earlier = before[count++];
    return [recurrence(discrete, node, earlier === undefined ? undefined : { module: continuous, node: earlier })];
  });
  // One entry for nodes that share their parameters.
  return [...new Map(found.map((system) => [system.name, system])).values()];
}

/** Whether a node is a system that does not vary in time: others have neither kernel nor poles. */
const isConstant = (node: Node): node is SsmNode => node.op === "ssm" && node.form.stage !== "scaled" && node.form.stage !== "selective";

interface Place<N> {
  readonly module: Module;
  readonly node: N;
}

/** A system before it was discretized, and how it was. */
interface Continuous {
  readonly system: ContinuousSystem;
  readonly rule: Discretization;
}

function continuousOf({ module, node }: Place<SsmNode>): Continuous | undefined {
  const { form, loc } = node;
  if (form.stage !== "continuous") return undefined;
  return {
    system: singleContinuousOutputs(continuousSystem(form, valuesOf({ module, node }))),
    rule: discretizationNamed(form.discretization, loc),
  };
}

function recurrence(module: Module, node: SsmNode, earlier: Place<SsmNode> | undefined): InspectSystem {
  const before = earlier && continuousOf(earlier);
  const system = singleOutputs(discreteOperands(node, valuesOf({ module, node })));
  const channels = Number(node.type.dims.at(-1)?.size);
  const stored = storedSystems(system);
  const poles = polesOf(system, before);
  const differing = different(system, poles);
  const shown = spread(differing.length, SHOWN_CHANNELS).map((i) => differing[i] ?? 0);
  const poled = spread(stored, system.structure === "diagonal" ? Math.max(SHOWN_CHANNELS, SHOWN_POLES / node.form.state) : SHOWN_CHANNELS);
  // Of a diagonal system every pole counts, of others those that are drawn: eigenvalues cost.
  const counted = system.structure === "diagonal" ? spread(stored, stored) : poled;
  const spans = counted.map((h) => poles(h));
  const drawn = poled.map((h) => spans[counted.indexOf(h)] ?? poles(h));
  const frequencies = telling(shown.flatMap((h) => poles(h).discrete));
  const samples = spans.flatMap(({ discrete }) => discrete.map(memory));
  return {
    name: nameOf(module.graph, node),
    form: describeForm(earlier?.node.form ?? node.form, node.form, channels, stored),
    channels: stored,
    continuous: drawn.flatMap(({ continuous }) => continuous.map(({ pole }) => [pole.re, pole.im] as const)),
    discrete: drawn.flatMap(({ discrete }) => discrete.map((z) => [z.re, z.im] as const)),
    poleChannels: poled.length,
    // A real output of a complex state has the conjugate of every pole among its own.
    mirrored: system.structure === "diagonal",
    timeConstants: spreadOf(spans.flatMap(({ continuous }) => continuous.map(({ pole }) => timeConstant(pole)))),
    memory: spreadOf(samples),
    spreadChannels: counted.length,
    impulses: impulsesOf(system, shown, poles),
    spectrum: shown.map((h) => spectrumOf(`channel ${h}`, transferFunction(system, h), frequencies)),
    basis: before === undefined ? [] : basisOf(before.system, differing),
  };
}

/**
 * The stored systems to choose from: all, or of those with one state each (the modes of a system of several inputs and
 * outputs) one for every mode.
 */
function different(system: DiscreteSystem, poles: (h: number) => Poles): readonly number[] {
  const all = Array.from({ length: storedSystems(system) }, (_, h) => h);
  if (system.structure !== "diagonal" || system.abar.shape[1] !== 1) return all;
  const modes = all.map((h): [string, number] => [
    poles(h)
      .discrete.map(({ re, im }) => `${re} ${Math.abs(im)}`)
      .join(),
    h,
  ]);
  return [...new Map(modes.toReversed()).values()].toSorted((a, b) => a - b);
}

/** Channels of one state each as the states of one channel. */
function sideBySide(system: DiagonalSystem, channels: readonly number[]): DiagonalSystem {
  const of = (data: Float64Array): Float64Array => Float64Array.from(channels.flatMap((h) => [...data.subarray(2 * h, 2 * h + 2)]));
  return { ...system, channels: 1, states: channels.length, A: of(system.A), B: of(system.B), C: of(system.C) };
}

interface Poles {
  readonly continuous: readonly TimedPole[];
  readonly discrete: readonly Complex[];
}

/** The poles of a stored system, each computed once. */
function polesOf(system: DiscreteSystem, before: Continuous | undefined): (h: number) => Poles {
  const known = new Map<number, Poles>();
  const compute = (h: number): Poles => {
    if (before === undefined) return { continuous: [], discrete: discretePoles(system, h) };
    const continuous = continuousPoles(before.system, h);
    return { continuous, discrete: discretized(continuous, before.rule) };
  };
  return (h) => {
    const poles = known.get(h) ?? compute(h);
    known.set(h, poles);
    return poles;
  };
}

/** Each over its own channel's memory. */
function impulsesOf(system: DiscreteSystem, shown: readonly number[], poles: (h: number) => Poles): InspectSystem["impulses"] {
  return shown.map((channel) => {
    const all = poles(channel).discrete.map(memory);
    const lasting = all.filter((samples) => samples < Infinity);
    const reach = lasting.length === 0 && all.length > 0 ? ENDLESS : Math.ceil(MEMORIES * Math.max(0, ...lasting));
    const steps = Math.min(LONGEST, Math.max(SHORTEST, reach));
    const [values = bug("no response")] = impulseResponses(system, [channel], steps);
    return { channel, values };
  });
}

function basisOf(system: ContinuousSystem, differing: readonly number[]): InspectCurve[] {
  const alone = system.structure === "diagonal" && system.states === 1;
  const { duration, states } = basisFunctions(alone ? sideBySide(system, differing) : system, 0, SHOWN_STATES, BASIS_POINTS);
  return states.map(({ state, values }) => ({
    label: alone ? `channel ${differing[state]}` : `state ${state}`,
    points: Array.from(values, (value, k) => [(duration * k) / (BASIS_POINTS - 1), value] as const),
  }));
}

const spectrumOf = (label: string, transfer: Transfer, frequencies: Float64Array): InspectCurve => ({
  label,
  // Infinite at a pole on the circle.
  points: Array.from(frequencies, (f) => [f, abs(transfer(onCircle(f)))] as const).filter(([, magnitude]) => magnitude < Infinity),
});

/** What a system has that has neither poles nor a kernel. */
const bare = {
  continuous: [],
  discrete: [],
  poleChannels: 0,
  mirrored: false,
  timeConstants: undefined,
  memory: undefined,
  spreadChannels: 0,
  impulses: [],
  spectrum: [],
  basis: [],
} as const;

const varying = (graph: Graph, node: SsmNode, states: number): InspectSystem => ({
  ...bare,
  name: nameOf(graph, node),
  form: `HiPPO-LegS, A / t: varies in time, so that it has neither poles nor a kernel; ${countOf(states, "state")} a channel`,
  channels: 0,
});

/** What such a recurrence multiplies its state by is made of the input. */
const selective = (graph: Graph, node: SsmNode, { heads, state, width, groups }: SelectiveForm): InspectSystem => ({
  ...bare,
  name: ownName(graph, node) ?? `selective recurrence %${graph.nodes.indexOf(node)}`,
  form: `selective: the input decides what is kept, so that it has neither poles nor a kernel; ${countOf(heads, "head")} of ${state} x ${width} numbers in ${countOf(groups, "group")}`,
  channels: 0,
});

/** A system without poles: its kernel is its impulse response. */
function convolution(module: Module, node: ConvNode): InspectSystem {
  const [weight = bug("a convolution has a kernel")] = valuesOf({ module, node });
  const [channels = 0, K = 1] = weight.shape;
  const shown = spread(channels, SHOWN_CHANNELS);
  const kernel = (h: number): Float64Array => weight.data.slice(h * K, (h + 1) * K).reverse();
  return {
    ...bare,
    name: nameOf(module.graph, node),
    form: `a convolution of ${K} taps; ${countOf(channels, "channel")}`,
    channels,
    impulses: shown.map((channel) => ({ channel, values: kernel(channel) })),
    spectrum: shown.map((h) => spectrumOf(`channel ${h}`, kernelTransfer(kernel(h)), telling([]))),
  };
}

/** The operands after x. */
const valuesOf = ({ module: { graph, constants }, node }: Place<SsmNode | ConvNode>): Constant[] =>
  node.args.slice(1, ownArity(node)).map((a) => constantValue(graph.nodes, constants, a, node.loc));

/** `s4_layers.0` of `s4_layers.0:abar`. */
const nameOf = ({ nodes }: Graph, node: SsmNode | ConvNode): string =>
  paramNames(nodes, node.args.slice(1, 2))[0]?.replace(/[.:][^.:]*$/, "") ?? `${node.op} ${formatLoc(node.loc)}`;

/** The layer of the parameters that a recurrence reads, such as that of A; its other operands come from the input. */
function ownName({ nodes }: Graph, { args }: SsmNode): string | undefined {
  const made = new Set<number>();
  nodes.forEach((node, id) => {
    if (node.op === "input" || node.args.some((arg) => made.has(arg))) made.add(id);
  });
  const own = args.filter((arg) => !made.has(arg));
  return paramNames(nodes, own)[0]?.replace(/[.:][^.:]*$/, "");
}

/** Up to `most` of `count`, evenly spread from the first on. */
function spread(count: number, most: number): number[] {
  const shown = Math.min(Math.floor(most), count);
  return Array.from({ length: shown }, (_, i) => Math.floor((i * count) / shown));
}

const structures = { diagonal: "diagonal", dense: "dense", dplr: "normal plus low rank" } as const;

const countOf = (count: number, what: string): string => `${count} ${what}${count === 1 ? "" : "s"}`;

function describeForm(before: SsmForm, after: SsmForm, channels: number, stored: number): string {
  const kind = (form: SsmForm): string => ("structure" in form ? structures[form.structure] : form.stage);
  const found = kind(before) === kind(after) ? kind(after) : `${kind(before)}, ${kind(after)} when discretized`;
  const pairs = before.stage === "continuous" && before.pairs ? " (one of each conjugate pair)" : "";
  const rule = before.stage === "continuous" ? `; ${before.discretization}` : "";
  const shared = stored === 1 && channels > 1 ? " that share one system" : "";
  return `${found}; ${countOf(before.state, "stored state")}${pairs}; ${countOf(channels, "channel")}${shared}${rule}`;
}
