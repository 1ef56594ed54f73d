/** Products of the queries and keys of every chunk, once a group: the first kernel of `selective-ssd`. */
import { add, and, dim, div, group, kernelBuilder, le, lt, min, mod, mul, sub, u32, type KExpr } from "./kit.ts";
import { operandWords, wordsOf } from "./selective-words.ts";
import { chunksOf, chunksSource, pairsSource, type Ssd } from "./ssd.ts";
import { guarded, tileFlops, tileLanes, tileOf } from "./tile.ts";

/** `[B][G][R][W][chunks][Q][Q]` from q and k. */
export function emitScores(ssd: Ssd): void {
  const { s, chunk, steps, sides, context } = ssd;
  const { groups: G, reads: R, writes: W, state: N } = s.form;
  const k = kernelBuilder("ssd_scores", tileLanes);
  const out = k.bind(ssd.scores, "read_write");
  const perChunk = chunk / steps;
  const blocks = (perChunk * (perChunk + 1)) / 2;
  const b = group(2);
  const pair = k.let("pair", mod(group(1), R * W));
  const g = k.let("g", div(group(1), R * W));
  const [r, w] = [k.let("r", div(pair, W)), k.let("w", mod(pair, W))];
  const at = k.let("chunk", div(group(0), blocks));
  const block = k.let("block", mod(group(0), blocks));
  // Of two blocks along each side: the first, the one below it, the one beside that.
  const down = perChunk === 1 ? u32(0) : k.let("block_row", min(block, 1));
  const right = perChunk === 1 ? u32(0) : k.let("block_column", sub(block, down));
  const start = k.let("start", mul(at, chunk));
  const [fromRow, fromColumn] = [k.let("from_row", mul(down, steps)), k.let("from_column", mul(right, steps))];
  const tile = tileOf(k, sides.steps, sides.steps, "columns");
  const inside = (i: KExpr, from: KExpr): KExpr => and(lt(i, steps), lt(add(start, add(from, i)), dim("L")));
  const some = perChunk === 1 ? undefined : k.let("some", lt(add(start, fromRow), dim("L")));
  tile.product(N, (first, stage) => {
    const n = k.let("n", add(first, stage.slice));
    const value = (role: "q" | "k", from: KExpr, i: KExpr, row: KExpr): KExpr =>
      guarded(k, and(some === undefined ? lt(n, N) : and(some, lt(n, N)), inside(i, from)), () =>
        s.read(k, role, { b, l: add(start, add(from, i)) }, add(mul(row, N), n)),
      );
    for (let u = 0; u < stage.rows; u++) stage.left(u, value("q", fromRow, k.let("i", add(stage.row, u)), add(mul(r, G), g)));
    for (let u = 0; u < stage.columns; u++) stage.right(u, value("k", fromColumn, k.let("j", add(stage.column, u)), add(mul(w, G), g)));
  });
  const chunks = chunksOf(k, ssd);
  const base = k.let("base", mul(add(mul(add(mul(b, G * R * W), add(mul(g, R * W), pair)), chunks), at), chunk * chunk));
  tile.rows.forEach((row, i) =>
    tile.columns.forEach((column, j) => {
      const [y, x] = [add(fromRow, row), add(fromColumn, column)];
      k.if(and(inside(row, fromRow), and(lt(column, steps), le(x, y))), () =>
        k.store(out, add(base, add(mul(y, chunk), x)), tile.sum(i, j)),
      );
    }),
  );
  const all = `d.B*${G * R * W}`;
  const rest = `d.L%${chunk}`;
  // Of two blocks along a side, rows below and columns on the left are read twice.
  const twice = (more: string): string => `(Math.floor(d.L/${chunk})*${1.5 * chunk}+${rest}+(${rest}>${steps}?${more}:0))`;
  const seen = perChunk === 1 ? { q: "d.L", k: "d.L" } : { q: twice(`${rest}-${steps}`), k: twice(`${steps}`) };
  const written = `${all}*${pairsSource(chunk)}`;
  const perTile = `d.B*${G * R * W}*${blocks}*${chunksSource(chunk)}`;
  context.emit({
    built: k.finish(),
    grid: [`${blocks}*${chunksSource(chunk)}`, G * R * W, "d.B"],
    cost: {
      flops: `${tileFlops(sides.steps, sides.steps, N)}*${perTile}`,
      bytes: `4*(${written}+${operandWords(ssd.node, s, {
        q: `${all}*${wordsOf(s, "q", `${N}*${seen.q}`, `${N * blocks}*${chunksSource(chunk)}`)}`,
        k: `${all}*${wordsOf(s, "k", `${N}*${seen.k}`, `${N * blocks}*${chunksSource(chunk)}`)}`,
      })})`,
      minimum: `4*(${written}+${operandWords(ssd.node, s, {
        q: wordsOf(s, "q", `d.B*d.L*${R * G * N}`, `${R * G * N}`),
        k: wordsOf(s, "k", `d.B*d.L*${W * G * N}`, `${W * G * N}`),
      })})`,
      serial: N,
    },
  });
}
