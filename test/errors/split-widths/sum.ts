import { linear, model, mul, sequence, split } from "recurve";

export default model("wrong", { u: sequence(1) }, ({ u }) => {
  const [a, b] = split(linear(u, { width: 64 }), [32, 33]);
//               ^ split-widths: 32 + 33 = 65 do not split H=64
  return { y: mul(a, 2), z: b };
});
