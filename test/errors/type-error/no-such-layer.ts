import { perceptron, model, sequence } from "recurve";
//       ^ type-error: no exported member 'perceptron'

export default model("wrong", { u: sequence(4) }, ({ u }) => ({ y: perceptron(u) }));
