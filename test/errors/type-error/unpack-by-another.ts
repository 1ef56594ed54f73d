import { model, pack, sequence, unpack } from "recurve";

export default model("wrong", { u: sequence(4) }, ({ u }) => ({ y: unpack(pack(u, 4), 2) }));
//                                                                        ^ type-error: 'shape.L'
