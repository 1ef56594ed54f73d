import { model, pointwise, sequence } from "recurve";

const halve = pointwise((x: number) => {
  while (x > 1) return x / 2;
//^ pointwise-unsupported: a while ... use numbers
  return x;
});

export default model("wrong", { u: sequence(1) }, ({ u }) => ({ y: halve(u) }));
