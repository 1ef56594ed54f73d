import { mat, model, sequence, ssm } from "recurve";

const two = ssm("two", { state: 2 }, () => ({ A: mat([[-1, 0], [1]]), B: mat([[1], [0]]), C: mat([[1, 1]]) }));
//                                               ^ bad-matrix: 2, 1 entries

export default model("wrong", { u: sequence(1) }, ({ u }) => ({ y: two(u) }));
