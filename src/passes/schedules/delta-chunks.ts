/** The state from chunk to chunk and the results, a workgroup a block of columns: the second kernel of `selective-delta`. */
import { carriedWords, type Delta, deltaChunks, layoutOf, pairsOf, resultMatrices } from "./delta.ts";
import { add, and, dim, div, f32, fma, group, kernelBuilder, type KExpr, lane, lt, min, mod, mul, sub } from "./kit.ts";
import { applyPost, type Cost, flopsOf, write } from "./schedule.ts";
import { operandWords, wordsOf } from "./selective-words.ts";
import { type Selective, stateIndex } from "./selective.ts";
import { guarded, tileFlops, tileLanes, tileOf, tileSharedWords, tileSide } from "./tile.ts";

/** Rows of the tiles of products: of readers, and of rows of the state. */
const sideOf = (s: Selective, chunk: number): number => tileSide((1 + s.form.reads) * chunk);

/** Words of workgroup memory where so many columns of a state are kept. */
export function sharedWords(s: Selective, chunk: number, columns: number): number {
  const { state: N, reads: R, writes: W } = s.form;
  return N * (columns + 1) + (2 + R + W) * chunk * columns + tileSharedWords(sideOf(s, chunk), columns);
}

export function emitChunks(delta: Delta): void {
  const { s, node, id, chunk, columns, context } = delta;
  const { heads: H, width: P, state: N, reads: R, writes: W, before } = s.form;
  const side = sideOf(s, chunk);
  const layout = layoutOf(delta);
  const parts = Math.ceil(P / columns);
  const stride = columns + 1;
  const k = kernelBuilder("delta_chunks", tileLanes);
  const blocks = k.bind(delta.blocks);
  const kept = context.entry === "resume" ? k.bind(context.state(id, `d.B*${N * s.columns}`), "read_write") : undefined;
  const b = group(1);
  const head = k.let("head", div(group(0), parts));
  const firstP = k.let("first_p", mul(mod(group(0), parts), columns));
  const state = k.shared("state", N * stride);
  /** What the state at the start gives every reader; then, of the chunk, corrections and writes. */
  const given = k.shared("given", (1 + R) * chunk * columns);
  const written = k.shared("written", (1 + W) * chunk * columns);
  const everyRow = (body: (n: KExpr, p: KExpr) => void): void =>
    k.for(
      "e",
      lane,
      N * columns,
      (e) => {
        const n = k.let("n", div(e, columns));
        body(n, k.let("p", mod(e, columns)));
      },
      tileLanes,
    );
  /** A lane a step and column, neighbours in time. */
  const everyStep = (body: (t: KExpr, p: KExpr) => void): void =>
    k.for(
      "e",
      lane,
      chunk * columns,
      (e) => {
        const t = k.let("t", mod(e, chunk));
        body(t, k.let("p", div(e, chunk)));
      },
      tileLanes,
    );
  const columnOf = (p: KExpr): KExpr => add(mul(head, P), add(firstP, p));
  const inState = (p: KExpr): KExpr => lt(add(firstP, p), P);
  everyRow((n, p) => {
    const value = (): KExpr => (kept === undefined ? f32(0) : k.load(kept, stateIndex(s, b, n, columnOf(p))));
    k.storeShared(state, add(mul(n, stride), p), kept === undefined ? f32(0) : guarded(k, inState(p), value));
  });
  const tile = tileOf(k, side, columns, "columns");
  const chunks = k.let("chunks", div(add(dim("L"), chunk - 1), chunk));
  const line = (kind: number, t: KExpr, p: KExpr): KExpr => add(add(mul(t, columns), p), kind * chunk * columns);
  k.for("chunk", 0, chunks, (at) => {
    const start = k.let("start", mul(at, chunk));
    const seen = k.let("seen", min(sub(dim("L"), start), chunk));
    const base = k.let("base", mul(add(mul(add(mul(b, H), head), chunks), at), layout.size));
    k.for(
      "top",
      0,
      (1 + R) * chunk,
      (top) => {
        tile.reset();
        tile.product(N, (first, stage) => {
          const n = k.let("n", add(first, stage.slice));
          for (let u = 0; u < stage.rows; u++) {
            const row = k.let("row", add(top, add(stage.row, u)));
            const inside = and(lt(n, N), lt(row, (1 + R) * chunk));
            stage.left(
              u,
              guarded(k, inside, () => k.load(blocks, add(base, layout.reading(row, n)))),
            );
          }
          for (let u = 0; u < stage.columns; u++)
            stage.right(
              u,
              guarded(k, lt(n, N), () => k.loadShared(state, add(mul(n, stride), add(stage.column, u)))),
            );
        });
        tile.rows.forEach((row, i) =>
          k.if(lt(add(top, row), (1 + R) * chunk), () =>
            tile.columns.forEach((column, j) => k.storeShared(given, add(mul(add(top, row), columns), column), tile.sum(i, j))),
          ),
        );
      },
      side,
    );
    everyStep((t, p) => {
      const inside = k.let("inside", and(lt(t, seen), inState(p)));
      for (let w = 0; w < W; w++) {
        const value = (): KExpr => s.read(k, "v", { b, l: add(start, t) }, add(columnOf(p), w * s.columns), w);
        k.storeShared(written, line(1 + w, t, p), guarded(k, inside, value));
      }
    });
    k.barrier();
    const between = (reader: number, writer: number, t: KExpr, j: KExpr): KExpr =>
      k.load(blocks, add(base, layout.between(reader, writer, t, j)));
    everyStep((t, p) => {
      const sum = k.var("correction", mul(between(0, 0, t, t), k.loadShared(given, line(0, t, p))));
      k.for("j", 0, t, (j) => {
        k.assign(sum, fma(between(0, 0, t, j), k.loadShared(given, line(0, j, p)), sum));
        for (let w = 0; w < W; w++) k.assign(sum, fma(between(0, 1 + w, t, j), k.loadShared(written, line(1 + w, j, p)), sum));
      });
      k.storeShared(written, line(0, t, p), sum);
    });
    k.barrier();
    everyStep((t, p) =>
      k.if(and(lt(t, seen), inState(p)), () => {
        for (let r = 0; r < R; r++) {
          const sum = k.var("y", k.loadShared(given, line(1 + r, t, p)));
          k.for("j", 0, before ? t : add(t, 1), (j) => {
            for (let w = 0; w <= W; w++) k.assign(sum, fma(between(1 + r, w, t, j), k.loadShared(written, line(w, j, p)), sum));
          });
          const here = { b, l: k.let("l", add(start, t)), c: k.let("c", add(columnOf(p), r * s.columns)) };
          write(k, context.result(id), here, applyPost(k, node, [sum], here, context));
        }
      }),
    );
    k.for(
      "top",
      0,
      N,
      (top) => {
        tile.reset();
        tile.product((1 + W) * chunk, (first, stage) => {
          const row = k.let("row", add(first, stage.slice));
          const some = lt(row, (1 + W) * chunk);
          for (let u = 0; u < stage.rows; u++) {
            const n = k.let("n", add(top, add(stage.row, u)));
            stage.left(
              u,
              guarded(k, and(some, lt(n, N)), () => k.load(blocks, add(base, layout.writing(n, row)))),
            );
          }
          for (let u = 0; u < stage.columns; u++)
            stage.right(
              u,
              guarded(k, some, () => k.loadShared(written, add(mul(row, columns), add(stage.column, u)))),
            );
        });
        tile.rows.forEach((row, i) => {
          const n = k.let("n", add(top, row));
          k.if(lt(n, N), () => {
            const decay = k.let("decay", k.load(blocks, add(base, layout.decay(n))));
            tile.columns.forEach((column, j) => {
              const index = k.let("own", add(mul(n, stride), column));
              k.storeShared(state, index, fma(decay, k.loadShared(state, index), tile.sum(i, j)));
            });
          });
        });
      },
      side,
    );
  });
  if (kept !== undefined) {
    k.barrier();
    everyRow((n, p) =>
      k.if(inState(p), () => k.store(kept, stateIndex(s, b, n, columnOf(p)), k.loadShared(state, add(mul(n, stride), p)))),
    );
  }
  context.emit({ built: k.finish(), grid: [H * parts, "d.B", 1], cost: costOf(delta, side, parts) });
}

function costOf(delta: Delta, side: number, parts: number): Cost {
  const { s, node, chunk: Q, columns, context } = delta;
  const { heads: H, state: N, reads: R, writes: W } = s.form;
  const C = deltaChunks(Q);
  const results = `${R * s.columns}*d.B*d.L`;
  const state = context.entry === "resume" ? `${2 * N * s.columns}*d.B` : "0";
  const tiles = Math.ceil(((1 + R) * Q) / side) * tileFlops(side, columns, N) + Math.ceil(N / side) * tileFlops(side, columns, (1 + W) * Q);
  const between = columns * Q * (Q + 1) * (1 + R) * (1 + W);
  const v = (each: string): string => wordsOf(s, "v", `${W * s.columns}*d.B*d.L`, each);
  const pairs = `(Math.floor(d.L/${Q})*${pairsOf(s, Q)}+${pairsOf(s, `d.L%${Q}`)})`;
  const block = `(${carriedWords(delta)}*${C}+${resultMatrices(s)}*${pairs})`;
  const words = (blocks: number, values: string, params: string): string =>
    `4*(${blocks}*d.B*${block}+${operandWords(node, s, { v: values })}+${1 + s.post.values}*${results}+${params}+${state})`;
  const fixed = s.post.params * R * s.columns;
  return {
    flops: `d.B*${H * parts * (tiles + between + 2 * N * columns)}*${C}+${flopsOf(node.post)}*${results}`,
    bytes: words(H * parts, v(`${W * s.columns}*d.B`), `${fixed}*d.B`),
    minimum: words(H, v(`${W * s.columns}`), `${fixed}`),
    serial: `${N + 4 * Q}*${C}`,
  };
}
