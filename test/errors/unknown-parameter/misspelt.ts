import { embed, linear, model, tokens } from "recurve";

export default model("wrong", { ids: tokens(8) }, ({ ids }) => {
  const x = embed(ids, { width: 4, name: "table" });
  return { y: linear(x, { width: 8, bias: false, tiedTo: "embedding" }) };
//            ^ unknown-parameter: no layer before this one has a parameter embedding.weight ... there are table.weight
});
