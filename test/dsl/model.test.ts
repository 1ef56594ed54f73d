import { describe, expect, test } from "vitest";
import { printGraph } from "../../src/ir/print.ts";
import { add, gelu, glu, layerNorm, linear, mean, model, s4d, sequence } from "../../src/dsl/index.ts";

describe("model", () => {
  test("an S4D classifier becomes the graph it reads as", () => {
    const { graph, weights } = model(
      "tiny",
      { u: sequence(1) },
      ({ u }) => {
        const x = linear(u, { width: 4, name: "encoder" });
        const y = gelu(s4d(x, { state: 8, name: "s4_layers.0" }));
        const z = layerNorm(add(x, glu(y, { width: 4, name: "s4_layers.0.output_linear" })), { name: "norms.0" });
        return { logits: linear(mean(z, "L"), { width: 3, name: "decoder" }) };
      },
      { weights: "s4model" },
    );
    expect(weights).toBe("s4model");
    expect(printGraph(graph)).toMatchInlineSnapshot(`
      "graph tiny {
        %0: [B L H=1] = input u
        %1: [O=4 I=1] = param encoder.weight init uniform(-1, 1)
        %2: [B L H=4] = matmul %0 %1
        %3: [H=4] = param encoder.bias init uniform(-1, 1)
        %4: [B L H=4] = map {($0 + $1)} %2 %3
        %5: [H=4 N=4 c=2] = param s4_layers.0.kernel.C init family(s4d, C, {init: "lin", dt_min: 0.001, dt_max: 0.1})
        %6: [H=4] = param s4_layers.0.kernel.log_dt init family(s4d, log_dt, {init: "lin", dt_min: 0.001, dt_max: 0.1})
        %7: [H=4 N=4] = param s4_layers.0.kernel.log_A_real init family(s4d, log_A_real, {init: "lin", dt_min: 0.001, dt_max: 0.1})
        %8: [H=4 N=4] = param s4_layers.0.kernel.A_imag init family(s4d, A_imag, {init: "lin", dt_min: 0.001, dt_max: 0.1})
        %9: [H=4] = param s4_layers.0.D init family(s4d, D, {init: "lin", dt_min: 0.001, dt_max: 0.1})
        %10: [B L H=4] = ssm family s4d zoh state=8 options={init: "lin", dt_min: 0.001, dt_max: 0.1} %4 %5 %6 %7 %8 %9
        %11: [B L H=4] = map {((0.5 * $0) * (1 + erf((0.7071067811865476 * $0))))} %10
        %12: [O=8 I=4] = param s4_layers.0.output_linear.weight init uniform(-0.5, 0.5)
        %13: [B L H=8] = matmul %11 %12
        %14: [H=8] = param s4_layers.0.output_linear.bias init uniform(-0.5, 0.5)
        %15: [B L H=8] = map {($0 + $1)} %13 %14
        %16: [B L H=4] = slice start=0 %15
        %17: [B L H=4] = slice start=4 %15
        %18: [B L H=4] = map {($0 * sigmoid($1))} %16 %17
        %19: [B L H=4] = map {($0 + $1)} %4 %18
        %20: [B L H=4] = norm layer eps=0.00001 %19
        %21: [H=4] = param norms.0.weight init constant(1)
        %22: [H=4] = param norms.0.bias init constant(0)
        %23: [B L H=4] = map {(($0 * $1) + $2)} %20 %21 %22
        %24: [B H=4] = pool mean %23
        %25: [O=3 I=4] = param decoder.weight init uniform(-0.5, 0.5)
        %26: [B H=3] = matmul %24 %25
        %27: [H=3] = param decoder.bias init uniform(-0.5, 0.5)
        %28: [B H=3] = map {($0 + $1)} %26 %27
        return logits: %28
      }
      "
    `);
  });
});
