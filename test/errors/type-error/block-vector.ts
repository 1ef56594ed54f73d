import { mean, model, sequence } from "recurve";
import { lruBlock } from "recurve/models";

export default model("m", { u: sequence(2) }, ({ u }) => ({ y: lruBlock(mean(u)) }));
//@73 type-error: L ... this needs a sequence
