import { model, pointwise, sequence } from "recurve";

const steps = [0.5, 0.25];
const first = pointwise((x: number) => x * (steps[0] ?? 1));
//                                          ^ pointwise-unsupported: the operator ??

export default model("wrong", { u: sequence(1) }, ({ u }) => ({ y: first(u) }));
