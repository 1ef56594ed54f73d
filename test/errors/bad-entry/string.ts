import { mat, model, sequence, ssm } from "recurve";

const leak = ssm("leak", { state: 1 }, () => ({
  A: mat([["-1" as unknown as number]]),
//   ^ bad-entry: neither a number
  B: mat([[1]]),
  C: mat([[1]]),
}));

export default model("wrong", { u: sequence(1) }, ({ u }) => ({ y: leak(u) }));
