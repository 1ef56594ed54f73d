/** S4D on ten spoken words, raw 8 kHz samples: three pre-norm layers of 32 channels, 64 states each. */
import { gelu, glu, layerNorm, linear, mean, model, residual, s4d, sequence } from "recurve";

export default model(
  "s4d-kws-raw",
  { u: sequence(1) },
  ({ u }) => {
    let x = linear(u, { width: 32, name: "encoder" });
    for (let i = 0; i < 3; i++) {
      const layer = `s4_layers.${i}`;
      x = residual(x, (h) => {
        const z = layerNorm(h, { name: `norms.${i}` });
        const y = gelu(s4d(z, { state: 64, discretize: "zoh", name: layer }));
        return glu(y, { width: 32, name: `${layer}.output_linear` });
      });
    }
    return { logits: linear(mean(x, "L"), { width: 10, name: "decoder" }) };
  },
  { weights: "s4model" },
);
