import { model, pointwise, sequence } from "recurve";

const lifted = pointwise;
const square = lifted((x: number) => x * x);
//             ^ pointwise-not-lifted: call pointwise by its own name

export default model("wrong", { u: sequence(1) }, ({ u }) => ({ y: square(u) }));
