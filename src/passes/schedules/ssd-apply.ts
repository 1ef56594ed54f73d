/** The results of every chunk: the last kernel of `selective-ssd`. */
import {
  add,
  and,
  dim,
  div,
  f32,
  group,
  gt,
  kernelBuilder,
  lane,
  le,
  lt,
  min,
  mod,
  mul,
  select,
  sub,
  u32,
  unary,
  type KExpr,
} from "./kit.ts";
import { applyPost, flopsOf, groupsOf, write } from "./schedule.ts";
import { operandWords, wordsOf } from "./selective-words.ts";
import { stateIndex } from "./selective.ts";
import { chunksOf, chunksSource, packedOf, pairsSource, type Ssd } from "./ssd.ts";
import { guarded, spanSum, tileFlops, tileLanes, tileOf } from "./tile.ts";

/** The results: of the state the chunk starts from, and of the chunk's own steps. */
export function emitApply(ssd: Ssd): void {
  const { s, node, id, chunk, steps, sides, tiles, gains, context } = ssd;
  const { heads: H, groups: G, reads: R, writes: W, state: N, width: P } = s.form;
  const k = kernelBuilder("ssd_apply", tileLanes);
  const [packed, states, scores] = [k.bind(ssd.packed), k.bind(ssd.states), k.bind(ssd.scores)];
  const b = group(2);
  const r = k.let("r", mod(group(0), R));
  const firstStep = k.let("first_step", mul(div(group(0), R), steps));
  const head = k.let("head", div(group(1), tiles.width));
  const firstP = k.let("first_p", mul(mod(group(1), tiles.width), sides.width));
  const g = k.let("g", div(head, H / G));
  const at = k.let("chunk", div(firstStep, chunk));
  const start = k.let("start", mul(at, chunk));
  const from = k.let("from", sub(firstStep, start));
  const seen = k.let("seen", min(sub(dim("L"), start), add(from, steps)));
  const chunks = chunksOf(k, ssd);
  const place = packedOf(k, ssd, b, head, chunks);
  // A tile may reach beyond the chunk's steps; decays there are zero.
  const room = chunk - steps + sides.steps;
  const decays = k.shared("decays", room);
  const weights = gains > 0 ? k.shared("weights", W * chunk) : undefined;
  k.for(
    "j",
    lane,
    room,
    (j) =>
      k.storeShared(
        decays,
        j,
        guarded(k, lt(j, seen), () => k.load(packed, place.decay(add(start, j)))),
      ),
    tileLanes,
  );
  if (weights !== undefined)
    k.for(
      "j",
      lane,
      seen,
      (j) => {
        for (let w = 0; w < W; w++) k.storeShared(weights, add(j, w * chunk), k.load(packed, place.gain(w, add(start, j))));
      },
      tileLanes,
    );
  const tile = tileOf(k, sides.steps, sides.width, "rows");
  const mine = (i: KExpr): KExpr => lt(i, seen);
  tile.product(N, (first, stage) => {
    const n = k.let("n", add(first, stage.slice));
    for (let u = 0; u < stage.rows; u++) {
      const i = k.let("i", add(from, add(stage.row, u)));
      const query = (): KExpr => s.read(k, "q", { b, l: add(start, i) }, add(mul(add(mul(r, G), g), N), n));
      stage.left(u, guarded(k, and(lt(n, N), mine(i)), query));
    }
    for (let u = 0; u < stage.columns; u++) {
      const p = k.let("p", add(firstP, add(stage.column, u)));
      const row = (): KExpr => k.load(states, stateIndex(s, add(mul(b, chunks), at), n, add(mul(head, P), p)));
      stage.right(u, guarded(k, and(lt(n, N), lt(p, P)), row));
    }
  });
  tile.rows.forEach((row, i) => {
    const reached = k.let("reached", unary("exp", spanSum(k, decays, u32(0), add(from, add(row, 1)))));
    tile.columns.forEach((_, j) => k.assign(tile.sum(i, j), mul(tile.sum(i, j), reached)));
  });
  for (let w = 0; w < W; w++) {
    const base = k.let("base", mul(add(mul(add(mul(add(mul(b, G), g), R * W), add(mul(r, W), w)), chunks), at), chunk * chunk));
    tile.product(seen, (first, stage) => {
      const j = k.let("j", add(first, stage.slice));
      const after = k.let("after", add(j, 1));
      const row = k.let("i", add(from, stage.row));
      const sum = spanSum(k, decays, after, add(row, 1));
      for (let u = 0; u < stage.rows; u++) {
        const i = u === 0 ? row : k.let("i", add(row, u));
        if (u > 0) k.assign(sum, add(sum, select(gt(i, j), k.loadShared(decays, i), f32(0))));
        const score = (): KExpr => mul(k.load(scores, add(base, add(mul(i, chunk), j))), unary("exp", sum));
        stage.left(u, guarded(k, and(le(j, i), mine(i)), score));
      }
      for (let u = 0; u < stage.columns; u++) {
        const p = k.let("p", add(firstP, add(stage.column, u)));
        const value = (): KExpr => {
          const v = s.read(k, "v", { b, l: add(start, j) }, add(mul(head, P), add(p, w * s.columns)), w);
          return weights === undefined ? v : mul(v, k.loadShared(weights, add(j, w * chunk)));
        };
        stage.right(u, guarded(k, and(lt(j, seen), lt(p, P)), value));
      }
    });
  }
  tile.rows.forEach((row, i) =>
    tile.columns.forEach((column, j) => {
      const [step, p] = [add(from, row), add(firstP, column)];
      k.if(and(and(lt(row, steps), mine(step)), lt(p, P)), () => {
        const here = { b, l: k.let("l", add(start, step)), c: k.let("c", add(mul(r, s.columns), add(mul(head, P), p))) };
        write(k, context.result(id), here, applyPost(k, node, [tile.sum(i, j)], here, context));
      });
    }),
  );
  const all = `d.B*${H * R}`;
  const tilesOf = groupsOf("d.L", steps);
  // Every tile reads all steps of its chunk up to its own last one.
  const stepsSeen =
    chunk === steps
      ? "d.L"
      : `(Math.floor(d.L/${chunk})*${1.5 * chunk}+Math.min(d.L%${chunk},${steps})+(d.L%${chunk}>${steps}?d.L%${chunk}:0))`;
  const between = `${all}*${tilesOf}*${N * P}+${all}*${tiles.width}*(${1 + gains}*${stepsSeen}+${W}*${pairsSource(chunk)})`;
  const results = `${R * s.columns}*d.B*d.L`;
  const slices = chunk === steps ? chunk : 0.75 * chunk;
  const perTile =
    tileFlops(sides.steps, sides.width, N) +
    W * tileFlops(sides.steps, sides.width, slices) +
    W * slices * (3 * sides.steps + sides.width) +
    sides.steps * (sides.width + 8 * chunk);
  context.emit({
    built: k.finish(),
    grid: [`${R}*${tilesOf}`, H * tiles.width, "d.B"],
    cost: {
      flops: `${all}*${tiles.width}*${tilesOf}*${perTile}+${flopsOf(node.post)}*${results}`,
      bytes: `4*(${between}+${1 + s.post.values}*${results}+${s.post.params * R * s.columns}*d.B*${tilesOf}+${operandWords(ssd.node, s, {
        v: `${all}*${W * P}*${wordsOf(s, "v", stepsSeen, tilesOf)}`,
        q: `${all}*${N * tiles.width}*${wordsOf(s, "q", "d.L", tilesOf)}`,
      })})`,
      minimum: `4*(d.B*(${s.columns * N}*${chunksSource(chunk)}+${H * (1 + gains)}*d.L+${G * R * W}*${pairsSource(chunk)})+${1 + s.post.values}*${results}+${s.post.params * R * s.columns}+${operandWords(
        ssd.node,
        s,
        { v: wordsOf(s, "v", `d.B*d.L*${W * s.columns}`, `${W * s.columns}`), q: wordsOf(s, "q", `d.B*d.L*${R * G * N}`, `${R * G * N}`) },
      )})`,
      serial: N + W * chunk,
    },
  });
}
