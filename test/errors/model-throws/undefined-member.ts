import { linear, model, sequence } from "recurve";

const widths: Record<string, { readonly width: number }> = { small: { width: 4 } };

export default model("wrong", { u: sequence(1) }, ({ u }) => ({ y: linear(u, { width: widths["large"]!.width }) }));
//                                                                                                     ^ model-throws: TypeError
