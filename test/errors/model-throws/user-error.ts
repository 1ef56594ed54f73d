import { linear, model, sequence } from "recurve";

function widthOf(layer: number): number {
  if (layer > 1) throw new Error(`no width for layer ${layer}`);
//                     ^ model-throws: Error: no width for layer 2
  return 8;
}

export default model("wrong", { u: sequence(1) }, ({ u }) => {
  let x = linear(u, { width: widthOf(0) });
  for (let i = 1; i < 4; i++) x = linear(x, { width: widthOf(i) });
  return { y: x };
});
