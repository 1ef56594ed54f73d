import { model, pointwise, sequence } from "recurve";

const noisy = pointwise((x: number) => x + Math.random());
//                                         ^ pointwise-unsupported: Math.random

export default model("wrong", { u: sequence(1) }, ({ u }) => ({ y: noisy(u) }));
