import { lstm, model, sequence } from "recurve";
//       ^ type-error: no exported member 'lstm'

export default model("wrong", { u: sequence(4) }, ({ u }) => ({ y: lstm(u) }));
