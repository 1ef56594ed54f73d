import { gelu, model, sequence } from "recurve";

export default model("wrong", { u: sequence(1) }, ({ u }) => {
  let x = u;
  while (x.shape.H < 2) x = gelu(x);
//                          ^ model-too-large: more than 100000 nodes
  return { y: x };
});
