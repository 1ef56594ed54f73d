/**
 * The memory plan: temporary values whose lives do not overlap share a buffer. Lives are counted in dispatches of one
 * program; programs never run at the same time, so that all of them draw on the same slots.
 */
import type { BufferSource, DispatchSource } from "../codegen/plan-source.ts";
import { bug } from "../ir/error.ts";
import type { MemorySlot } from "./lowered.ts";

/** A program whose dispatches bind one buffer for every temporary value. */
export interface VirtualProgram {
  readonly name: string;
  readonly prepare: readonly DispatchSource[];
  readonly body: readonly DispatchSource[];
}

export interface MemoryPlan {
  readonly buffers: readonly BufferSource[];
  readonly programs: readonly VirtualProgram[];
  readonly slots: readonly MemorySlot[];
  /** The new number of a buffer that is no temporary. */
  readonly renumber: (buffer: number) => number;
}

interface Life {
  readonly buffer: number;
  readonly first: number;
  last: number;
}

/** First and last dispatch that binds each temporary, in order of the first. */
function livesOf(buffers: readonly BufferSource[], dispatches: readonly DispatchSource[]): readonly Life[] {
  const lives = new Map<number, Life>();
  for (const [i, dispatch] of dispatches.entries()) {
    for (const buffer of dispatch.bind) {
      if (buffers[buffer]?.kind !== "temp") continue;
      const life = lives.get(buffer);
      if (life === undefined) lives.set(buffer, { buffer, first: i, last: i });
      else life.last = i;
    }
  }
  return [...lives.values()];
}

/** Gives every life the lowest slot free throughout it; a slot frees after the last dispatch that binds it. */
function assignSlots(lives: readonly Life[]): ReadonlyMap<number, number> {
  const busyUntil: number[] = [];
  return new Map(
    lives.map(({ buffer, first, last }) => {
      let slot = busyUntil.findIndex((until) => until < first);
      if (slot < 0) slot = busyUntil.length;
      busyUntil[slot] = last;
      return [buffer, slot];
    }),
  );
}

const sizeOf = (buffer: BufferSource | undefined): string => (buffer?.kind === "temp" ? buffer.size : bug("not a temporary"));

/** The largest of several sizes, as source. */
const largest = (sizes: ReadonlySet<string>): string => (sizes.size === 1 ? [...sizes].join("") : `Math.max(${[...sizes].join(",")})`);

export function planMemory(buffers: readonly BufferSource[], programs: readonly VirtualProgram[]): MemoryPlan {
  const used = new Set(programs.flatMap((p) => [...p.prepare, ...p.body].flatMap((d) => d.bind)));
  const kept = buffers
    .map((b, i) => ({ b, i }))
    .filter(({ b, i }) => b.kind !== "temp" && (used.has(i) || b.kind === "table" || b.kind === "input" || b.kind === "output"));
  const numbers = new Map(kept.map(({ i }, n) => [i, n]));
  const slotSizes: Set<string>[] = [];
  const slots: MemorySlot[] = [];
  const rewrite = (name: string, dispatches: readonly DispatchSource[]): readonly DispatchSource[] => {
    const lives = livesOf(buffers, dispatches);
    const assigned = assignSlots(lives);
    for (const { buffer, first, last } of lives) {
      const slot = assigned.get(buffer) ?? bug("no slot");
      const size = sizeOf(buffers[buffer]);
      (slotSizes[slot] ??= new Set()).add(size);
      slots.push({ program: name, slot, value: buffer, size, first, last });
    }
    return dispatches.map((d) => ({
      ...d,
      bind: d.bind.map((b) => numbers.get(b) ?? kept.length + (assigned.get(b) ?? bug(`buffer ${b} has no place`))),
    }));
  };
  const rewritten = programs.map((p) => ({
    name: p.name,
    prepare: rewrite(`${p.name}.prepare`, p.prepare),
    body: rewrite(p.name, p.body),
  }));
  return {
    buffers: [...kept.map(({ b }) => b), ...slotSizes.map((sizes): BufferSource => ({ kind: "temp", size: largest(sizes) }))],
    programs: rewritten,
    slots,
    renumber: (buffer) => numbers.get(buffer) ?? bug(`buffer ${buffer} has no number`),
  };
}
