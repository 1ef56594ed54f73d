/** The editor stays quick: what the type checker does for each call of a layer is small and does not grow with the model. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ts } from "ts-morph";
import { expect, test } from "vitest";
import { optionsFor } from "../../src/frontend/program.ts";

const block = `    {
      const y = gelu(s4d(layerNorm(x), { state: 64 }));
      const [a, b] = split(linear(y, { width: 128 }), [64, 64]);
      x = residual(add(x, glu(mul(a, silu(b)), { width: 64 })), (h) => conv(h, { width: 4 }));
    }
`;
const callsPerBlock = 11;

/** Type instantiations of checking a model of so many blocks. */
function instantiations(blocks: number): number {
  const folder = mkdtempSync(join(tmpdir(), "recurve-"));
  try {
    const file = join(folder, "model.ts");
    const imports =
      'import { add, conv, gelu, glu, layerNorm, linear, mean, model, mul, residual, s4d, sequence, silu, split } from "recurve";\n';
    const text = `${imports}export default model("m", { u: sequence(1) }, ({ u }) => {\n    let x = linear(u, { width: 64 });\n${block.repeat(blocks)}    return { y: mean(x) };\n});\n`;
    writeFileSync(file, text);
    const program = ts.createProgram([file], optionsFor(text));
    const faults = program.getSemanticDiagnostics(program.getSourceFile(file));
    expect(faults.map((d) => ts.flattenDiagnosticMessageText(d.messageText, "\n"))).toEqual([]);
    return program.getInstantiationCount();
  } finally {
    rmSync(folder, { recursive: true });
  }
}

test("a call of a layer costs at most 20 type instantiations, in a small model and in a large one", () => {
  const [none, few, many] = [instantiations(0), instantiations(4), instantiations(40)];
  const early = (few - none) / (4 * callsPerBlock);
  const late = (many - few) / (36 * callsPerBlock);
  expect(early).toBeLessThan(20);
  expect(late).toBeLessThan(20);
});
