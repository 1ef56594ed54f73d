import { gelu, model, sequence, type Seq, type Tensor } from "recurve";

let kept: Tensor<Seq<4>> | undefined;
const net = model("wrong", { u: sequence(4) }, ({ u }) => ({ y: (kept = u) }));
if (kept !== undefined) gelu(kept);
//                      ^ outside-model: outside of model()

export default net;
