import { linear, model, selective, sequence, softplus } from "recurve";

export default model("wrong", { u: sequence(8) }, ({ u }) => {
  const dt = softplus(linear(u, { width: 8 }));
  return { y: selective(u, { dt, B: linear(u, { width: 4 }), C: linear(u, { width: 6 }) }) };
//            ^ selective-width: C of mamba has 6 channels; G N = 4 are needed
});
