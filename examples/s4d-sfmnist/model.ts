/** S4D on clothing, pixel by pixel: three post-norm layers of 64 channels, 64 states each. */
import { add, gelu, glu, layerNorm, linear, mean, model, s4d, sequence } from "recurve";

export default model(
  "s4d-sfmnist",
  { u: sequence(1) },
  ({ u }) => {
    let x = linear(u, { width: 64, name: "encoder" });
    for (let i = 0; i < 3; i++) {
      const layer = `s4_layers.${i}`;
      const y = gelu(s4d(x, { state: 64, discretize: "zoh", name: layer }));
      const z = glu(y, { width: 64, name: `${layer}.output_linear` });
      x = layerNorm(add(x, z), { name: `norms.${i}` });
    }
    return { logits: linear(mean(x, "L"), { width: 10, name: "decoder" }) };
  },
  { weights: "s4model" },
);
