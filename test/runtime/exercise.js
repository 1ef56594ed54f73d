/** What a bundle does, the same in every host: runs, a stream through the loss of its device, a saved state, errors. */
export async function exercise({ load, InputError }, options) {
  const u = Float32Array.from({ length: 40 }, (_, i) => Math.sin(i));
  const progress = [];
  const model = await load({ ...options, onProgress: ({ stage }) => progress.push(stage) });
  const whole = await model.run({ u });
  const stepped = await model.run({ u }, { mode: "recurrence" });
  const stream = await model.stream();
  const pushed = [...(await stream.push({ u: u.subarray(0, 5) })).y.data];
  const lost = model.device;
  lost.destroy();
  await lost.lost;
  pushed.push(...(await stream.push({ u: u.subarray(5, 25) })).y.data);
  const other = await model.stream({ from: structuredClone(await stream.save()) });
  const onDevice = await other.push({ u: u.subarray(25) }, { onDevice: true });
  const last = await model.run({ u: { data: onDevice.last.data, dims: [1, 1, 1] } });
  onDevice.y.data.destroy();
  onDevice.last.data.destroy();
  const refused = await model.run({ u: new Int32Array(3) }).catch((error) => error instanceof InputError && error.input);
  const aborted = await model.run({ u }, { signal: AbortSignal.abort() }).catch((error) => error.name);
  model.destroy();
  const closed = await model.run({ u }).catch((error) => error.name);
  return {
    whole: [...whole.y.data],
    stepped: [...stepped.y.data],
    pushed,
    last: last.y.data[0],
    refused,
    aborted,
    closed,
    stages: [...new Set(progress)],
  };
}
