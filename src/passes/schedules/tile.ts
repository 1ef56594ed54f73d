/**
 * A tile of a matrix product by 64 lanes: slices of both factors are staged in workgroup memory, each lane keeps a block of
 * the results in registers. For products inside larger kernels; not a schedule.
 */
import { bug } from "../../ir/error.ts";
import { add, div, f32, fma, type KernelBuilder, type KExpr, lane, mod, mul, type Operand } from "./kit.ts";

/** Lanes of a workgroup that makes a tile. */
export const tileLanes = 64;
/** Products of each result between two barriers. */
export const tileDepth = 16;
/** Lanes along each side of a tile. */
const side = 8;
/** Lanes beside each other when staging, one for each slice. */
const across = tileLanes / tileDepth;
/** Results of a lane along one side, at most. */
const most = 4;

/** Rows or columns of the tiles that cut `size` into few, a multiple of 8 up to 32. */
export const tileSide = (size: number): number => side * Math.min(most, Math.ceil(size / side));

/** Words of workgroup memory of a tile. */
export const tileSharedWords = (rows: number, columns: number): number => tileDepth * (rows + columns + 2);

/** Where a lane stages: row or column `index` of slice `slice`. */
export interface Stage {
  /** The slice of this lane, counted from the first one staged. */
  readonly slice: KExpr;
  /** The first row of this lane and how many follow it. */
  readonly row: KExpr;
  readonly rows: number;
  /** Puts a number of the left factor at row `row + u`. */
  readonly left: (u: number, value: KExpr) => void;
  /** The same for the right factor and its columns. */
  readonly column: KExpr;
  readonly columns: number;
  readonly right: (u: number, value: KExpr) => void;
}

/** The results of a lane and where they stand in the tile. */
export interface Tile {
  readonly rows: readonly KExpr[];
  readonly columns: readonly KExpr[];
  /** The sum at every row and column. */
  readonly sum: (row: number, column: number) => KExpr;
  readonly reset: () => void;
  /** Adds the product over `count` slices, which every lane counts alike; `stage` is given the first of those it stages. */
  readonly product: (count: Operand, stage: (first: KExpr, at: Stage) => void) => void;
}

/** A tile of `rows` times `columns`, from zero; neighbouring lanes differ in their place along `inner`. */
export function tileOf(k: KernelBuilder, rows: number, columns: number, inner: "rows" | "columns"): Tile {
  const [perRow, perColumn] = [rows / side, columns / side];
  // One word beyond a slice, so that lanes that stage neighbouring slices write to different banks.
  const [height, width] = [rows + 1, columns + 1];
  const left = k.shared("left_tile", tileDepth * height);
  const right = k.shared("right_tile", tileDepth * width);
  const [near, far] = [k.let("near", mod(lane, side)), k.let("far", div(lane, side))];
  const [row, column] = inner === "rows" ? [near, far] : [far, near];
  const sums = Array.from({ length: perRow }, (_, i) => Array.from({ length: perColumn }, (__, j) => k.var(`sum${i}_${j}`, f32(0))));
  const slice = k.let("slice", mod(lane, tileDepth));
  const part = k.let("part", div(lane, tileDepth));
  const [stagedRows, stagedColumns] = [rows / across, columns / across];
  const firstRow = k.let("first_row", mul(part, stagedRows));
  const firstColumn = k.let("first_column", mul(part, stagedColumns));
  const stage: Stage = {
    slice,
    row: firstRow,
    rows: stagedRows,
    left: (u, value) => k.storeShared(left, add(mul(slice, height), add(firstRow, u)), value),
    column: firstColumn,
    columns: stagedColumns,
    right: (u, value) => k.storeShared(right, add(mul(slice, width), add(firstColumn, u)), value),
  };
  const multiply = (d: KExpr): void => {
    const as = sums.map((_, i) => k.let(`l${i}`, k.loadShared(left, add(mul(d, height), add(row, i * side)))));
    const bs = (sums[0] ?? []).map((_, j) => k.let(`r${j}`, k.loadShared(right, add(mul(d, width), add(column, j * side)))));
    sums.forEach((own, i) => own.forEach((sum, j) => k.assign(sum, fma(as[i] ?? bug("no row"), bs[j] ?? bug("no column"), sum))));
  };
  return {
    rows: sums.map((_, i) => add(row, i * side)),
    columns: (sums[0] ?? []).map((_, j) => add(column, j * side)),
    sum: (i, j) => sums[i]?.[j] ?? bug("no sum"),
    reset: () => sums.flat().forEach((sum) => k.assign(sum, f32(0))),
    product: (count, staging) =>
      k.for(
        "first",
        0,
        count,
        (first) => {
          k.barrier();
          staging(first, stage);
          k.barrier();
          k.for("d", 0, tileDepth, multiply);
        },
        tileDepth,
      ),
  };
}

/** Operations of a tile over `slices` slices. */
export const tileFlops = (rows: number, columns: number, slices: number): number =>
  2 * rows * columns * tileDepth * Math.ceil(slices / tileDepth);

/** The value where `cond` holds, else zero. */
export function guarded(k: KernelBuilder, cond: KExpr, value: () => KExpr): KExpr {
  const found = k.var("found", f32(0));
  k.if(cond, () => k.assign(found, value()));
  return found;
}

/** The sum of an array of workgroup memory from one index to before another. */
export function spanSum(k: KernelBuilder, array: string, from: KExpr, to: KExpr): KExpr {
  const sum = k.var("span", f32(0));
  k.for("m", from, to, (m) => k.assign(sum, add(sum, k.loadShared(array, m))));
  return sum;
}
