import { model, pointwise, sequence } from "recurve";

const root = pointwise((x: number) => {
  if (x >= 0) return Math.sqrt(x);
  throw new Error("negative");
//^ pointwise-unsupported: a throw statement
});

export default model("wrong", { u: sequence(1) }, ({ u }) => ({ y: root(u) }));
