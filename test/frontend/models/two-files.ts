/** A model whose layers come from another file. */
import { mat, mean, model, neg, param, residual, sequence, ssm } from "recurve";
import { block } from "./blocks.ts";

const layers = [
  ssm("leak", { state: 1, params: { rate: param.positive(1) } }, ({ rate }) => ({ A: mat([[neg(rate)]]), B: mat([[1]]), C: mat([[1]]) })),
];

export default model("two-files", { u: sequence(3) }, ({ u }) => {
  let x = residual(u, (h) => block(h, "first"));
  for (const layer of layers) x = layer(x, { name: "leak" });
  return { y: mean(x) };
});
