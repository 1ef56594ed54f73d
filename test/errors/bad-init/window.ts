import { model, s4, sequence } from "recurve";

export default model("wrong", { u: sequence(1) }, ({ u }) => ({ y: s4(u, { rank: 2, init: "legt", delta: [0.1, 5] }) }));
//                                                                 ^ bad-init: legt remembers a window of 2: less than one step
