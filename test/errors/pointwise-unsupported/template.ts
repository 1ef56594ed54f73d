import { model, pointwise, sequence } from "recurve";

const odd = pointwise((x: number) => `${x}`.length);
//                                   ^ pointwise-unsupported: `${x}`.length

export default model("wrong", { u: sequence(1) }, ({ u }) => ({ y: odd(u) }));
