/** Words of the operands of a selective recurrence, for the costs of its kernels. */
import { bug } from "../../ir/error.ts";
import { selectiveRoles, type SelectiveRole, type SsmNode, type ValueId } from "../../ir/graph.ts";
import type { Selective } from "./selective.ts";

/** One of two sizes: where the operand varies in time, or is a parameter. */
export const wordsOf = (s: Selective, role: SelectiveRole, each: string, once: string): string => (s.varies(role) ? each : once);

/** Words of operands by role, of which one value that plays several counts once. */
export function operandWords(node: SsmNode, s: Selective, words: Readonly<Partial<Record<SelectiveRole, string>>>): string {
  const seen = new Set<ValueId>();
  const counted = selectiveRoles(s.form).flatMap((role, i) => {
    const [value, count] = [node.args[i] ?? bug(`no ${role}`), words[role]];
    if (count === undefined || seen.has(value)) return [];
    seen.add(value);
    return [count];
  });
  return ["0", ...counted].join("+");
}
