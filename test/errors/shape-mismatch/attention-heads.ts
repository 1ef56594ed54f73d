import { attention, linear, model, sequence } from "recurve";

export default model("wrong", { u: sequence(8) }, ({ u }) => {
  const k = linear(u, { width: 8 });
  return { y: attention(u, k, k, { heads: 4, kvHeads: 2 }) };
  //          ^ shape-mismatch: heads of q have 2 channels, so 2 of k have 4; it is [B L H=8]
});
