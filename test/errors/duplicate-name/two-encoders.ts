import { linear, model, sequence } from "recurve";

export default model("wrong", { u: sequence(1) }, ({ u }) => {
  const x = linear(u, { width: 4, name: "encoder" });
  return { y: linear(x, { width: 4, name: "encoder" }) };
//            ^ duplicate-name: two parameters are named encoder.weight ... another `name`
});
