import { model, pointwise, sequence } from "recurve";

let slope = 0.1;
slope += 0.1;
const leaky = pointwise((x: number) => (x > 0 ? x : slope * x));
//                                                  ^ pointwise-unsupported: slope, which can change, ... declare slope with const

export default model("wrong", { u: sequence(1) }, ({ u }) => ({ y: leaky(u) }));
