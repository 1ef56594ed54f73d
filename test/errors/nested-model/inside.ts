import { model, sequence } from "recurve";

export default model("outer", { u: sequence(4) }, ({ u }) => {
  model("inner", { v: sequence(4) }, ({ v }) => ({ y: v }));
//^ nested-model: inside another
  return { y: u };
});
