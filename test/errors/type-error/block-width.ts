import { linear, model, sequence } from "recurve";
import { sequenceModel } from "recurve/models";

export default model("m", { u: sequence(2) }, ({ u }) => {
  const x = linear(u, { width: 8 });
  return { y: sequenceModel(x, { layers: 2, layer: (z) => linear(z, { width: 9 }) }) };
  //                                                      ^ type-error: H ... dim H is 9 here and must be 8
});
