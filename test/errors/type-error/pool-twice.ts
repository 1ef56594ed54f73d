import { mean, model, sequence } from "recurve";

export default model("wrong", { u: sequence(3) }, ({ u }) => {
  const pooled = mean(u, "L");
  return { y: mean(pooled, "L") };
//                 ^ type-error: dim L is missing
});
