import { model, sequence } from "recurve";

export default model("wrong", { u: sequence(1) }, ({ u }) => ({ "y/z": u }));
//             ^ bad-name: "y/z" is no name for an input or output
