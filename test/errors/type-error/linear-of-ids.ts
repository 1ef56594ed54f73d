import { linear, model, tokens } from "recurve";

export default model("wrong", { ids: tokens(18) }, ({ ids }) => ({ y: linear(ids, { width: 4 }) }));
//                                                                           ^ type-error: dim H is missing
