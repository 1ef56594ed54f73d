/** Layered drawing of a graph: ranks by longest path, long edges through empty places, order by barycentre. Places only; `inspect-plots.ts` draws. */

/** A node to place; `args` are the ids of nodes it reads, all listed before it. */
export interface LayoutNode {
  readonly id: number;
  readonly args: readonly number[];
  /** Units: pixels. */
  readonly width: number;
}

export interface Point {
  readonly x: number;
  readonly y: number;
}

export interface Layout {
  /** Centres by id. */
  readonly places: ReadonlyMap<number, Point>;
  /** From an argument down to its reader, through the centres of the empty places between. */
  readonly edges: readonly (readonly Point[])[];
  readonly width: number;
  readonly height: number;
}

const ROW = 68;
const GAP = 26;
const EMPTY_WIDTH = 6;
const SWEEPS = 12;

interface Cell {
  readonly rank: number;
  readonly width: number;
  readonly up: Cell[];
  readonly down: Cell[];
  x: number;
}

const cell = (rank: number, width: number): Cell => ({ rank, width, up: [], down: [], x: 0 });

function connect(from: Cell, to: Cell, cells: Cell[]): readonly Cell[] {
  const path = [from];
  for (let rank = from.rank + 1; rank < to.rank; rank++) {
    const empty = cell(rank, EMPTY_WIDTH);
    cells.push(empty);
    path.push(empty);
  }
  path.push(to);
  path.slice(1).forEach((lower, i) => {
    const upper = path[i] ?? from;
    upper.down.push(lower);
    lower.up.push(upper);
  });
  return path;
}

const mean = (cells: readonly Cell[], otherwise: number): number =>
  cells.length === 0 ? otherwise : cells.reduce((sum, { x }) => sum + x, 0) / cells.length;

/** Moves the cells of a row to where they would like to be, in that order, without overlap, the row's centre of wishes kept. */
function settle(row: Cell[], wish: (c: Cell) => number): void {
  const wanted = new Map(row.map((c) => [c, wish(c)]));
  row.sort((a, b) => (wanted.get(a) ?? 0) - (wanted.get(b) ?? 0));
  let right = -Infinity;
  for (const c of row) {
    c.x = Math.max(wanted.get(c) ?? 0, right + c.width / 2);
    right = c.x + c.width / 2 + GAP;
  }
  const drift = row.reduce((sum, c) => sum + c.x - (wanted.get(c) ?? 0), 0) / row.length;
  for (const c of row) c.x -= drift;
}

/** Places every node. Throws nothing: an argument that is not listed is left out. */
export function layoutGraph(nodes: readonly LayoutNode[]): Layout {
  const byId = new Map<number, Cell>();
  const cells: Cell[] = [];
  const paths: (readonly Cell[])[] = [];
  for (const { id, args, width } of nodes) {
    const above = [...new Set(args)].flatMap((a) => byId.get(a) ?? []);
    const own = cell(Math.max(-1, ...above.map(({ rank }) => rank)) + 1, width);
    byId.set(id, own);
    cells.push(own);
    for (const from of above) paths.push(connect(from, own, cells));
  }
  const rows: Cell[][] = [];
  for (const c of cells) (rows[c.rank] ??= []).push(c);
  for (const row of rows) settle(row, (c) => mean(c.up, 0));
  for (let sweep = 0; sweep < SWEEPS; sweep++) {
    for (const row of rows.toReversed()) settle(row, (c) => mean([...c.down, ...c.up], c.x));
    for (const row of rows) settle(row, (c) => mean([...c.up, ...c.down], c.x));
  }
  const left = Math.min(0, ...cells.map((c) => c.x - c.width / 2)) - GAP;
  const right = Math.max(0, ...cells.map((c) => c.x + c.width / 2)) + GAP;
  const place = (c: Cell): Point => ({ x: c.x - left, y: (c.rank + 0.5) * ROW });
  return {
    places: new Map([...byId].map(([id, c]) => [id, place(c)])),
    edges: paths.map((path) => path.map(place)),
    width: right - left,
    height: Math.max(1, rows.length) * ROW,
  };
}
