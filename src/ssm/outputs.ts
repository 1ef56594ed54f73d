/** Systems with several outputs a channel as systems with one each, for reading them (`recurve inspect`): every output has its state by itself. */
import type { Constant } from "../ir/graph.ts";
import type { DiscreteSystem } from "../ir/interpret.ts";
import type { ContinuousSystem } from "./system.ts";

/** Each of `rows` equal parts `times` times. */
function repeated(data: Float64Array, rows: number, times: number): Float64Array {
  const size = data.length / rows;
  return Float64Array.from({ length: data.length * times }, (_, i) => data[Math.floor(i / (size * times)) * size + (i % size)] ?? NaN);
}

/** The same with as many systems as outputs. */
export function singleOutputs(system: DiscreteSystem): DiscreteSystem {
  if (system.structure === "diagonal") return system;
  const [stored = 0] = system.abar.shape;
  const times = system.d.data.length / stored;
  if (times === 1) return system;
  const each = ({ shape, data }: Constant): Constant => ({
    shape: [stored * times, ...shape.slice(1)],
    data: repeated(data, stored, times),
  });
  const flat = ({ shape, data }: Constant): Constant => ({ shape: [stored * times, ...shape.slice(2)], data });
  const own = { abar: each(system.abar), bbar: each(system.bbar), c: flat(system.c), d: flat(system.d) };
  return system.structure === "dense"
    ? { structure: "dense", ...own }
    : { structure: "dplr", ...own, p: each(system.p), q: each(system.q) };
}

/** The same with as many systems as outputs. */
export function singleContinuousOutputs(system: ContinuousSystem): ContinuousSystem {
  if (system.structure === "diagonal") return system;
  const stored = system.structure === "dense" ? system.groups : system.channels;
  const times = system.D.length / stored;
  if (times === 1) return system;
  const each = (data: Float64Array): Float64Array => repeated(data, stored, times);
  const own = { A: each(system.A), B: each(system.B), delta: each(system.delta) };
  return system.structure === "dense"
    ? { ...system, ...own, groups: stored * times, outputs: 1 }
    : { ...system, ...own, channels: stored * times, P: each(system.P) };
}
