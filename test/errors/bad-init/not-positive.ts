import { mat, model, neg, param, sequence, ssm } from "recurve";

const leak = ssm("leak", { state: 1, params: { rate: param.positive(0) } }, ({ rate }) => ({
//                                                   ^ bad-init: starts at 0
  A: mat([[neg(rate)]]),
  B: mat([[1]]),
  C: mat([[1]]),
}));

export default model("wrong", { u: sequence(1) }, ({ u }) => ({ y: leak(u) }));
