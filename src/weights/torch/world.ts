/** The names that a PyTorch state dict uses, and what they stand for. Every other name ends the reading. */
import type { CompileError } from "../../ir/error.ts";
import type { StoredDType } from "../dtypes.ts";
import { fault } from "./fault.ts";
import type { World } from "./pickle.ts";
import { isKind, type Storage, type TensorView, type Value } from "./values.ts";

/** PyTorch's storages: the format of their elements, and how many numbers make one. */
const STORAGES: Readonly<Record<string, readonly [dtype: StoredDType, parts: 1 | 2]>> = {
  DoubleStorage: ["F64", 1],
  FloatStorage: ["F32", 1],
  HalfStorage: ["F16", 1],
  BFloat16Storage: ["BF16", 1],
  LongStorage: ["I64", 1],
  IntStorage: ["I32", 1],
  ShortStorage: ["I16", 1],
  CharStorage: ["I8", 1],
  ByteStorage: ["U8", 1],
  BoolStorage: ["BOOL", 1],
  ComplexFloatStorage: ["F32", 2],
  ComplexDoubleStorage: ["F64", 2],
};

type Call = (args: readonly Value[], fail: (what: string) => CompileError) => Value;

/** Functions a file may call, each answered with data. */
const CALLS: Readonly<Record<string, Call>> = {
  "collections.OrderedDict": (args, fail) => {
    if (args.length > 0) throw fail("makes an OrderedDict in a way that PyTorch does not");
    return { kind: "dict", pairs: [] };
  },
  "torch._utils._rebuild_tensor": view,
  "torch._utils._rebuild_tensor_v2": view,
  "torch._utils._rebuild_parameter": ([tensor], fail) => asTensor(tensor, fail),
  "torch._utils._rebuild_parameter_with_state": ([tensor], fail) => asTensor(tensor, fail),
  "torch._tensor._rebuild_from_type_v2": ([callee, , args], fail) => {
    if (!isKind(callee, "global") || !isKind(args, "tuple")) throw fail("rebuilds a tensor in a way that PyTorch does not");
    const rebuild = callee.name.startsWith("torch._utils._rebuild_tensor") ? CALLS[callee.name] : undefined;
    if (rebuild === undefined) throw fail(`rebuilds a tensor by ${callee.name}`);
    return rebuild(args.items, fail);
  },
  "torch.Size": ([sizes], fail) => {
    if (!isKind(sizes, "tuple")) throw fail("has a torch.Size of something that is no tuple");
    return sizes;
  },
};
/** Classes a file may name and not call. */
const TYPES: readonly string[] = ["torch.Tensor", "torch.nn.parameter.Parameter"];

/** Gives meaning to the names in the pickle of the file called `label`. */
export function torchWorld(label: string): World {
  const fail = (what: string): CompileError => fault(label, "pickle", what);
  return {
    fail,
    global: (name) => {
      if (isStorage(name) || TYPES.includes(name) || Object.hasOwn(CALLS, name)) return { kind: "global", name };
      if (/^torch\.\w*Storage$/.test(name)) throw fault(label, "dtype", `holds a tensor in a ${name}, which is not read`);
      throw fault(label, "global", `names ${JSON.stringify(name)}: it holds objects besides tensors, and objects are code`);
    },
    call: ({ name }, args) => {
      const call = Object.hasOwn(CALLS, name) ? CALLS[name] : undefined;
      if (call === undefined) throw fail(`calls ${name}`);
      return call(args, fail);
    },
    persistent: (id) => storage(id, fail),
  };
}

function isStorage(name: string): boolean {
  return name.startsWith("torch.") && Object.hasOwn(STORAGES, name.slice(6));
}

/** `("storage", class, key, device, elements)`. */
function storage(id: Value, fail: (what: string) => CompileError): Storage {
  const [tag, type, key, , length] = isKind(id, "tuple") ? id.items : [];
  const [dtype, parts] = (isKind(type, "global") ? STORAGES[type.name.slice(6)] : undefined) ?? [];
  if (tag !== "storage" || dtype === undefined || parts === undefined || typeof key !== "string" || !isSize(length)) {
    throw fail("refers to a storage in a way that PyTorch does not");
  }
  return { kind: "storage", dtype, parts, key, length };
}

/** `(storage, offset, sizes, strides, requires_grad, hooks, metadata)`; the last says that a view is conjugated or negated. */
function view(args: readonly Value[], fail: (what: string) => CompileError): TensorView {
  const [place, offset, sizes, steps, , , metadata] = args;
  const [shape, strides] = [numbers(sizes), numbers(steps)];
  if (!isKind(place, "storage") || !isSize(offset) || shape === undefined || strides === undefined || shape.length !== strides.length) {
    throw fail("rebuilds a tensor from something that is no storage with offset, sizes and strides");
  }
  if (isKind(metadata, "dict") && metadata.pairs.some(([, value]) => value === true)) {
    throw fail("holds a tensor that is conjugated or negated when it is read; save it with resolve_conj() and resolve_neg()");
  }
  return { kind: "tensor", storage: place, offset, shape, strides };
}

function asTensor(value: Value | undefined, fail: (what: string) => CompileError): TensorView {
  if (isKind(value, "tensor")) return value;
  throw fail("makes a parameter of something that is no tensor");
}

function numbers(value: Value | undefined): readonly number[] | undefined {
  return isKind(value, "tuple") && value.items.length <= MAX_DIMS && value.items.every(isSize) ? value.items : undefined;
}

/** PyTorch's own limit. */
const MAX_DIMS = 64;

const isSize = (value: Value | undefined): value is number => typeof value === "number" && Number.isSafeInteger(value) && value >= 0;
