/** From the value of a pickle to named tensors: the keys on the way to a tensor, joined by dots. */
import type { CompileError } from "../../ir/error.ts";
import { fault } from "./fault.ts";
import { isKind, type Dict, type TensorView, type Value } from "./values.ts";

/** Keys under which training programs put the state dict beside other things; the first that is there is read, and nothing else. */
const STATE_DICTS: readonly string[] = ["state_dict", "model_state_dict"];
const MAX_DEPTH = 32;
const MAX_VALUES = 1_000_000;
const MAX_NAME = 1000;

interface Walk {
  readonly found: Map<string, TensorView>;
  readonly fail: (kind: "pickle" | "duplicate", what: string) => CompileError;
  values: number;
}

/**
 * The tensors of a file by name. Throws: `weights-file-pickle`, `weights-file-duplicate`.
 */
export function namedTensors(label: string, root: Value): ReadonlyMap<string, TensorView> {
  const walk: Walk = { found: new Map(), values: 0, fail: (kind, what) => fault(label, kind, what) };
  collect(walk, stateDict(root), [], 0);
  return walk.found;
}

function stateDict(root: Value): Value {
  if (!isKind(root, "dict")) return root;
  const held = STATE_DICTS.map((key) => root.pairs.find(([k]) => k === key)?.[1]);
  return held.find((value): value is Dict => isKind(value, "dict")) ?? root;
}

function collect(walk: Walk, value: Value, path: readonly string[], length: number): void {
  if (++walk.values > MAX_VALUES) throw walk.fail("pickle", `holds more than ${MAX_VALUES} values`);
  if (path.length > MAX_DEPTH) throw walk.fail("pickle", `nests its values more than ${MAX_DEPTH} deep`);
  if (length > MAX_NAME) throw walk.fail("pickle", `has a name of more than ${MAX_NAME} characters`);
  if (isKind(value, "tensor")) {
    const name = path.join(".");
    if (walk.found.has(name)) throw walk.fail("duplicate", `names "${name}" twice`);
    walk.found.set(name, value);
  }
  for (const [key, inner] of children(value)) collect(walk, inner, [...path, key], length + key.length + 1);
}

function children(value: Value): readonly (readonly [string, Value])[] {
  if (isKind(value, "dict")) return value.pairs.flatMap(([key, inner]) => (typeof key === "object" ? [] : [[String(key), inner] as const]));
  return isKind(value, "list") || isKind(value, "tuple") ? value.items.map((inner, i) => [String(i), inner] as const) : [];
}
