import { model, s4d, sequence } from "recurve";

export default model("wrong", { u: sequence(1) }, ({ u }) => ({ y: s4d(u, { state: 7 }) }));
//                                                                 ^ ssm-state-odd: cannot be odd
