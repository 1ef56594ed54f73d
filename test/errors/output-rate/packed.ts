import { linear, model, pack, sequence } from "recurve";

export default model("halved", { u: sequence(1) }, ({ u }) => ({ y: linear(pack(u, 2), { width: 4 }) }));
//             ^ output-rate: output "y" is [B L/2 H=4]
