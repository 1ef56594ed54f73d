/** The longest sequence that is also run step by step and in pieces. */
const STEPPED = 100;

/** What a compiled model gives in every mode and as a stream in uneven pieces, the same in every host. */
export async function exercise({ load }, { B, lengths }, options) {
  const model = await load(options);
  const results = [];
  for (const L of lengths) {
    const modes = model.info.modes.filter((mode) => mode !== "recurrence" || L <= STEPPED);
    for (const mode of modes) results.push({ L, way: mode, outputs: plain(await model.run(signal(B, L, 0, L), { mode })) });
    if (L > STEPPED) continue;
    const stream = await model.stream({ batch: B });
    const pieces = [];
    for (let from = 0, size = 1; from < L; from += size, size = 3 * size + 1) {
      size = Math.min(size, L - from);
      pieces.push(plain(await stream.push(signal(B, L, from, from + size))));
    }
    stream.destroy();
    results.push({ L, way: "stream", outputs: { pooled: pieces.at(-1).pooled } });
  }
  model.destroy();
  return results;
}

/** Time steps `from` to `to` of inputs of L steps. */
export function signal(B, L, from, to) {
  const u = [];
  const ids = [];
  for (let b = 0; b < B; b++) {
    for (let t = from; t < to; t++) {
      for (let h = 0; h < 3; h++) u.push(Math.sin(1.3 * (b * L + t) + h));
      ids.push((7 * b + 3 * t) % 5);
    }
  }
  return { u: { data: Float32Array.from(u), dims: [B, to - from, 3] }, ids: { data: Int32Array.from(ids), dims: [B, to - from] } };
}

/** Plain numbers, of as many digits as a float32 has. */
const plain = (outputs) =>
  Object.fromEntries(Object.entries(outputs).map(([name, { data }]) => [name, [...data].map((x) => Number(x.toPrecision(8)))]));
