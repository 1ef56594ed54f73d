import { model, s4, sequence } from "recurve";

export default model("wrong", { u: sequence(1) }, ({ u }) => ({ y: s4(u, { state: 15 }) }));
//                                                                 ^ ssm-state-odd: cannot be odd
