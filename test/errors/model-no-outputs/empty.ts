import { model, sequence } from "recurve";

export default model("wrong", { u: sequence(1) }, () => ({}));
//             ^ model-no-outputs: returns no outputs
