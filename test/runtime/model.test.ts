/** `run`: whole sequences in every mode, inputs in every form, batches split, and what goes wrong. */
import { afterEach, expect, test, vi } from "vitest";
import { InputError, LimitError } from "../../src/runtime/index.ts";
import { GAIN, plan, reference, signal } from "./integrator.ts";
import { atSubmit, count, counting, expectClose, expectNothingLeft, loadIntegrator } from "./setup.ts";
import { readFloats, testDevice } from "../setup/gpu.ts";

afterEach(expectNothingLeft);

test.each(["auto", "convolution", "recurrence"] as const)("mode %s computes the sequence", async (mode) => {
  const model = await loadIntegrator();
  const u = signal(3 * 300);
  const { y, last } = await model.run({ u }, { mode, batch: 3 });
  const expected = reference(u, 3);
  expectClose(y.data, expected.y);
  expectClose(last.data, expected.last);
  expect([y.dims, last.dims]).toEqual([
    [3, 300, 1],
    [3, 1],
  ]);
  model.destroy();
});

test("inputs come plain, with dims, or as a GPUBuffer; outputs stay on the device on request", async () => {
  const device = counting(await testDevice());
  const model = await loadIntegrator({ device });
  const u = signal(40);
  const { y } = reference(u, 2);
  expectClose((await model.run({ u }, { batch: 2 })).y.data, y);
  expectClose((await model.run({ u: { data: u, dims: [2, 20, 1] } })).y.data, y);
  const buffer = device.createBuffer({ size: 160, usage: GPUBufferUsage.COPY_SRC | GPUBufferUsage.COPY_DST });
  device.queue.writeBuffer(buffer, 0, u);
  const onDevice = await model.run({ u: { data: buffer, dims: [2, 20, 1] } }, { onDevice: true });
  buffer.destroy();
  expect(onDevice.y.dims).toEqual([2, 20, 1]);
  const left = await readFloats(device, onDevice.y.data);
  expectClose(left, y);
  // The output of one call is an input of the next.
  expectClose((await model.run({ u: onDevice.y })).y.data, reference(left, 2).y);
  onDevice.y.data.destroy();
  onDevice.last.data.destroy();
  model.destroy();
  // The device stays the caller's, and alive.
  expect(await Promise.race([device.lost, device.queue.onSubmittedWorkDone()])).toBeUndefined();
});

test("a batch that needs more memory than allowed is split, in every form of input and output", async () => {
  const model = await loadIntegrator({ memory: 5000 });
  const u = signal(13 * 100);
  const expected = reference(u, 13);
  for (const mode of ["convolution", "recurrence"] as const) {
    const host = await model.run({ u }, { batch: 13, mode });
    expectClose(host.y.data, expected.y);
    expectClose(host.last.data, expected.last);
  }
  const onDevice = await model.run({ u }, { batch: 13, onDevice: true });
  expectClose(await readFloats(model.device, onDevice.y.data), expected.y);
  const back = await model.run({ u: { data: onDevice.last.data, dims: [13, 1, 1] } });
  expectClose(
    back.y.data,
    expected.last.map((value) => GAIN * value),
  );
  onDevice.y.data.destroy();
  onDevice.last.data.destroy();
  model.destroy();
});

test("a device's binding limit splits the batch, and is named where one sequence breaks it", async () => {
  const device = counting(await testDevice());
  const most = device.limits.maxStorageBufferBindingSize;
  const z = plan.buffers.findIndex((spec) => spec.kind === "temp");
  const hungry = (bytes: number): typeof plan.buffers =>
    plan.buffers.map((spec, i) => (i === z ? { kind: "temp", size: (d) => (d.B * bytes) / 4 } : spec));
  const u = signal(6 * 10);
  const splitting = await loadIntegrator({ device }, { buffers: hungry(most / 2.5) });
  expectClose((await splitting.run({ u }, { batch: 6 })).y.data, reference(u, 6).y);
  splitting.destroy();
  const model = await loadIntegrator({ device }, { buffers: hungry(most + 4) });
  await expect(model.run({ u })).rejects.toMatchObject({
    name: "LimitError",
    limit: "maxStorageBufferBindingSize",
    needed: most + 4,
    got: most,
  });
  model.destroy();
});

test("the length expected is compiled at load, and no other", async () => {
  const device = counting(await testDevice());
  const compile = vi.spyOn(device, "createComputePipelineAsync");
  const model = await loadIntegrator({ device, length: 50 });
  const { length } = compile.mock.calls;
  await model.run({ u: signal(50) });
  expect(compile.mock.calls.length).toBe(length);
  model.destroy();
  compile.mockClear();
  const lazy = await loadIntegrator({ device });
  expect(compile.mock.calls.length).toBeLessThan(length);
  lazy.destroy();
});

test("a kernel that needs more workgroup memory than the device has is a LimitError at load", async () => {
  const kernels = plan.kernels.map((kernel) => ({ ...kernel, shared: () => 1 << 20 }));
  await expect(loadIntegrator({}, { kernels })).rejects.toMatchObject({
    name: "LimitError",
    limit: "maxComputeWorkgroupStorageSize",
    needed: 1 << 20,
  });
});

test("tables and spectra of the last few lengths are kept, and older ones freed", async () => {
  const model = await loadIntegrator();
  for (const L of [2, 4, 8, 16]) await model.run({ u: signal(L) });
  const { alive } = count;
  for (const L of [32, 64, 128, 2, 4, 8, 16]) expectClose((await model.run({ u: signal(L) })).y.data, reference(signal(L)).y);
  // Inputs, outputs and the staging buffer have grown, but none is more.
  expect(count.alive).toBe(alive);
  const { created } = count;
  await model.run({ u: signal(16) });
  await model.run({ u: signal(7) });
  expect(count.created).toBe(created);
  model.destroy();
});

const bad: readonly (readonly [string, unknown, object, string, string | undefined])[] = [
  ["no inputs", undefined, {}, "u", undefined],
  ["a missing input", {}, {}, "u", undefined],
  ["an unknown input", { u: signal(4), v: signal(4) }, {}, "v", undefined],
  ["the wrong dtype", { u: new Int32Array(4) }, {}, "u", undefined],
  ["a plain list", { u: [1, 2, 3] }, {}, "u", undefined],
  ["a count that the batch does not divide", { u: signal(7) }, { batch: 2 }, "u", "L"],
  ["no values", { u: signal(0) }, {}, "u", "L"],
  ["too many time steps", { u: signal(1001) }, {}, "u", "L"],
  ["too many dims", { u: { data: signal(4), dims: [1, 4] } }, {}, "u", undefined],
  ["dims of another width", { u: { data: signal(4), dims: [1, 2, 2] } }, {}, "u", "C"],
  ["dims that are not counts", { u: { data: signal(4), dims: [1, -4, 1] } }, {}, "u", undefined],
  ["dims that the values do not fill", { u: { data: signal(4), dims: [1, 5, 1] } }, {}, "u", undefined],
  ["dims against the batch", { u: { data: signal(4), dims: [1, 4, 1] } }, { batch: 2 }, "u", "B"],
  ["a batch that is no count", { u: signal(4) }, { batch: 0.5 }, "u", "B"],
  ["a mode the model has not", { u: signal(4) }, { mode: "scan" }, "mode", undefined],
];
test.each(bad)("%s: InputError", async (_what, inputs, options, input, dim) => {
  const model = await loadIntegrator();
  const error: unknown = await model.run(inputs as { u: Float32Array }, options).catch((reason: unknown) => reason);
  expect(error).toBeInstanceOf(InputError);
  expect(error).toMatchObject({ code: "input-invalid", input, dim });
  model.destroy();
});

test("a GPUBuffer that cannot be copied from is an InputError, and the model goes on", async () => {
  const device = counting(await testDevice());
  const model = await loadIntegrator({ device });
  const buffer = device.createBuffer({ size: 16, usage: GPUBufferUsage.STORAGE });
  await expect(model.run({ u: buffer })).rejects.toMatchObject({ name: "InputError", input: "u" });
  buffer.destroy();
  expectClose((await model.run({ u: signal(4) })).y.data, reference(signal(4)).y);
  model.destroy();
});

test("concurrent calls of different sizes do not disturb each other", async () => {
  const model = await loadIntegrator();
  const lengths = Array.from({ length: 24 }, (_, i) => 1 + ((i * 37) % 90));
  const results = await Promise.all(
    lengths.map((L, i) => model.run({ u: signal(2 * L, i + 1) }, { batch: 2, mode: i % 3 === 0 ? "recurrence" : "auto" })),
  );
  results.forEach(({ y }, i) => expectClose(y.data, reference(signal(2 * (lengths[i] ?? 0), i + 1), 2).y));
  model.destroy();
});

test("an aborted call rejects with the signal's reason, and the next call is right", async () => {
  const model = await loadIntegrator();
  const reason = new Error("enough");
  await expect(model.run({ u: signal(9) }, { signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
  for (const submits of [1, 2, 4, 9]) {
    const controller = new AbortController();
    const abort = atSubmit(submits, () => controller.abort());
    const running = model.run({ u: signal(1000) }, { mode: "recurrence", signal: controller.signal });
    await expect(running).rejects.toMatchObject({ name: "AbortError" });
    expect(abort.done).toBe(true);
  }
  for (const mode of ["recurrence", "convolution"] as const)
    expectClose((await model.run({ u: signal(1000) }, { mode })).y.data, reference(signal(1000)).y);
  model.destroy();
});

test("NaN and infinity reach the outputs they belong to and no other", async () => {
  const model = await loadIntegrator();
  const u = signal(20);
  u[15] = NaN;
  const { y } = await model.run({ u }, { batch: 2 });
  expect([...y.data].map(Number.isNaN)).toEqual(Array.from({ length: 20 }, (_, i) => i >= 15));
  model.destroy();
});

test("info states the model", async () => {
  const model = await loadIntegrator();
  expect(model.info).toMatchObject({
    name: "integrator",
    maxLength: 1000,
    period: 1,
    modes: ["convolution", "recurrence"],
    inputs: [{ name: "u", dims: ["B", "L", 1] }],
  });
  expect(Object.values(model.info.adapter).some((text) => text !== "")).toBe(true);
  model.destroy();
});

test("after destroy every call rejects, also one in flight", async () => {
  const model = await loadIntegrator();
  const stream = await model.stream();
  const running = model.run({ u: signal(1000) }, { mode: "recurrence" });
  const waiting = stream.push({ u: signal(3) });
  atSubmit(2, () => model.destroy());
  await expect(running).rejects.toMatchObject({ name: "DeviceLostError" });
  await expect(waiting).rejects.toMatchObject({ name: "DeviceLostError" });
  await expect(model.run({ u: signal(3) })).rejects.toMatchObject({ name: "DeviceLostError" });
  await expect(stream.save()).rejects.toMatchObject({ name: "DeviceLostError" });
});

test("LimitError carries what it says", () => {
  expect(new LimitError("maxBufferSize", 10, 5)).toMatchObject({ message: "maxBufferSize: 10 needed, 5 available", code: "device-limit" });
});
