import { attention, linear, model, sequence } from "recurve";

export default model("wrong", { u: sequence(8) }, ({ u }) => {
  const [k, v] = [linear(u, { width: 4 }), linear(u, { width: 8 })];
  return { y: attention(u, k, v, { heads: 2, kvHeads: 1 }) };
  //                          ^ type-error: dim H is 8 here and must be 4
});
