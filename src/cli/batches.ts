/** A large batch as several calls of bounded size, so that a person sees how far the work is. */
import { bug, CompileError } from "../ir/error.ts";
import type { ExecutionMode } from "../runtime/api.ts";
import type { AnyInputs, AnyModel, AnyOutputs } from "./bundle.ts";

/** Time steps of all sequences of one call. */
const STEPS = 2 ** 16;

/** What is asked of a model for every part of the batch. */
export interface BatchOptions {
  readonly mode: ExecutionMode;
  /** Time steps of one call, over all its sequences; at least one sequence is computed. */
  readonly steps?: number;
  /** Hears how many sequences of how many are done. */
  readonly onProgress?: (done: number, total: number) => void;
}

/** As `model.run`, part by part. Inputs and outputs are batch-major. */
export async function runInBatches(model: Pick<AnyModel, "run" | "info">, inputs: AnyInputs, options: BatchOptions): Promise<AnyOutputs> {
  const { mode, steps = STEPS, onProgress } = options;
  const { B, L } = sizesOf(model, inputs);
  const size = Math.max(1, Math.floor(steps / L));
  const parts: AnyOutputs[] = [];
  for (let from = 0; from < B; from += size) {
    const to = Math.min(B, from + size);
    onProgress?.(from, B);
    parts.push(await model.run(to - from === B ? inputs : rowsOf(inputs, from, to), { mode }));
  }
  return parts.length === 1 ? (parts[0] ?? bug("no part")) : joinRows(parts, B);
}

/** B and L of the inputs. Throws: `input-shape` where they disagree. */
function sizesOf({ info }: Pick<AnyModel, "info">, inputs: AnyInputs): { readonly B: number; readonly L: number } {
  const sizes: { B?: number; L?: number } = {};
  for (const { name, dims } of info.inputs) {
    const given = dimsOf(inputs[name]);
    dims.forEach((size, i) => {
      if (typeof size === "number") return;
      const known = (sizes[size] ??= given[i] ?? 1);
      if (given[i] === known) return;
      const message = `"${name}" is [${given.join(", ")}]: its ${size} is ${given[i]}, that of another input ${known}`;
      throw new CompileError({ code: "input-shape", message, fix: `give all inputs the same ${size}` });
    });
  }
  return { B: sizes.B ?? 1, L: sizes.L ?? 1 };
}

function dimsOf(input: AnyInputs[string] | undefined): readonly number[] {
  return input !== undefined && "dims" in input ? input.dims : bug("an input without dims");
}

/** Sequences `from` to `to` of every input. */
function rowsOf(inputs: AnyInputs, from: number, to: number): AnyInputs {
  return Object.fromEntries(
    Object.entries(inputs).map(([name, input]) => {
      const [B = 1, ...rest] = dimsOf(input);
      const data = "data" in input ? input.data : bug("an input without data");
      if (!(data instanceof Float32Array || data instanceof Int32Array)) return bug("an input on the device");
      const row = data.length / B;
      const dims = [to - from, ...rest];
      return [
        name,
        data instanceof Float32Array
          ? { data: data.subarray(from * row, to * row), dims }
          : { data: data.subarray(from * row, to * row), dims },
      ] as const;
    }),
  );
}

function joinRows(parts: readonly AnyOutputs[], B: number): AnyOutputs {
  return Object.fromEntries(
    Object.entries(parts[0] ?? {}).map(([name, { data: first, dims }]) => {
      const pieces = parts.map((part) => part[name]?.data ?? bug(`a part without output ${name}`));
      const count = pieces.reduce((sum, piece) => sum + piece.length, 0);
      const data = first instanceof Int32Array ? new Int32Array(count) : new Float32Array(count);
      let at = 0;
      for (const piece of pieces) {
        data.set(piece, at);
        at += piece.length;
      }
      return [name, { data, dims: [B, ...dims.slice(1)] }] as const;
    }),
  );
}
