import { model, pointwise, sequence } from "recurve";

const wrap = pointwise((x: number) => x % 1);
//                                    ^ pointwise-unsupported: the operator % ... Math.floor

export default model("wrong", { u: sequence(1) }, ({ u }) => ({ y: wrap(u) }));
