import { model, pointwise, sequence } from "recurve";

const top = 1 / 0;
const clip = pointwise((x: number) => Math.min(x, top));
//                                                ^ pointwise-unsupported: not finite ... finite number

export default model("wrong", { u: sequence(1) }, ({ u }) => ({ y: clip(u) }));
