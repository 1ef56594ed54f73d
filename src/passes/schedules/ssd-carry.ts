/** The states from chunk to chunk: the third kernel of `selective-ssd`. */
import { add, div, f32, fma, group, kernelBuilder, lane, lt, mod, mul, unary } from "./kit.ts";
import { groupsOf } from "./schedule.ts";
import { chunksOf, chunksSource, packedOf, type Ssd } from "./ssd.ts";
import { tileLanes } from "./tile.ts";

/** From what every chunk adds to the state it starts from, one chunk after the other. */
export function emitCarry(ssd: Ssd): void {
  const { s, id, chunk, context } = ssd;
  const { state: N, width: P, heads: H } = s.form;
  const size = N * s.columns;
  const k = kernelBuilder("ssd_carry", tileLanes);
  const [packed, states] = [k.bind(ssd.packed), k.bind(ssd.states, "read_write")];
  const kept = context.entry === "resume" ? k.bind(context.state(id, `d.B*${size}`), "read_write") : undefined;
  const b = group(1);
  const number = k.let("number", add(mul(group(0), tileLanes), lane));
  k.if(lt(number, size), () => {
    const head = k.let("head", div(mod(number, s.columns), P));
    const chunks = chunksOf(k, ssd);
    const place = packedOf(k, ssd, b, head, chunks);
    const own = k.let("own", add(mul(b, size), number));
    const state = k.var("s", kept === undefined ? f32(0) : k.load(kept, own));
    k.for("c", 0, chunks, (c) => {
      const index = k.let("i", add(mul(add(mul(b, chunks), c), size), number));
      const added = k.let("added", k.load(states, index));
      k.store(states, index, state);
      k.assign(state, fma(unary("exp", k.load(packed, place.total(c))), state, added));
    });
    if (kept !== undefined) k.store(kept, own, state);
  });
  const C = chunksSource(chunk);
  const both = kept === undefined ? 0 : 2 * size;
  let heads = 0;
  for (let first = 0; first < size; first += tileLanes) {
    const last = Math.min(first + tileLanes, size) - 1;
    const seen = new Set(Array.from({ length: last - first + 1 }, (_, i) => Math.floor(((first + i) % s.columns) / P)));
    heads += seen.size;
  }
  context.emit({
    built: k.finish(),
    grid: [groupsOf(size, tileLanes), "d.B", 1],
    cost: {
      flops: `d.B*${3 * size}*${C}`,
      bytes: `4*d.B*(${2 * size + heads}*${C}+${both})`,
      minimum: `4*d.B*(${2 * size + H}*${C}+${both})`,
      serial: C,
    },
  });
}
