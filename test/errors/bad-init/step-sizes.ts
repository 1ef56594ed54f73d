import { dense, model, sequence } from "recurve";

export default model("wrong", { u: sequence(3) }, ({ u }) => ({ y: dense(u, { state: 4, delta: [0.1, -1] }) }));
//                                                                 ^ bad-init: step sizes from 0.1 to -1
