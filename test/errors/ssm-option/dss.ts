import { model, s4, sequence } from "recurve";

export default model("wrong", { u: sequence(1) }, ({ u }) => ({ y: s4(u, { discretize: "dss(64)" }) }));
//                                                                 ^ ssm-option: needs one-dimensional states
