import { add, linear, mean, model, sequence } from "recurve";

export default model("wrong", { u: sequence(1) }, ({ u }) => {
  const x = linear(u, { width: 64 });
  const y = linear(u, { width: 32 });
  return { y: mean(add(x, y)) };
//                        ^ type-error: 'shape.H' are incompatible ... dim H is 32 here and must be 64
});
