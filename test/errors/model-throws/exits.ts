import { exit } from "node:process";
import { model, sequence } from "recurve";

export default model("wrong", { u: sequence(1) }, ({ u }) => {
  if (u.shape.H === 1) exit(3);
//                     ^ model-throws: ended its process with code 3
  return { y: u };
});
