import { model, sequence } from "recurve";

export default model("wrong", { u: sequence(1) }, ({ u }) => {
//             ^ model-memory: needs more than 96 MB ... loop
  const kept: number[][] = [];
  while (u.shape.H === 1) kept.push(Array.from({ length: 10000 }, (_, i) => i + 0.5));
  return { y: u };
});
