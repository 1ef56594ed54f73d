/** Lost devices: one of ours is had again and streams go on; a caller's ends in DeviceLostError; nothing hangs. */
import { afterEach, expect, test } from "vitest";
import { reference, signal } from "./integrator.ts";
import { atSubmit, counting, countingGPU, expectClose, expectNothingLeft, loadIntegrator } from "./setup.ts";
import { testDevice } from "../setup/gpu.ts";

afterEach(expectNothingLeft);

test("a device of ours that is lost while idle is had again, and streams continue", async () => {
  const model = await loadIntegrator();
  const u = signal(200);
  const { y, last } = reference(u);
  const stream = await model.stream();
  for (const [from, to] of [
    [0, 5],
    [5, 6],
    [6, 120],
    [120, 130],
  ] as const) {
    expectClose((await stream.push({ u: u.subarray(from, to) })).y.data, y.slice(from, to));
    const lost = model.device;
    lost.destroy();
    await lost.lost;
  }
  const rest = await stream.push({ u: u.subarray(130) });
  expectClose(rest.y.data, y.slice(130));
  expectClose(rest.last.data, last);
  expectClose((await model.run({ u })).y.data, y);
  model.destroy();
});

test("a device lost during a run or a push is had again, and the call gives the right numbers", async () => {
  const model = await loadIntegrator({}, { chooseResume: () => "recurrence" });
  const u = signal(1000);
  const { y } = reference(u);
  const stream = await model.stream();
  await stream.push({ u: u.subarray(0, 10) });
  for (const submits of [1, 2, 5, 9]) {
    const { device } = model;
    atSubmit(submits, () => device.destroy());
    expectClose((await model.run({ u }, { mode: "recurrence" })).y.data, y);
    await device.lost;
  }
  const { device } = model;
  atSubmit(3, () => device.destroy());
  expectClose((await stream.push({ u: u.subarray(10) })).y.data, y.slice(10));
  await device.lost;
  model.destroy();
});

test("a device that cannot be had again is a DeviceLostError", async () => {
  const gpu = countingGPU();
  let offered = true;
  const once = { requestAdapter: async () => (offered ? gpu.requestAdapter() : null) } as unknown as GPU;
  const model = await loadIntegrator({ gpu: once });
  offered = false;
  model.device.destroy();
  await model.device.lost;
  await expect(model.run({ u: signal(3) })).rejects.toMatchObject({ name: "DeviceLostError" });
  model.destroy();
});

test("a caller's device that is lost is a DeviceLostError, in flight and after", async () => {
  const device = counting(await testDevice());
  const model = await loadIntegrator({ device });
  const stream = await model.stream();
  atSubmit(2, () => device.destroy());
  await expect(model.run({ u: signal(1000) }, { mode: "recurrence" })).rejects.toMatchObject({
    name: "DeviceLostError",
    code: "device-lost",
  });
  await expect(stream.push({ u: signal(3) })).rejects.toMatchObject({ name: "DeviceLostError" });
  model.destroy();
});

test("a caller's device that was lost before load is a DeviceLostError", async () => {
  const device = counting(await testDevice());
  device.destroy();
  await device.lost;
  await expect(loadIntegrator({ device })).rejects.toMatchObject({ name: "DeviceLostError" });
});
