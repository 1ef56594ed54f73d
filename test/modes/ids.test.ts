/** Ids outside the vocabulary: refused where the host sees them, and the nearest row of the table where only the device does. */
import { expect, test } from "vitest";
import { compileGraph } from "../../src/compile.ts";
import { embed, model, tokens } from "../../src/dsl/index.ts";
import { interpret } from "../../src/ir/interpret.ts";
import { loadCompiled } from "../setup/execute.ts";

const ids = Int32Array.of(-(2 ** 31), -3, -1, 0, 4, 6, 7, 8, 100, 2 ** 31 - 1);
const nearest = ids.map((id) => Math.min(Math.max(id, 0), 6));

test.each([
  ["whole", 1, undefined],
  ["in pieces", 4, 2 * 8 * 4],
])("ids on the device, the table %s", async (_, pieces, bindingLimit) => {
  const { graph } = model("rows", { ids: tokens(7) }, ({ ids: given }) => ({ y: embed(given, { width: 8 }) }));
  const compiled = await compileGraph(graph, new Map(), { maxLength: 16, bindingLimit });
  expect(compiled.plan.buffers.filter(({ kind }) => kind === "weight")).toHaveLength(pieces);
  const loaded = await loadCompiled(compiled);
  const dims = [1, ids.length];
  await expect(loaded.run({ ids: { data: ids, dims } })).rejects.toThrow(/"ids": value 0 is -2147483648; ids are from 0 to 6/);
  const buffer = loaded.device.createBuffer({ size: ids.byteLength, usage: GPUBufferUsage.COPY_SRC | GPUBufferUsage.COPY_DST });
  loaded.device.queue.writeBuffer(buffer, 0, ids);
  const within = await loaded.run({ ids: { data: nearest, dims } });
  expect(new Set(within["y"]?.data).size).toBe(3 * 8);
  for (const mode of loaded.info.modes) expect(await loaded.run({ ids: { data: buffer, dims } }, { mode }), mode).toEqual(within);
  const stream = await loaded.stream();
  expect(await stream.push({ ids: { data: buffer, dims } })).toEqual(within);
  const meaning = interpret(
    compiled.module.graph,
    compiled.module.constants,
    new Map([["ids", { shape: dims, data: Float64Array.from(ids) }]]),
  );
  expect(within["y"]?.data).toEqual(Float32Array.from(meaning.outputs.get("y")?.data ?? []));
  buffer.destroy();
});
