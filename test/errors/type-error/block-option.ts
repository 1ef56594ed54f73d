import { linear, model, sequence } from "recurve";
import { s5Layer } from "recurve/models";

export default model("m", { u: sequence(2) }, ({ u }) => {
  const x = linear(u, { width: 8 });
  return { y: s5Layer(x, { state: 8, activation: "swish" }) };
  //                                 ^ type-error: "swish" ... GatedActivation
});
