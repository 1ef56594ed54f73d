import { attention, linear, model, pack, sequence } from "recurve";

export default model("wrong", { u: sequence(8) }, ({ u }) => {
  const k = linear(pack(u, 2), { width: 8 });
  return { y: attention(u, k, k, { heads: 2 }) };
  //                       ^ type-error: dim L
});
