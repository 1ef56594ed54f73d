import { attention, model, sequence } from "recurve";

export default model("wrong", { u: sequence(8) }, ({ u }) => ({ y: attention(u, u, u, { heads: 2, rope: { dims: 3 } }) }));
//                                                                 ^ shape-mismatch: rotary places in 3 of a head's 4 channels
