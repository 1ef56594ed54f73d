/** Every chunk without the state it starts from, all at once: the first kernel of `selective-delta`. */
import { bug } from "../../ir/error.ts";
import type { SelectiveRole } from "../../ir/graph.ts";
import { carriedWords, type Delta, deltaChunks, layoutOf, pairsOf, resultMatrices } from "./delta.ts";
import {
  add,
  and,
  dim,
  div,
  f32,
  fma,
  group,
  gt,
  kernelBuilder,
  type KExpr,
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
} from "./kit.ts";
import type { Cost } from "./schedule.ts";
import { operandWords, wordsOf } from "./selective-words.ts";
import { headOf, logDecayAt, type Selective } from "./selective.ts";
import { guarded } from "./tile.ts";

/** Rows of the state that are staged at once, and the words between two steps of them. */
const rows = 16;
const stride = rows + 1;
/** Pairs of steps a lane sums: one earlier step, so many later ones. */
const later = 4;

/** An operand that has a row of N numbers at each step: its role, its number among several, its group. */
type Kind = readonly [role: "b" | "c" | "q" | "k", which: number];

const kindsOf = ({ form }: Selective): readonly Kind[] => [
  ["b", 0],
  ...Array.from({ length: form.reads }, (_, r): Kind => ["q", r]),
  ["c", 0],
  ...Array.from({ length: form.writes }, (_, w): Kind => ["k", w]),
];

/** Words of workgroup memory for rows of operands, then for the matrices of the correction and the inverse of one. */
const roomWords = ({ form }: Selective, chunk: number): number =>
  Math.max((2 + form.reads + form.writes) * chunk * stride, (2 + form.writes) * chunk * chunk);

/** Words of workgroup memory in all. */
export const blocksSharedWords = (s: Selective, chunk: number): number => roomWords(s, chunk) + chunk * stride;

const lanesOf = (chunk: number): number => Math.max(rows, (chunk * chunk) / later);

export function emitBlocks(delta: Delta): void {
  const { s, chunk, context } = delta;
  const { heads: H, groups: G, state: N, reads: R, writes: W, before } = s.form;
  const lanes = lanesOf(chunk);
  const layout = layoutOf(delta);
  const kinds = kindsOf(s);
  const k = kernelBuilder("delta_blocks", lanes);
  const out = k.bind(delta.blocks, "read_write");
  const [at, head, b] = [group(0), group(1), group(2)];
  const g = k.let("g", div(head, H / G));
  const start = k.let("start", mul(at, chunk));
  const seen = k.let("seen", min(sub(dim("L"), start), chunk));
  const chunks = k.let("chunks", div(add(dim("L"), chunk - 1), chunk));
  const base = k.let("base", mul(add(mul(add(mul(b, H), head), chunks), at), layout.size));
  const room = k.shared("room", roomWords(s, chunk));
  const decays = k.shared("decays", chunk * stride);
  const place = headOf(k, s, head);
  const [j, first] = [k.let("j", mod(lane, chunk)), k.let("t", mul(div(lane, chunk), later))];
  const row = (kind: number, t: KExpr, n: KExpr): KExpr => k.loadShared(room, add(add(mul(t, stride), n), kind * chunk * stride));
  const decay = (t: KExpr, n: KExpr): KExpr => k.loadShared(decays, add(mul(t, stride), n));
  const sums = Array.from({ length: later }, (_, u) =>
    Array.from({ length: 1 + R }, (__, r) => Array.from({ length: 1 + W }, (___, w) => k.var(`sum${u}_${r}_${w}`, f32(0)))),
  );
  k.for(
    "slice",
    0,
    N,
    (slice) => {
      k.barrier();
      k.for(
        "e",
        lane,
        chunk * rows,
        (e) => {
          const [t, own] = [k.let("step", mod(e, chunk)), k.let("own", div(e, chunk))];
          const [n, here] = [k.let("n", add(slice, own)), { b, l: k.let("l", add(start, t)) }];
          const inside = k.let("inside", and(lt(t, seen), lt(n, N)));
          const to = k.let("to", add(mul(t, stride), own));
          const exponent = guarded(k, inside, () => logDecayAt(k, s, here, place, n));
          k.storeShared(decays, to, unary("exp", exponent));
          kinds.forEach(([role, which], kind) => {
            const value = (): KExpr => {
              const x = s.read(k, role, here, add(mul(add(g, which * G), N), n));
              return role === "k" && s.has("gain") ? mul(x, s.read(k, "gain", here, add(head, which * H))) : x;
            };
            k.storeShared(room, add(to, kind * chunk * stride), guarded(k, inside, value));
          });
        },
        lanes,
      );
      k.barrier();
      k.if(lt(lane, (chunk * chunk) / later), () =>
        k.for("n", 0, rows, (n) => {
          const writers = Array.from({ length: 1 + W }, (_, w) => k.let(`w${w}`, row(1 + R + w, j, n)));
          const kept = k.var("kept", f32(1));
          k.for("m", add(j, 1), first, (m) => k.assign(kept, mul(kept, decay(m, n))));
          sums.forEach((own, u) => {
            const t = add(first, u);
            const until = k.var("until", kept);
            k.assign(kept, mul(kept, select(gt(t, j), decay(t, n), f32(1))));
            own.forEach((results, r) => {
              const reader = k.let("reader", mul(row(r, t, n), r === 0 || before ? until : kept));
              results.forEach((sum, w) => k.assign(sum, fma(reader, writers[w] ?? bug("no writer"), sum)));
            });
          });
        }),
      );
      k.for("kind", div(lane, rows), 1 + R, (kind) => emitReading(kind, slice), lanes / rows);
      k.for("kind", div(lane, rows), 1 + W, (kind) => emitWriting(kind, slice), lanes / rows);
    },
    rows,
  );
  /** The rows of one kind of reader, with the decays from the start. */
  function emitReading(kind: KExpr, slice: KExpr): void {
    const own = k.let("own", mod(lane, rows));
    const kept = k.var("kept", f32(1));
    k.if(lt(add(slice, own), N), () =>
      k.for("t", 0, chunk, (t) => {
        const until = k.var("until", kept);
        k.assign(kept, mul(kept, decay(t, own)));
        const factor = before ? until : select(gt(kind, 0), kept, until);
        const line = k.let("line", add(mul(kind, chunk), t));
        k.store(out, add(base, layout.reading(line, add(slice, own))), mul(k.loadShared(room, add(mul(line, stride), own)), factor));
      }),
    );
  }
  /** The same of a writer, with the decays to the end. */
  function emitWriting(kind: KExpr, slice: KExpr): void {
    const own = k.let("own", mod(lane, rows));
    const kept = k.var("kept", f32(1));
    const n = k.let("n", add(slice, own));
    k.if(lt(n, N), () => {
      k.for("i", 0, chunk, (i) => {
        const t = k.let("t", sub(u32(chunk - 1), i));
        const line = k.let("line", add(mul(kind, chunk), t));
        const value = k.loadShared(room, add(mul(add(line, (1 + R) * chunk), stride), own));
        k.store(out, add(base, layout.writing(n, line)), mul(value, kept));
        k.assign(kept, mul(kept, decay(t, own)));
      });
      k.if(lt(kind, 1), () => k.store(out, add(base, layout.decay(n)), kept));
    });
  }
  k.barrier();
  const matrix = (w: number, t: KExpr, m: KExpr): KExpr => add(add(mul(t, chunk), m), w * chunk * chunk);
  k.if(lt(lane, (chunk * chunk) / later), () =>
    sums.forEach((own, u) => {
      const t = k.let("t", add(first, u));
      own.forEach((results, r) =>
        results.forEach((sum, w) => {
          if (r === 0) return k.storeShared(room, matrix(w, t, j), select(gt(t, j), sum, f32(0)));
          k.if(before ? lt(j, t) : le(j, t), () => k.store(out, add(base, layout.between(r, w, t, j)), sum));
        }),
      );
    }),
  );
  k.barrier();
  // T = (1 - A)^-1, a lane a column.
  k.if(lt(lane, chunk), () => {
    const put = (t: KExpr, value: KExpr): void => {
      k.storeShared(room, matrix(1 + W, t, lane), value);
      k.store(out, add(base, layout.between(0, 0, t, lane)), value);
    };
    put(lane, f32(1));
    k.for("t", add(lane, 1), chunk, (t) => {
      const sum = k.var("entry", f32(0));
      k.for("i", lane, t, (i) => k.assign(sum, fma(k.loadShared(room, matrix(0, t, i)), k.loadShared(room, matrix(1 + W, i, lane)), sum)));
      put(t, sum);
    });
  });
  k.barrier();
  k.for(
    "e",
    lane,
    chunk * chunk,
    (e) => {
      const [t, m] = [k.let("t", div(e, chunk)), k.let("m", mod(e, chunk))];
      k.if(lt(m, t), () => {
        for (let w = 0; w < W; w++) {
          const sum = k.var("product", f32(0));
          k.for("i", add(m, 1), add(t, 1), (i) =>
            k.assign(sum, fma(k.loadShared(room, matrix(1 + W, t, i)), k.loadShared(room, matrix(1 + w, i, m)), sum)),
          );
          k.store(out, add(base, layout.between(0, 1 + w, t, m)), sum);
        }
      });
    },
    lanes,
  );
  context.emit({ built: k.finish(), grid: [deltaChunks(chunk), H, "d.B"], cost: costOf(delta) });
}

function costOf(delta: Delta): Cost {
  const { s, node, chunk: Q } = delta;
  const { heads: H, groups: G, state: N, reads: R, writes: W } = s.form;
  const C = deltaChunks(Q);
  const numbers = (role: "decay" | "rates"): number => (s.rows(role) ? N : 1);
  const seen = (role: SelectiveRole, count: number): string => `d.B*${H * count}*${wordsOf(s, role, "d.L", C)}`;
  const once = (role: SelectiveRole, count: number): string => wordsOf(s, role, `d.B*d.L*${count}`, `${count}`);
  const written = `d.B*${H}*${C}*(${carriedWords(delta)}+${resultMatrices(s)}*${pairsOf(s, Q)})`;
  const staged = rows * Math.ceil(N / rows);
  // Products of the decays between a lane's earlier step and its first later one.
  const between = Array.from({ length: Q / later }, (_, i) => (i * later * (i * later - 1)) / 2).reduce((a, b) => a + b, 0);
  const pairs = (Q * Q * (2 + R + 2 * (1 + R) * (1 + W)) + between) * staged;
  const flops = pairs + Q * N * (4 + 2 * (R + W)) + Q * staged * (2 + W) + ((1 + W) * Q ** 3) / 3;
  return {
    flops: `d.B*${Math.round(H * flops)}*${C}`,
    bytes: `4*(${written}+${operandWords(node, s, {
      k: seen("k", W * N),
      q: seen("q", R * N),
      decay: seen("decay", numbers("decay")),
      rates: seen("rates", numbers("rates")),
      gain: seen("gain", W),
      b: seen("b", N),
      c: seen("c", N),
    })})`,
    minimum: `4*(${written}+${operandWords(node, s, {
      k: once("k", W * G * N),
      q: once("q", R * G * N),
      decay: once("decay", H * numbers("decay")),
      rates: once("rates", H * numbers("rates")),
      gain: once("gain", W * H),
      b: once("b", G * N),
      c: once("c", G * N),
    })})`,
    serial: 2 * staged,
  };
}
