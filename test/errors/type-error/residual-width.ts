import { linear, model, residual, sequence } from "recurve";

export default model("wrong", { u: sequence(1) }, ({ u }) => {
  const x = linear(u, { width: 64 });
  return { y: residual(x, (h) => linear(h, { width: 48 })) };
//                               ^ type-error: dim H is 48 here and must be 64
});
