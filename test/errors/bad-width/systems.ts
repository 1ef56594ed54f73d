import { model, s4, sequence } from "recurve";

export default model("wrong", { u: sequence(8) }, ({ u }) => ({ y: s4(u, { ssms: 3 }) }));
//                                                                 ^ bad-width: 3 systems cannot be shared by 8 features
