/** Holds a pass to its promise: the interpreter's answer stays, whole and in pieces, for random models. */
import fc from "fast-check";
import { expect } from "vitest";
import { isCausal } from "../../src/ir/graph.ts";
import { emptyState, interpret } from "../../src/ir/interpret.ts";
import { verifyGraph } from "../../src/ir/verify.ts";
import type { Module, PassContext } from "../../src/passes/pass.ts";
import { arbitraryModule, type RandomModelOptions } from "../setup/random-graph.ts";
import { cutInputs, joinPieces, largestErrorOf } from "../setup/tensors.ts";

/** A context that listens to nothing. */
export const quiet: PassContext = { seed: 0, note: () => {}, warn: () => {} };

/** Throws with the model as IR text where `pass` changes an output by more than 1e-12 of its scale. */
export function expectSameMeaning(pass: (module: Module) => Module, numRuns: number, options: RandomModelOptions = {}): void {
  fc.assert(
    fc.property(arbitraryModule({ smooth: false, ...options }), fc.integer({ min: 1, max: 12 }), ({ module, inputs, L }, cut) => {
      const after = pass(module);
      verifyGraph(after.graph);
      const expected = interpret(module.graph, module.constants, inputs).outputs;
      expect(largestErrorOf(interpret(after.graph, after.constants, inputs).outputs, expected)).toBeLessThanOrEqual(1e-12);
      if (cut >= L || !isCausal(module.graph)) return;
      const first = interpret(after.graph, after.constants, cutInputs(after.graph, inputs, 0, cut), { state: emptyState });
      const second = interpret(after.graph, after.constants, cutInputs(after.graph, inputs, cut, L), { state: first.state });
      expect(largestErrorOf(joinPieces(after.graph, [first.outputs, second.outputs]), expected)).toBeLessThanOrEqual(1e-12);
    }),
    { numRuns },
  );
}
