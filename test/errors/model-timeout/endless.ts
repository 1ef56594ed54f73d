import { gelu, model, sequence } from "recurve";

export default model("wrong", { u: sequence(1) }, ({ u }) => {
  const x = gelu(u);
//          ^ model-timeout: did not finish within 1.5 s ... a loop that does not end
  for (;;) if (x.shape.H > 1) return { y: x };
});
