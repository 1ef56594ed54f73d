/** The golden S4 blocks: their configuration as a graph of our layers, their weights, their inputs and outputs. */
import { readFileSync } from "node:fs";
import { model, sequence } from "../../src/dsl/index.ts";
import type { Constant, Constants, Graph } from "../../src/ir/graph.ts";
import { s4Block, type S4BlockOptions } from "../../src/models/index.ts";
import { loadWeights } from "../../src/weights/load.ts";
import { bytesSource, openSafetensors, type TensorFile } from "../../src/weights/safetensors.ts";
import { schemeNamed } from "../../src/weights/schemes.ts";

const folder = new URL("../../../shared/golden/s4/", import.meta.url);
const tensors = (name: string): Promise<TensorFile> => openSafetensors(bytesSource(readFileSync(new URL(name, folder)), name));

/** A golden block's configuration; what is absent is the published code's default. */
export interface BlockConfig {
  readonly d_model: number;
  readonly d_state: number;
  readonly mode: "dplr" | "diag";
  readonly l_max?: number | null;
  readonly disc?: "zoh" | "bilinear" | "dss";
  readonly channels?: number;
  readonly n_ssm?: number;
  readonly rank?: number;
  readonly bandlimit?: number;
  readonly bidirectional?: boolean;
  readonly dt_tie?: boolean;
  readonly real_transform?: "softplus";
  readonly dt_transform?: "softplus";
  readonly activation?: "glu";
  readonly mult_act?: "tanh";
  readonly final_act?: "glu" | "id" | "relu" | null;
}

/** One golden block. */
export interface GoldenBlock {
  readonly config: BlockConfig;
  readonly graph: Graph;
  readonly constants: Constants;
  /** Names of the tensors of its inputs and outputs. */
  readonly names: ReadonlySet<string>;
  readonly read: (name: string) => Promise<Constant>;
}

/** The kernel as long as the sequence, or cut off where the configuration says so. */
export type Kernel = "whole" | "cut";

function s4Options(config: BlockConfig, length: number, kernel: Kernel): S4BlockOptions {
  const { disc, n_ssm, bandlimit, real_transform, dt_transform, activation, mult_act, final_act = "glu" } = config;
  return {
    state: config.d_state,
    mode: config.mode === "dplr" ? "dplr" : "diagonal",
    channels: config.channels ?? 1,
    rank: config.rank ?? 1,
    bidirectional: config.bidirectional ?? false,
    untied: config.dt_tie === false,
    transforms: {
      ...(real_transform === undefined ? {} : { real: real_transform }),
      ...(dt_transform === undefined ? {} : { delta: dt_transform }),
    },
    ...(kernel === "cut" && typeof config.l_max === "number" ? { lMax: config.l_max } : {}),
    finalAct: final_act ?? "none",
    ...(activation === undefined ? {} : { activation }),
    ...(mult_act === undefined ? {} : { multAct: mult_act }),
    ...(n_ssm === undefined ? {} : { ssms: n_ssm }),
    ...(bandlimit === undefined ? {} : { bandlimit }),
    ...(disc === undefined ? {} : { discretize: disc === "dss" ? (`dss(${length})` as const) : disc }),
  };
}

/** The block as a graph of input `x` and output `y`, for sequences of `length` steps where the configuration needs to know. */
export function blockGraph(config: BlockConfig, length: number, kernel: Kernel): Graph {
  return model("block", { x: sequence(config.d_model) }, ({ x }) => ({ y: s4Block(x, s4Options(config, length, kernel)) })).graph;
}

/** Reads a golden block by its name. */
export async function goldenBlock(name: string, kernel: Kernel = "whole"): Promise<GoldenBlock> {
  const { config } = JSON.parse(readFileSync(new URL(`${name}.json`, folder), "utf8")) as { readonly config: BlockConfig };
  const io = await tensors(`${name}.io.safetensors`);
  const length = io.entries.get("x")?.shape[1] ?? 0;
  const graph = blockGraph(config, length, kernel);
  const constants = await loadWeights(graph, await tensors(`${name}.safetensors`), schemeNamed("s4block"));
  const read = async (tensor: string): Promise<Constant> => ({ shape: io.entries.get(tensor)?.shape ?? [], data: await io.read(tensor) });
  return { config, graph, constants, names: new Set(io.entries.keys()), read };
}
