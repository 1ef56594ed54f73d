import { model, pointwise, sequence } from "recurve";

const bend = pointwise((x: number) => Math.asin(x));
//                                    ^ pointwise-unsupported: Math.asin ... tanh

export default model("wrong", { u: sequence(1) }, ({ u }) => ({ y: bend(u) }));
