import { model, pointwise, sequence } from "recurve";

const leaky = pointwise((x: number, slope: number = 0.1) => (x > 0 ? x : slope * x));
//                                  ^ pointwise-unsupported: optional or rest parameter

export default model("wrong", { u: sequence(1) }, ({ u }) => ({ y: leaky(u, u) }));
