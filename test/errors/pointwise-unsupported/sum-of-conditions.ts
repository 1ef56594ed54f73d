import { model, pointwise, sequence } from "recurve";

const count = pointwise((x: number) => Number(x > 0));
//                                     ^ pointwise-unsupported: a call of Number

export default model("wrong", { u: sequence(1) }, ({ u }) => ({ y: count(u) }));
