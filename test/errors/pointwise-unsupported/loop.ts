import { model, pointwise, sequence } from "recurve";

const power = pointwise((x: number) => {
  let y = x;
//    ^ pointwise-unsupported: a variable that can change ... const
  for (let i = 0; i < 3; i++) y *= x;
  return y;
});

export default model("wrong", { u: sequence(1) }, ({ u }) => ({ y: power(u) }));
