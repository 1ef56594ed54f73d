import { model, tokens } from "recurve";

export default model("echo", { ids: tokens(5) }, ({ ids }) => ({ ids }));
//             ^ output-ids: output "ids" is an input of ids
