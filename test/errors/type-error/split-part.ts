import { linear, model, mul, sequence, silu, split } from "recurve";

export default model("wrong", { u: sequence(1) }, ({ u }) => {
  const [x, gate] = split(linear(u, { width: 48 }), [32, 16]);
  return { y: mul(x, silu(gate)) };
//                   ^ type-error: dim H is 16 here and must be 32
});
