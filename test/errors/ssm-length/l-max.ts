import { model, s4, sequence } from "recurve";

export default model("wrong", { u: sequence(1) }, ({ u }) => ({ y: s4(u, { lMax: 0.5 }) }));
//                                                                 ^ ssm-length: cut off after 0.5 steps
