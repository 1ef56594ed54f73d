/**
 * What a program does for its outputs alone: dispatches that no state depends on. A prompt is read without them, so that
 * the head of a language model, its largest product, runs only where its logits are wanted.
 */
import type { BufferSource, DispatchSource } from "../codegen/plan-source.ts";
import { bug } from "../ir/error.ts";
import type { Kernel } from "../ir/kernel.ts";

/** Marks them. `body` has a buffer of its own for every value. */
export function markShown(
  body: readonly DispatchSource[],
  kernels: readonly Kernel[],
  buffers: readonly BufferSource[],
): readonly DispatchSource[] {
  const needed = new Set(buffers.flatMap(({ kind }, i) => (kind === "state" ? [i] : [])));
  return body
    .toReversed()
    .map((dispatch) => {
      const kernel = kernels[dispatch.kernel] ?? bug("no kernel");
      if (!dispatch.bind.some((buffer, i) => kernel.buffers[i]?.access === "read_write" && needed.has(buffer)))
        return { ...dispatch, shown: true };
      dispatch.bind.forEach((buffer) => needed.add(buffer));
      return dispatch;
    })
    .toReversed();
}
