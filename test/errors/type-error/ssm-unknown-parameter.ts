import { mat, model, neg, param, sequence, ssm } from "recurve";

const leak = ssm("leak", { state: 1, params: { rate: param.positive(1) } }, ({ speed }) => ({
//                                                                             ^ type-error: Property 'speed' does not exist on type '{ readonly rate: Scalar; }'
  A: mat([[neg(speed)]]),
  B: mat([[1]]),
  C: mat([[1]]),
}));

export default model("wrong", { u: sequence(1) }, ({ u }) => ({ y: leak(u) }));
