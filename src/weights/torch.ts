/**
 * Reads the files of `torch.save` (`.pt`, `.pth`, `.bin`, `.ckpt`): a zip file with a pickle `data.pkl`, and the elements of
 * every storage in `data/<key>`. Tensors only: the pickle is read as data and no code of it is run, as `torch.load` does with
 * `weights_only=True`. Complex tensors appear as their real view, with a last axis of (re, im).
 *
 * Source: PyTorch, torch/serialization.py and torch/_utils.py (the names and argument orders in a file).
 */
import { decode, dtypes } from "./dtypes.ts";
import type { ByteSource, TensorEntry, TensorFile } from "./safetensors.ts";
import { openArchive, type Archive } from "./torch/archive.ts";
import { fault } from "./torch/fault.ts";
import { namedTensors } from "./torch/names.ts";
import { unpickle } from "./torch/pickle.ts";
import type { TensorView } from "./torch/values.ts";
import { torchWorld } from "./torch/world.ts";

/** A view in numbers: complex elements are two, on an axis of their own. */
interface Placed extends TensorEntry {
  readonly path: string;
  readonly offset: number;
  readonly strides: readonly number[];
}

const MAX_PICKLE = 64 * 2 ** 20;
/** Elements a tensor may have beyond those of its storage, which a stride of 0 repeats. */
const MAX_REPEATED = 2 ** 24;

/**
 * Opens a file of `torch.save`.
 *
 * Throws: `weights-file-zip`, `weights-file-overlap`, `weights-file-kind`, `weights-file-pickle`, `weights-file-global`,
 * `weights-file-dtype`, `weights-file-shape`, `weights-file-duplicate`.
 */
export async function openTorch(source: ByteSource): Promise<TensorFile> {
  const { label } = source;
  const archive = await openArchive(source);
  const root = await rootOf(label, archive);
  const views = namedTensors(
    label,
    unpickle(await archive.read(`${root}data.pkl`, 0, archive.sizes.get(`${root}data.pkl`) ?? 0), torchWorld(label)),
  );
  const entries = new Map([...views].map(([name, tensor]) => [name, place(label, archive, root, name, tensor)]));
  const read = async (name: string): Promise<Float64Array> => {
    const placed = entries.get(name);
    if (placed === undefined) throw new Error(`bug: ${label} has no tensor "${name}"`);
    return gather(archive, placed);
  };
  return { label, entries, metadata: new Map(), read };
}

/** The folder of the archive, whose name PyTorch takes from the file's. */
async function rootOf(label: string, { sizes, read }: Archive): Promise<string> {
  const pickles = [...sizes].filter(([path]) => /^([^/]+\/)?data\.pkl$/.test(path));
  const [path = "", size = 0] = pickles[0] ?? [];
  if (pickles.length !== 1)
    throw fault(label, "kind", `is a zip file with ${pickles.length === 0 ? "no" : "more than one"} data.pkl, not a file of torch.save`);
  if (size > MAX_PICKLE) throw fault(label, "pickle", `has a pickle of ${size} bytes; at most ${MAX_PICKLE} are read`);
  const root = path.slice(0, -"data.pkl".length);
  const order = sizes.get(`${root}byteorder`);
  if (order !== undefined && new TextDecoder().decode(await read(`${root}byteorder`, 0, Math.min(order, 16))).trim() !== "little") {
    throw fault(label, "kind", "was written by a big-endian machine");
  }
  return root;
}

/** Checks a view against its storage, and the storage against its file. */
function place(label: string, archive: Archive, root: string, name: string, { storage, offset, shape, strides }: TensorView): Placed {
  const { dtype, parts, key, length } = storage;
  const path = `${root}data/${key}`;
  const size = archive.sizes.get(path);
  if (size === undefined) throw fault(label, "zip", `holds no "${path}", where the elements of "${name}" should be`);
  const fail = (what: string): Error => fault(label, "shape", `holds "${name}", ${dtype} [${shape.join(", ")}], ${what}`);
  if (size !== length * parts * dtypes[dtype].bytes)
    throw fail(`in a storage of ${length} elements, for which "${path}" has ${size} bytes`);
  const count = shape.reduce((product, n) => product * n, 1);
  const last = shape.reduce((sum, n, axis) => sum + (n - 1) * (strides[axis] ?? 0), offset);
  if (count > 0 && !(last < length)) throw fail(`up to element ${last} of a storage of ${length}`);
  if (!(count <= Math.max(length, MAX_REPEATED))) throw fail(`from a storage of ${length} elements`);
  const real = parts === 1;
  return {
    dtype,
    path,
    shape: real ? shape : [...shape, 2],
    offset: offset * parts,
    strides: real ? strides : [...strides.map((stride) => 2 * stride), 1],
  };
}

/** The numbers of a view, row by row. */
async function gather(archive: Archive, { dtype, path, shape, offset, strides }: Placed): Promise<Float64Array> {
  const count = shape.reduce((product, n) => product * n, 1);
  if (count === 0) return new Float64Array();
  const { bytes } = dtypes[dtype];
  const end = shape.reduce((sum, n, axis) => sum + (n - 1) * (strides[axis] ?? 0), offset) + 1;
  const held = decode(dtype, await archive.read(path, offset * bytes, end * bytes));
  if (strides.every((stride, axis) => stride === shape.slice(axis + 1).reduce((product, n) => product * n, 1))) return held;
  const values = new Float64Array(count);
  const index = shape.map(() => 0);
  let at = 0;
  for (let i = 0; i < count; i++) {
    values[i] = held[at] ?? NaN;
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      const [stride = 0, n = 0, k = 0] = [strides[axis], shape[axis], index[axis]];
      if (k + 1 < n) {
        index[axis] = k + 1;
        at += stride;
        break;
      }
      index[axis] = 0;
      at -= k * stride;
    }
  }
  return values;
}
