import { mat, model, sequence, ssm } from "recurve";

const one = ssm("one", { state: 2 }, () => ({ A: mat([[-1]]), B: mat([[1]]), C: mat([[1]]) }));
//          ^ bad-matrix: A is [1 1], with state 2 it must be [2 2]

export default model("wrong", { u: sequence(1) }, ({ u }) => ({ y: one(u) }));
