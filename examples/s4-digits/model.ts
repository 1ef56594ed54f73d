/** S4 on handwritten digits, pixel by pixel: three pre-norm layers of 48 channels, 32 states each, diagonal plus low rank. */
import { gelu, glu, model, s4, sequence, type Seq, type Tensor } from "recurve";
import { s4Model } from "recurve/models";

const layer = (x: Tensor<Seq<48>>): Tensor<Seq<48>> =>
  glu(gelu(s4(x, { state: 32, discretize: "bilinear", name: "layer" })), { width: 48, name: "output_linear" });

export default model(
  "s4-digits",
  { u: sequence(1) },
  ({ u }) => ({ logits: s4Model(u, { width: 48, outputs: 10, layers: 3, prenorm: true, layer }) }),
  { weights: "s4model" },
);
