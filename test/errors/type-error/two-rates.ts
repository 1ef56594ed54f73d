import { add, linear, model, pack, sequence } from "recurve";

export default model("wrong", { u: sequence(4) }, ({ u }) => {
  const low = linear(pack(u, 2), { width: 4 });
  return { y: add(u, low) };
  //                 ^ type-error: dim L is "L/2" here and must be "L"
});
