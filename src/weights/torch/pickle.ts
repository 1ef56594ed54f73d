/**
 * A reader of pickles that builds data and runs nothing. It knows the opcodes that `torch.save` writes (protocols 2 to 5); any
 * other ends it. Functions named in the file are looked up by the caller, who knows a handful and answers with data.
 *
 * Source: the format is documented opcode by opcode in CPython, Lib/pickletools.py.
 */
import { isKind, type Global, type Value } from "./values.ts";

/** What gives names in a pickle their meaning. All of these throw where they know none. */
export interface World {
  readonly global: (name: string) => Global;
  readonly call: (callee: Global, args: readonly Value[]) => Value;
  /** What the file keeps outside of the pickle, such as the bytes of a tensor. */
  readonly persistent: (id: Value) => Value;
  /** Makes the error for a pickle that is none. */
  readonly fail: (what: string) => Error;
}

interface Machine extends World {
  readonly bytes: Uint8Array;
  readonly view: DataView;
  at: number;
  readonly stack: Value[];
  /** Heights of the stack where marks stand. */
  readonly marks: number[];
  readonly memo: Map<number, Value>;
}

/** A state dict takes about 30 opcodes a tensor. */
const MAX_OPERATIONS = 4_000_000;
const STOP = 0x2e;

/** The value of a pickle. */
export function unpickle(bytes: Uint8Array, world: World): Value {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const machine: Machine = { ...world, bytes, view, at: 0, stack: [], marks: [], memo: new Map() };
  for (let count = 0; count < MAX_OPERATIONS; count++) {
    const at = machine.at;
    const code = read(machine, 1, () => view.getUint8(at));
    if (code === STOP) return pop(machine);
    const operation = operations.get(code);
    if (operation === undefined) throw world.fail(`uses the pickle opcode 0x${code.toString(16)} at byte ${at}, which no tensor needs`);
    operation(machine);
  }
  throw world.fail(`has a pickle of more than ${MAX_OPERATIONS} operations`);
}

/** The next `length` bytes through `get`, if there are so many. */
function read<T>(m: Machine, length: number, get: (at: number) => T): T {
  if (length > m.bytes.length - m.at) throw m.fail(`has a pickle that ends too early, at byte ${m.bytes.length}`);
  const value = get(m.at);
  m.at += length;
  return value;
}

const uint8 = (m: Machine): number => read(m, 1, (at) => m.view.getUint8(at));
const uint32 = (m: Machine): number => read(m, 4, (at) => m.view.getUint32(at, true));
const uint64 = (m: Machine): number => Number(read(m, 8, (at) => m.view.getBigUint64(at, true)));
const bytesOf = (m: Machine, length: number): Uint8Array => read(m, length, (at) => m.bytes.subarray(at, at + length));

function text(m: Machine, length: number): string {
  const bytes = bytesOf(m, length);
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    throw m.fail(`has a pickle with a text that is not UTF-8, before byte ${m.at}`);
  }
}

function line(m: Machine): string {
  const end = m.bytes.indexOf(0x0a, m.at);
  if (end < 0) throw m.fail("has a pickle with a name that does not end");
  const found = text(m, end - m.at);
  m.at++;
  return found;
}

/** A little-endian integer in two's complement; beyond 2^53 it is rounded. */
function long(m: Machine): number {
  const length = uint8(m);
  const magnitude = bytesOf(m, length).reduceRight((sum, byte) => sum * 256 + byte, 0);
  return length > 0 && m.view.getInt8(m.at - 1) < 0 ? magnitude - 256 ** length : magnitude;
}

function push(m: Machine, value: Value): void {
  m.stack.push(value);
}

function pop(m: Machine): Value {
  const value = m.stack.length > (m.marks.at(-1) ?? 0) ? m.stack.pop() : undefined;
  if (value === undefined) throw m.fail(`has a pickle that takes a value where there is none, at byte ${m.at}`);
  return value;
}

/** What stands above the last mark. */
function popMark(m: Machine): Value[] {
  const height = m.marks.pop();
  if (height === undefined) throw m.fail(`has a pickle that lacks a mark, at byte ${m.at}`);
  return m.stack.splice(height);
}

function popMany(m: Machine, count: number): Value[] {
  return Array.from({ length: count }, () => pop(m)).reverse();
}

function tuple(m: Machine, items: readonly Value[]): void {
  push(m, { kind: "tuple", items });
}

function append(m: Machine, items: readonly Value[]): void {
  const list = m.stack.at(-1);
  if (!isKind(list, "list")) throw m.fail(`has a pickle that appends to something that is no list, at byte ${m.at}`);
  for (const item of items) list.items.push(item);
}

function setItems(m: Machine, items: readonly Value[]): void {
  const dict = m.stack.at(-1);
  if (!isKind(dict, "dict") || items.length % 2 !== 0)
    throw m.fail(`has a pickle that puts pairs into something that is no dict, at byte ${m.at}`);
  for (let i = 0; i + 1 < items.length; i += 2) dict.pairs.push([items[i] ?? null, items[i + 1] ?? null]);
}

function callTop(m: Machine): void {
  const args = pop(m);
  const callee = pop(m);
  if (!isKind(callee, "global") || !isKind(args, "tuple"))
    throw m.fail(`has a pickle that calls something that is no function, at byte ${m.at}`);
  push(m, m.call(callee, args.items));
}

function stackGlobal(m: Machine): void {
  const name = pop(m);
  const module = pop(m);
  if (typeof name !== "string" || typeof module !== "string") throw m.fail(`has a pickle with a name that is no text, at byte ${m.at}`);
  push(m, m.global(`${module}.${name}`));
}

function put(m: Machine, index: number): void {
  const value = m.stack.at(-1);
  if (value === undefined) throw m.fail(`has a pickle that remembers a value where there is none, at byte ${m.at}`);
  m.memo.set(index, value);
}

function get(m: Machine, index: number): void {
  const value = m.memo.get(index);
  if (value === undefined) throw m.fail(`has a pickle that recalls a value it never had, at byte ${m.at}`);
  push(m, value);
}

/** One opcode each; what is not here is refused. */
const operations: ReadonlyMap<number, (m: Machine) => void> = new Map<number, (m: Machine) => void>([
  [0x80, (m) => void uint8(m)], // PROTO
  [0x95, (m) => void uint64(m)], // FRAME
  [0x28, (m) => void m.marks.push(m.stack.length)], // MARK
  [0x4e, (m) => push(m, null)], // NONE
  [0x88, (m) => push(m, true)], // NEWTRUE
  [0x89, (m) => push(m, false)], // NEWFALSE
  [
    0x4a,
    (m) =>
      push(
        m,
        read(m, 4, (at) => m.view.getInt32(at, true)),
      ),
  ], // BININT
  [0x4b, (m) => push(m, uint8(m))], // BININT1
  [
    0x4d,
    (m) =>
      push(
        m,
        read(m, 2, (at) => m.view.getUint16(at, true)),
      ),
  ], // BININT2
  [0x8a, (m) => push(m, long(m))], // LONG1
  [
    0x47,
    (m) =>
      push(
        m,
        read(m, 8, (at) => m.view.getFloat64(at)),
      ),
  ], // BINFLOAT
  [0x58, (m) => push(m, text(m, uint32(m)))], // BINUNICODE
  [0x8c, (m) => push(m, text(m, uint8(m)))], // SHORT_BINUNICODE
  [0x8d, (m) => push(m, text(m, uint64(m)))], // BINUNICODE8
  [0x42, (m) => push(m, bytesOf(m, uint32(m)))], // BINBYTES
  [0x43, (m) => push(m, bytesOf(m, uint8(m)))], // SHORT_BINBYTES
  [0x29, (m) => tuple(m, [])], // EMPTY_TUPLE
  [0x85, (m) => tuple(m, popMany(m, 1))], // TUPLE1
  [0x86, (m) => tuple(m, popMany(m, 2))], // TUPLE2
  [0x87, (m) => tuple(m, popMany(m, 3))], // TUPLE3
  [0x74, (m) => tuple(m, popMark(m))], // TUPLE
  [0x5d, (m) => push(m, { kind: "list", items: [] })], // EMPTY_LIST
  [0x61, (m) => append(m, popMany(m, 1))], // APPEND
  [0x65, (m) => append(m, popMark(m))], // APPENDS
  [0x7d, (m) => push(m, { kind: "dict", pairs: [] })], // EMPTY_DICT
  [0x73, (m) => setItems(m, popMany(m, 2))], // SETITEM
  [0x75, (m) => setItems(m, popMark(m))], // SETITEMS
  [0x63, (m) => push(m, m.global(`${line(m)}.${line(m)}`))], // GLOBAL
  [0x93, stackGlobal], // STACK_GLOBAL
  [0x52, callTop], // REDUCE
  [0x62, (m) => void pop(m)], // BUILD: attributes of an object, such as the versions in a state dict
  [0x71, (m) => put(m, uint8(m))], // BINPUT
  [0x72, (m) => put(m, uint32(m))], // LONG_BINPUT
  [0x94, (m) => put(m, m.memo.size)], // MEMOIZE
  [0x68, (m) => get(m, uint8(m))], // BINGET
  [0x6a, (m) => get(m, uint32(m))], // LONG_BINGET
  [0x51, (m) => push(m, m.persistent(pop(m)))], // BINPERSID
]);
