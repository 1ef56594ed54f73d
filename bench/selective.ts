/**
 * The selective scan of Mamba, one sequence: against the same recurrence as one dispatch a step and as one lane a channel over
 * the whole length, both of which the plan has kernels for. Timings are this adapter's; bytes are what every adapter moves.
 */
import { evaluatePlan } from "../src/codegen/plan-source.ts";
import { compileGraph, type Compiled } from "../src/compile.ts";
import { arg, call } from "../src/ir/expr.ts";
import { dimsFor, estimate } from "../src/passes/mode.ts";
import type { Mode, Plan } from "../src/runtime/plan.ts";
import { mamba } from "../src/ssm/recurrences/mamba.ts";
import type { Terms } from "../src/ssm/recurrence.ts";
import { type Given, recurrenceGraph } from "../test/selective/build.ts";
import { loadPlan } from "../test/setup/execute.ts";
import { random } from "../test/setup/random-graph.ts";
import { sharedDevice } from "../test/setup/shared-device.ts";
import { isSoftware } from "../src/cli/adapter.ts";
import { hasClock, milliseconds, warm } from "./timestamps.ts";
import type { Bench, Figure } from "./figure.ts";

const [H, N] = [512, 16];
/** So many channels do not go four to a lane: what the plan has for them is the baseline of one lane a channel. */
const odd = H + 2;
const inputs = (channels: number) => ({ u: channels, dt: channels, B: N, C: N, z: channels });

/** S6 on channels of 16 states, times silu of a gate. */
async function scan(maxLength: number, channels = H): Promise<Compiled> {
  const gate = call("mul", arg(0), call("mul", arg(1), call("sigmoid", arg(1))));
  const around = { result: (t: Terms, y: number, { input }: Given) => t.map(gate, y, input("z", channels)) };
  const { graph } = recurrenceGraph(mamba, { H: channels, N, P: 1, G: 1 }, around);
  const values = (size: number, value: (i: number) => number) => ({
    shape: [size],
    data: Float64Array.from({ length: size }, (_, i) => value(i)),
  });
  const constants = new Map([
    ["A_log", values(channels * N, (i) => Math.log((i % N) + 1))],
    ["D", values(channels, () => 1)],
  ]);
  return compileGraph(graph, constants, { maxLength });
}

/** The kernels that the plan has for the scan, in its order. */
const kernels = ["four channels a lane (what software adapters run)", "slices of time within workgroups (what a GPU runs)"] as const;

/** The plan with one of them for every device. */
function only(plan: Plan, kernel: number): Plan {
  const { scan: all } = plan.whole;
  if (all?.body.length !== kernels.length) throw new Error("the plan has other kernels");
  const body = all.body.filter((_, i) => i === kernel).map((dispatch) => ({ ...dispatch, when: () => true }));
  return { ...plan, whole: { ...plan.whole, scan: { ...all, body } } };
}

/** Milliseconds of the fastest of several runs, inputs and outputs left on the device. */
async function fastest(plan: Plan, { shards }: Compiled, mode: Mode, L: number, runs: number, channels = H): Promise<number> {
  const device = await sharedDevice();
  const model = await loadPlan(plan, shards, { device });
  const uniform = random(1);
  const given = Object.fromEntries(
    Object.entries(inputs(channels)).map(([name, width]) => {
      const buffer = device.createBuffer({ size: 4 * L * width, usage: 0x8c });
      const scale = name === "dt" ? 0.1 : 1;
      device.queue.writeBuffer(
        buffer,
        0,
        Float32Array.from({ length: L * width }, () => scale * (uniform() - (name === "dt" ? 0 : 0.5))),
      );
      return [name, { data: buffer, dims: [1, L, width] }];
    }),
  );
  const once = async (): Promise<void> => {
    const { y } = (await model.run(given, { mode, onDevice: true })) as { readonly y: { readonly data: GPUBuffer } };
    y.data.destroy();
  };
  if (hasClock(device)) await warm(device, once);
  else await once();
  let least = Infinity;
  for (let run = 0; run < runs; run++) least = Math.min(least, await milliseconds(device, once));
  model.destroy();
  Object.values(given).forEach(({ data }) => data.destroy());
  return least;
}

async function figures(L: number, stepped: boolean): Promise<Figure[]> {
  const compiled = await scan(L);
  const plan = evaluatePlan(compiled.plan);
  const software = isSoftware((await sharedDevice()).adapterInfo);
  const [several, slices] = [await fastest(only(plan, 0), compiled, "scan", L, 5), await fastest(only(plan, 1), compiled, "scan", L, 5)];
  const alone = await scan(L, odd);
  const lane = await fastest(only(evaluatePlan(alone.plan), 0), alone, "scan", L, 5, odd);
  const chunked = await fastest(plan, compiled, "chunked", L, 3);
  const chosen = plan.choose(dimsFor(1, L)) === "chunked" ? chunked : slices;
  const own = software ? several : chosen;
  const steps = stepped ? await fastest(plan, compiled, "recurrence", L, 2) : undefined;
  const at = (what: string): string => `${what}, L = ${L}`;
  return [
    { name: at(kernels[0]), value: several, unit: "ms" },
    { name: at(kernels[1]), value: slices, unit: "ms" },
    { name: at(`one lane a channel, of ${odd}`), value: lane, unit: "ms" },
    { name: at("chunked, three dispatches"), value: chunked, unit: "ms" },
    ...(steps === undefined
      ? []
      : [
          { name: at("one dispatch a step"), value: steps, unit: "ms" },
          { name: at("one dispatch a step over the scan"), value: steps / own, unit: "", atLeast: 20 },
        ]),
    { name: at("one lane a channel over the scan"), value: lane / own, unit: "", atLeast: !software && L >= 4096 ? 4 : 1 },
  ];
}

/** Bytes of the scan over the least there can be, as a GPU runs it. */
async function traffic(L: number): Promise<Figure[]> {
  const { lowered } = await scan(L);
  return (["scan", "chunked"] as const).map((mode) => {
    const { bytes, minimum } = estimate(lowered.costs.whole[mode]?.body ?? [], dimsFor(1, L));
    const least = mode === "scan" ? minimum : estimate(lowered.costs.whole.scan?.body ?? [], dimsFor(1, L)).minimum;
    return {
      name: `bytes over the minimum, ${mode}, L = ${L}`,
      value: bytes / least,
      unit: "",
      ...(mode === "scan" ? { atMost: 1.3 } : {}),
    };
  });
}

export const selectiveScan: Bench = {
  name: "selective",
  doc: "the selective scan against its baselines",
  device: true,
  run: async () => [...(await traffic(1024)), ...(await figures(1024, true)), ...(await figures(4096, false))],
};
