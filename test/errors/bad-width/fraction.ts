import { model, sequence } from "recurve";

export default model("wrong", { u: sequence(1.5) }, ({ u }) => ({ y: u }));
//                                 ^ bad-width: 1.5
