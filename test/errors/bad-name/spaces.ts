import { model, sequence } from "recurve";

export default model("my model", { u: sequence(1) }, ({ u }) => ({ y: u }));
//             ^ bad-name: "my model"
