import { linear, model, pointwise, sequence } from "recurve";

const gated = pointwise((x: number, gate: number) => x * gate);

export default model("wrong", { u: sequence(1) }, ({ u }) => ({ y: gated(u, linear(u, { width: 2 })) }));
//                                                                          ^ type-error: dim H is 2 here and must be 1
