import { model, pointwise, sequence } from "recurve";

const gated = pointwise((x: number, gate: number) => x * gate);

export default model("wrong", { u: sequence(1) }, ({ u }) => ({ y: gated(u) }));
//                                                                 ^ type-error: Expected 2 arguments, but got 1
