/** What every chunk by itself leaves in the state: the second kernel of `selective-ssd`. */
import type { SelectiveRole } from "../../ir/graph.ts";
import { add, and, dim, div, eq, group, kernelBuilder, lane, lt, min, mod, mul, sub, u32, unary, type KExpr } from "./kit.ts";
import { operandWords, wordsOf } from "./selective-words.ts";
import { headOf, logDecayAt, stateIndex } from "./selective.ts";
import { chunksOf, chunksSource, packedOf, type Ssd } from "./ssd.ts";
import { guarded, spanSum, tileFlops, tileLanes, tileOf } from "./tile.ts";

/** What every chunk adds to the state; also packs decays, gains and totals. */
export function emitStates(ssd: Ssd): void {
  const { s, chunk, sides, tiles, gains, context } = ssd;
  const { heads: H, groups: G, writes: W, state: N, width: P } = s.form;
  const k = kernelBuilder("ssd_states", tileLanes);
  const [packed, states] = [k.bind(ssd.packed, "read_write"), k.bind(ssd.states, "read_write")];
  const b = group(2);
  const at = group(0);
  const perHead = tiles.state * tiles.width;
  const head = k.let("head", div(group(1), perHead));
  const part = k.let("tile", mod(group(1), perHead));
  const firstN = k.let("first_n", mul(div(part, tiles.width), sides.state));
  const firstP = k.let("first_p", mul(mod(part, tiles.width), sides.width));
  const g = k.let("g", div(head, H / G));
  const start = k.let("start", mul(at, chunk));
  const seen = k.let("seen", min(sub(dim("L"), start), chunk));
  const chunks = chunksOf(k, ssd);
  const place = headOf(k, s, head);
  const decays = k.shared("decays", chunk);
  const weights = k.shared("weights", W * chunk);
  const pack = packedOf(k, ssd, b, head, chunks);
  const packs = eq(part, 0);
  k.for(
    "j",
    lane,
    chunk,
    (j) => {
      const here = { b, l: k.let("l", add(start, j)) };
      const inside = lt(j, seen);
      const decay = guarded(k, inside, () => logDecayAt(k, s, here, place, u32(0)));
      k.storeShared(decays, j, decay);
      const given = Array.from({ length: gains }, (_, w) => guarded(k, inside, () => s.read(k, "gain", here, add(head, w * H), w)));
      given.forEach((gain, w) => k.storeShared(weights, add(j, w * chunk), gain));
      k.if(and(packs, inside), () => {
        k.store(packed, pack.decay(here.l), decay);
        given.forEach((gain, w) => k.store(packed, pack.gain(w, here.l), gain));
      });
    },
    tileLanes,
  );
  k.barrier();
  // From gains to what a step's product is worth at the end of the chunk; each lane reads and writes its own.
  k.for(
    "j",
    lane,
    chunk,
    (j) => {
      const late = k.let("late", unary("exp", spanSum(k, decays, add(j, 1), u32(chunk))));
      for (let w = 0; w < W; w++) {
        const index = add(j, w * chunk);
        k.storeShared(weights, index, gains > 0 ? mul(k.loadShared(weights, index), late) : late);
      }
    },
    tileLanes,
  );
  k.if(and(packs, eq(lane, 0)), () => k.store(packed, pack.total(at), spanSum(k, decays, u32(0), u32(chunk))));
  const tile = tileOf(k, sides.state, sides.width, "columns");
  for (let w = 0; w < W; w++)
    tile.product(seen, (first, stage) => {
      const j = k.let("j", add(first, stage.slice));
      const l = k.let("l", add(start, j));
      for (let u = 0; u < stage.rows; u++) {
        const n = k.let("n", add(firstN, add(stage.row, u)));
        const key = (): KExpr => mul(s.read(k, "k", { b, l }, add(mul(add(g, w * G), N), n), w), k.loadShared(weights, add(j, w * chunk)));
        stage.left(u, guarded(k, and(lt(j, seen), lt(n, N)), key));
      }
      for (let u = 0; u < stage.columns; u++) {
        const p = k.let("p", add(firstP, add(stage.column, u)));
        const value = (): KExpr => s.read(k, "v", { b, l }, add(mul(head, P), add(p, w * s.columns)), w);
        stage.right(u, guarded(k, and(lt(j, seen), lt(p, P)), value));
      }
    });
  tile.rows.forEach((row, i) =>
    tile.columns.forEach((column, j) => {
      const [n, p] = [add(firstN, row), add(firstP, column)];
      k.if(and(lt(n, N), lt(p, P)), () => k.store(states, stateIndex(s, add(mul(b, chunks), at), n, add(mul(head, P), p)), tile.sum(i, j)));
    }),
  );
  const C = chunksSource(chunk);
  const written = `d.B*(${s.columns * N}*${C}+${H}*(${1 + gains}*d.L+${C}))`;
  const words = (role: SelectiveRole, count: number): string => `d.B*${count}*${wordsOf(s, role, "d.L", C)}`;
  const once = (role: SelectiveRole, count: number): string => wordsOf(s, role, `d.B*d.L*${count}`, `${count}`);
  const staging = W * chunk * (sides.state + 2);
  context.emit({
    built: k.finish(),
    grid: [C, H * perHead, "d.B"],
    cost: {
      flops: `d.B*${H * perHead}*${C}*${W * tileFlops(sides.state, sides.width, chunk) + staging + (chunk * chunk) / 2}`,
      bytes: `4*(${written}+${operandWords(ssd.node, s, {
        v: words("v", W * H * P * tiles.state),
        k: words("k", W * H * N * tiles.width),
        decay: words("decay", H * perHead),
        rates: words("rates", H * perHead),
        gain: words("gain", W * H * perHead),
      })})`,
      minimum: `4*(${written}+${operandWords(ssd.node, s, {
        v: once("v", W * H * P),
        k: once("k", W * G * N),
        decay: once("decay", H),
        rates: once("rates", H),
        gain: once("gain", W * H),
      })})`,
      serial: W * chunk,
    },
  });
}
