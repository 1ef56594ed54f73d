import { model, sequence } from "recurve";
//@1 model-no-default: export default model(...)

export const net = model("wrong", { u: sequence(1) }, ({ u }) => ({ y: u }));
