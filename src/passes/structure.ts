/**
 * The pass `structure`: state space models as their families declare them become A, B, C, D and step size as numbers, in
 * the cheapest form that is exact. What the forms are is said in `SsmForm`; the mathematics is in `src/ssm/`.
 */
import { bug, CompileError } from "../ir/error.ts";
import { arg, call } from "../ir/expr.ts";
import type { Constant, Node, SsmForm, SsmNode, ValueId } from "../ir/graph.ts";
import { dropDead, rebuild } from "../ir/rewrite.ts";
import { discretizationNamed } from "../ssm/discretizations.ts";
import { familyNamed } from "../ssm/families.ts";
import { familySystem } from "../ssm/evaluate.ts";
import { describeUnstable, unstablePoles } from "../ssm/poles.ts";
import { findStructure, type StructureChoice, structureChoices } from "../ssm/structure.ts";
import { splitStates, type StatesBetween } from "../ssm/mimo.ts";
import { type ContinuousSystem, type FirSystem, splitInputs, type StateSystem, tapsOf } from "../ssm/system.ts";
import { describeWindow } from "../ssm/window.ts";
import { commonPrefix, constantValue, constantWriter, type NewConstant, paramNames } from "./operands.ts";
import type { Pass, PassContext } from "./pass.ts";

type FamilyForm = Extract<SsmForm, { stage: "family" }>;

/**
 * `ssm` of a family and its parameters -> `ssm` continuous of A, B, C, D, delta; a dense A that is normal -> its poles; a finite
 * response -> `conv`.
 */
export const structure: Pass = {
  name: "structure",
  doc: "Turns families into A, B, C, D and step size, finds diagonal and normal state matrices, halves conjugate pairs.",
  needs: ["initialized"],
  ensures: ["structured"],
  run: ({ graph, constants }, context) => {
    const values = new Map(constants);
    const writer = constantWriter(values);
    const done = new Map<string, Structured>();
    const next = rebuild(graph, (node, emit, nodes) => {
      if (node.op !== "ssm" || node.form.stage !== "family") return emit(node);
      const { form } = node;
      const key = JSON.stringify([form, node.args.slice(1), node.type.dims.at(-1)?.size]);
      const known = done.get(key) ?? structureNode(node, form, nodes, values, context);
      const operands = known.operands ?? writer.write(known.prefix, constantsOf(known.system), emit);
      done.set(key, { ...known, operands });
      return emitNode(node, { ...known, operands }, emit, (parts) => writer.write(known.prefix, parts, emit));
    });
    return { graph: dropDead(next), constants: values };
  },
};

/** A node's system in its final form, and where its constants are once they are written. */
interface Structured {
  readonly prefix: string;
  readonly system: ContinuousSystem | FirSystem;
  /** Inputs and outputs of a group of channels: outputs of several inputs are summed. */
  readonly inputs: number;
  readonly outputs: number;
  /** What turns the input into that of `system`, and its outputs into the node's, where it is part of one of all channels. */
  readonly between?: StatesBetween;
  readonly operands?: readonly ValueId[];
}

function structureNode(
  node: SsmNode,
  form: FamilyForm,
  nodes: readonly Node[],
  values: ReadonlyMap<string, Constant>,
  context: PassContext,
): Structured {
  const own = node.args.slice(1);
  const prefix = commonPrefix(paramNames(nodes, own), `ssm${nodes.length}`);
  const xDims = nodes[node.args[0] ?? -1]?.type.dims;
  const channels = Number(xDims?.at(-1)?.size);
  const system = familySystem(
    form,
    own.map((id) => constantValue(nodes, values, id, node.loc)),
    { channels, rate: context.rate, loc: node.loc },
  );
  if (system.structure === "fir") return finite(system, form.family, prefix, node, context);
  checkFinite(system, prefix, node);
  const warning = describeUnstable(unstablePoles(system));
  if (warning !== undefined) context.warn(`${prefix}: ${warning}`);
  if (system.structure === "mimo") {
    context.note(
      `${prefix}: ${form.family}, one diagonal system of all channels, ${system.states} states${system.pairs ? ", one of each conjugate pair" : ""}`,
    );
    const between = splitStates(system);
    return { prefix, system: between.system, inputs: 1, outputs: 1, between };
  }
  if (system.structure === "diagonal") {
    context.note(
      `${prefix}: ${form.family}, diagonal, ${system.states} states a channel${system.pairs ? ", one of each conjugate pair" : ""}`,
    );
    return { prefix, system, inputs: 1, outputs: 1 };
  }
  if (system.structure === "dplr") {
    context.note(
      `${prefix}: ${form.family}, normal plus rank ${system.rank}, ${system.states} states a channel, one of each conjugate pair`,
    );
    return { prefix, system, inputs: 1, outputs: 1 };
  }
  const { inputs, outputs } = system;
  const copies = channels / inputs;
  const given = Number(node.type.dims.at(-1)?.size);
  if (!Number.isInteger(copies) || copies * outputs !== given || ![1, copies].includes(system.groups)) {
    const message = `${prefix}: ${system.groups} systems of ${inputs} inputs and ${outputs} outputs do not turn ${channels} channels into ${given}`;
    throw new CompileError({
      code: "ssm-shape",
      message,
      fix: "give it a multiple of the columns of B as channels, and one system or one for each such group",
      loc: node.loc,
    });
  }
  const range = describeWindow(system, form.options, context.maxLength ?? Infinity);
  if (range !== undefined) context.warn(`${prefix}: ${range}`);
  const found = findStructure(splitInputs(system, copies), channels, {
    choice: structureChoice(form),
    name: prefix,
    rule: discretizationNamed(form.discretization, node.loc),
    loc: node.loc,
  });
  context.note(`${prefix}: ${found.note}`);
  return { prefix, system: found.system, inputs, outputs };
}

function finite(system: FirSystem, family: string, prefix: string, { loc }: SsmNode, { rate = 1, note, warn }: PassContext): Structured {
  if (!system.kernel.every(Number.isFinite)) throw notFinite("the kernel", prefix, loc);
  note(`${prefix}: ${family}, a finite response of ${system.taps} taps`);
  if (rate !== 1 && familyNamed(family).structure === "fir")
    warn(`${prefix}: the taps of ${family} are made for one sampling rate and stay as they are`);
  return { prefix, system, inputs: 1, outputs: 1 };
}

/** The form that the user asks for; the family has checked that it is one. */
function structureChoice(form: FamilyForm): StructureChoice {
  return structureChoices.find((choice) => choice === form.options["structure"]) ?? "auto";
}

function checkFinite(system: StateSystem, prefix: string, node: SsmNode): void {
  const { A, B, C, D, delta } = system;
  const bad = Object.entries({ A, B, C, D, P: system.structure === "dplr" ? system.P : D, "step size": delta }).find(
    ([, data]) => !data.every(Number.isFinite),
  );
  if (bad !== undefined) throw notFinite(bad[0], prefix, node.loc);
  if (!delta.every((d) => d > 0))
    throw new CompileError({
      code: "ssm-delta",
      message: `a step size of ${prefix} is not positive`,
      fix: "give a step size above 0",
      loc: node.loc,
    });
}

const notFinite = (what: string, prefix: string, loc: SsmNode["loc"]): CompileError =>
  new CompileError({
    code: "ssm-not-finite",
    message: `${what} of ${prefix} is not finite`,
    fix: "check the weights, and the formulas of its entries, for overflow and division by zero",
    loc,
  });

function constantsOf(system: Structured["system"]): readonly NewConstant[] {
  if (system.structure === "fir") return [{ role: "taps", dims: ["H", "K"], value: tapsOf(system) }];
  const n = system.states;
  const part = (role: "A" | "B" | "C" | "D" | "delta", dims: readonly string[], shape: readonly number[]): NewConstant => ({
    role,
    dims,
    value: { shape, data: system[role] },
  });
  const stored = system.structure === "dense" ? system.groups : system.channels;
  const outputs = system.D.length / stored;
  const [ofOutputs, each] = outputs === 1 ? [[], []] : [["P"], [outputs]];
  if (system.structure === "dense") {
    const g = system.groups;
    return [
      part("A", ["G", "N", "N2"], [g, n, n]),
      part("B", ["G", "N"], [g, n]),
      part("C", ["G", ...ofOutputs, "N"], [g, ...each, n]),
      part("D", ["G", ...ofOutputs], [g, ...each]),
      part("delta", ["G"], [g]),
    ];
  }
  const h = system.channels;
  const vector = (role: "A" | "B"): NewConstant => part(role, ["H", "N", "c"], [h, n, 2]);
  const lowRank: readonly NewConstant[] =
    system.structure === "dplr"
      ? [{ role: "P", dims: ["H", "R", "N", "c"], value: { shape: [h, system.rank, n, 2], data: system.P } }]
      : [];
  return [
    vector("A"),
    ...lowRank,
    vector("B"),
    part("C", ["H", ...ofOutputs, "N", "c"], [h, ...each, n, 2]),
    part("D", ["H", ...ofOutputs], [h, ...each]),
    part("delta", ["H", "N"], [h, n]),
  ];
}

/**
 * The continuous node. Each input drives a state of its own, whose outputs are summed where there are several; a diagonal system has one for
 * each output, so that its input is expanded.
 */
function emitNode(
  node: SsmNode,
  { system, inputs, outputs, between, operands }: Structured,
  emit: (node: Node) => ValueId,
  write: (parts: readonly NewConstant[]) => readonly ValueId[],
): ValueId {
  if (node.form.stage !== "family") return bug("the node is structured already");
  const [x = bug("an ssm has an input")] = node.args;
  const { discretization, along } = node.form;
  const axis = along && { size: along.size, stride: along.stride };
  if (system.structure === "fir") return emit({ op: "conv", axis, type: node.type, args: [x, ...(operands ?? [])], loc: node.loc });
  const { structure: kind, states: state } = system;
  const form: SsmForm = {
    stage: "continuous",
    structure: kind,
    discretization,
    state,
    pairs: system.structure === "diagonal" && system.pairs,
    ...(system.structure === "diagonal" || outputs === 1 ? {} : { outputs }),
  };
  const ssm = (input: ValueId, type: SsmNode["type"]): ValueId =>
    emit({ op: "ssm", form, type, args: [input, ...(operands ?? [])], loc: node.loc });
  if (between !== undefined) return emitBetween(node, between, ssm, emit, write);
  const given = Number(node.type.dims.at(-1)?.size);
  const total = given * inputs;
  /** Channel i of the system is that of copy i / (M P), input i / P % M, output i % P. */
  const copy = (i: number): number => Math.floor(i / (inputs * outputs));
  const wide: SsmNode["type"] = { dtype: "f32", dims: [...node.type.dims.slice(0, -1), { name: "H", size: total }] };
  let driven = x;
  if (kind === "diagonal" && outputs > 1) {
    const [expand = bug("not written")] = write([
      { role: "expand", dims: ["O", "H"], value: matrixOf(total, total / outputs, (i, k) => Math.floor(i / outputs) === k) },
    ]);
    driven = emit({ op: "matmul", parts: 1, type: wide, args: [x, expand], loc: node.loc });
  }
  const y = ssm(driven, wide);
  if (inputs === 1) return y;
  const [sum = bug("not written")] = write([
    { role: "sum", dims: ["O", "H"], value: matrixOf(given, total, (k, i) => copy(i) * outputs + (i % outputs) === k) },
  ]);
  return emit({ op: "matmul", parts: 1, type: node.type, args: [y, sum], loc: node.loc });
}

/** y = C [states](B u) + D u */
function emitBetween(
  node: SsmNode,
  { system, input, output, skip }: StatesBetween,
  ssm: (input: ValueId, type: SsmNode["type"]) => ValueId,
  emit: (node: Node) => ValueId,
  write: (parts: readonly NewConstant[]) => readonly ValueId[],
): ValueId {
  const [x = bug("an ssm has an input")] = node.args;
  const matrix = (data: Float64Array, rows: number): Constant => ({ shape: [rows, data.length / rows], data });
  const [inputId = bug("not written"), outputId = bug("not written"), skipId = bug("not written")] = write([
    { role: "input", dims: ["O", "I"], value: matrix(input, system.channels) },
    { role: "output", dims: ["O", "I"], value: matrix(output, skip.length) },
    { role: "skip", dims: ["H"], value: { shape: [skip.length], data: skip } },
  ]);
  const { loc, type } = node;
  const wide: SsmNode["type"] = { dtype: "f32", dims: [...type.dims.slice(0, -1), { name: "H", size: system.channels }] };
  const driven = emit({ op: "matmul", parts: 1, type: wide, args: [x, inputId], loc });
  const read = emit({ op: "matmul", parts: 1, type, args: [ssm(driven, wide), outputId], loc });
  const sum = call("add", arg(0), call("mul", arg(1), arg(2)));
  return emit({ op: "map", expr: sum, type, args: [read, x, skipId], loc });
}

/** The matrix of ones where `f` holds, and zeros. */
function matrixOf(rows: number, cols: number, f: (i: number, k: number) => boolean): Constant {
  return { shape: [rows, cols], data: Float64Array.from({ length: rows * cols }, (_, i) => (f(Math.floor(i / cols), i % cols) ? 1 : 0)) };
}
