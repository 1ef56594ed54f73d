import { model, sequence } from "recurve";

export default model("wrong", { u: sequence(1) }, () => {
//             ^ model-throws: the model file throws out of ideas
  throw "out of ideas";
});
