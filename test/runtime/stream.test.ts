/** Streams: any chunking gives the numbers of the whole; save, restore, fork, reset, abort. */
import fc from "fast-check";
import { afterEach, expect, test } from "vitest";
import { reference, signal } from "./integrator.ts";
import { atSubmit, count, counting, expectClose, expectNothingLeft, loadIntegrator } from "./setup.ts";
import type { TestModel } from "./setup.ts";
import { readFloats, testDevice } from "../setup/gpu.ts";

afterEach(expectNothingLeft);

/** Columns `from` to `to` of `batch` rows. */
function columns(u: Float32Array, batch: number, from: number, to: number): Float32Array {
  const L = u.length / batch;
  return Float32Array.from({ length: batch * (to - from) }, (_, i) => u[Math.floor(i / (to - from)) * L + from + (i % (to - from))] ?? NaN);
}

async function pushAll(
  model: TestModel,
  u: Float32Array,
  batch: number,
  sizes: readonly number[],
): Promise<{ y: Float32Array; last: Float32Array }> {
  const L = u.length / batch;
  const y = new Float32Array(u.length);
  let last = new Float32Array(batch);
  const stream = await model.stream({ batch });
  for (let t = 0, i = 0; t < L; i++) {
    const size = Math.min(sizes[i % sizes.length] ?? 1, L - t);
    const out = await stream.push({ u: columns(u, batch, t, t + size) });
    for (let b = 0; b < batch; b++) y.set(out.y.data.subarray(b * size, (b + 1) * size), b * L + t);
    last = out.last.data as Float32Array<ArrayBuffer>;
    t += size;
    expect(stream.position).toBe(t);
  }
  stream.destroy();
  return { y, last };
}

test("any chunking of a stream equals the whole", async () => {
  const model = await loadIntegrator();
  const chunkings = fc.record({
    batch: fc.integer({ min: 1, max: 5 }),
    L: fc.integer({ min: 1, max: 300 }),
    sizes: fc.array(fc.integer({ min: 1, max: 120 }), { minLength: 1, maxLength: 6 }),
  });
  await fc.assert(
    fc.asyncProperty(chunkings, async ({ batch, L, sizes }) => {
      const u = signal(batch * L, L);
      const expected = reference(u, batch);
      const actual = await pushAll(model, u, batch, sizes);
      expectClose(actual.y, expected.y);
      expectClose(actual.last, expected.last);
    }),
    { numRuns: 25, seed: 7 },
  );
  model.destroy();
});

test("a push longer than one execution takes is split in time, also for buffers of the device", async () => {
  const device = counting(await testDevice());
  const model = await loadIntegrator({ device, memory: 3000 });
  const u = signal(2 * 2500);
  const expected = reference(u, 2);
  const stream = await model.stream({ batch: 2 });
  const host = await stream.push({ u });
  expectClose(host.y.data, expected.y);
  expectClose(host.last.data, expected.last);
  await stream.reset();
  const input = device.createBuffer({ size: u.byteLength, usage: GPUBufferUsage.COPY_SRC | GPUBufferUsage.COPY_DST });
  device.queue.writeBuffer(input, 0, u);
  const onDevice = await stream.push({ u: input }, { onDevice: true });
  expectClose(await readFloats(device, onDevice.y.data), expected.y);
  expectClose((await readFloats(device, onDevice.last.data)).subarray(0, 2), expected.last);
  for (const buffer of [input, onDevice.y.data, onDevice.last.data]) buffer.destroy();
  model.destroy();
});

test("save, restore and fork change nothing", async () => {
  const model = await loadIntegrator();
  const u = signal(60);
  const { y } = reference(u);
  const stream = await model.stream();
  await stream.push({ u: u.subarray(0, 20) });
  const saved = await stream.save();
  expect(saved).toMatchObject({ format: 1, batch: 1, position: 20 });
  const twin = await stream.fork();
  expectClose((await stream.push({ u: u.subarray(20) })).y.data, y.slice(20));
  expectClose((await twin.push({ u: u.subarray(20, 25) })).y.data, y.slice(20, 25));
  expectClose((await twin.push({ u: u.subarray(25) })).y.data, y.slice(25));
  const other = await loadIntegrator();
  const elsewhere = await other.stream({ from: structuredClone(saved) });
  expect(elsewhere.position).toBe(20);
  expectClose((await elsewhere.push({ u: u.subarray(20) })).y.data, y.slice(20));
  await stream.restore(saved);
  expect(stream.position).toBe(20);
  expectClose((await stream.push({ u: u.subarray(20) })).y.data, y.slice(20));
  await stream.reset();
  expectClose((await stream.push({ u })).y.data, y);
  model.destroy();
  other.destroy();
});

test("a saved state of another model, batch or size is an InputError", async () => {
  const model = await loadIntegrator();
  const stream = await model.stream({ batch: 2 });
  const saved = await stream.save();
  const bad = [
    { ...saved, model: "another" },
    { ...saved, batch: 3 },
    { ...saved, position: -1 },
    { ...saved, states: {} },
    { ...saved, states: { x: new Float32Array(3) } },
  ];
  for (const from of bad) {
    await expect(model.stream({ batch: 2, from })).rejects.toMatchObject({ name: "InputError", input: "from" });
    await expect(stream.restore(from)).rejects.toMatchObject({ name: "InputError", input: "from" });
  }
  await expect(model.stream({ batch: 0 })).rejects.toMatchObject({ name: "InputError", input: "batch" });
  model.destroy();
});

test("an aborted push leaves the stream as it was", async () => {
  const model = await loadIntegrator({}, { chooseResume: () => "recurrence" });
  const u = signal(1100);
  const { y } = reference(u);
  const stream = await model.stream();
  await stream.push({ u: u.subarray(0, 100) });
  for (const submits of [1, 3, 9]) {
    const controller = new AbortController();
    const abort = atSubmit(submits, () => controller.abort());
    const pushing = stream.push({ u: u.subarray(100) }, { signal: controller.signal });
    await expect(pushing).rejects.toMatchObject({ name: "AbortError" });
    expect([abort.done, stream.position]).toEqual([true, 100]);
  }
  expectClose((await stream.push({ u: u.subarray(100) })).y.data, y.slice(100));
  model.destroy();
});

test("streams and runs interleave", async () => {
  const model = await loadIntegrator();
  const u = signal(50);
  const { y } = reference(u);
  const streams = await Promise.all([1, 2, 3].map(() => model.stream()));
  const pushes = streams.flatMap((stream, i) =>
    [0, 10, 20, 30, 40]
      .map(async (t) => expectClose((await stream.push({ u: u.subarray(t, t + 10) })).y.data, y.slice(t, t + 10)))
      .concat(model.run({ u: signal(33, i + 1) }).then((out) => expectClose(out.y.data, reference(signal(33, i + 1)).y))),
  );
  await Promise.all(pushes);
  model.destroy();
});

test("a destroyed stream frees its buffers, after the push in flight, and takes no more", async () => {
  const model = await loadIntegrator();
  const first = await model.stream();
  await first.push({ u: signal(3) });
  first.destroy();
  const { alive } = count;
  const stream = await model.stream();
  atSubmit(2, () => stream.destroy());
  expectClose((await stream.push({ u: signal(200) })).y.data, reference(signal(200)).y);
  await expect(stream.push({ u: signal(3) })).rejects.toMatchObject({ name: "DeviceLostError" });
  await model.run({ u: signal(3) });
  expect(count.alive - alive).toBeLessThanOrEqual(8);
  model.destroy();
});
