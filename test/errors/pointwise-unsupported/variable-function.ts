import { model, pointwise, sequence } from "recurve";

const table = { square: (x: number): number => x * x };
const square = pointwise((x: number) => table.square(x));
//                                      ^ pointwise-unsupported: a call of table.square

export default model("wrong", { u: sequence(1) }, ({ u }) => ({ y: square(u) }));
