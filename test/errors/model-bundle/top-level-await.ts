import { model, sequence } from "recurve";

const width = await Promise.resolve(4);
//            ^ model-bundle: top-level await

export default model("wrong", { u: sequence(width) }, ({ u }) => ({ y: u }));
