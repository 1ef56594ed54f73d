import { add, linear, model, sequence } from "recurve";

const width: number = 8;

export default model("wrong", { u: sequence(1) }, ({ u }) => {
  const x = linear(u, { width });
  return { y: add(x, linear(x, { width: width + 1 })) };
//            ^ shape-mismatch: dim H
});
