import { model, pointwise, sequence } from "recurve";

const large = pointwise((x: number) => {
//                      ^ pointwise-unsupported: more than 4000 operations
  const a = x * x * x + x;
  const b = a * a * a + a;
  const c = b * b * b + b;
  const d = c * c * c + c;
  const e = d * d * d + d;
  return e * e * e + e;
});

export default model("wrong", { u: sequence(1) }, ({ u }) => ({ y: large(u) }));
