import { model, sequence } from "recurve";
import * as models from "recurve/models";

export default model("classifier", { u: sequence(3) }, ({ u }) => ({
  logits: models.s4Model(u, { width: 4, outputs: 2, layers: 1, layer: (x) => models.s4dBlock(x, { state: 6 }) }),
}));
