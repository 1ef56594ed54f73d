import { model, sequence } from "recurve";

export default model("wrong", { u: sequence(1) }, ({ u }) => {
//             ^ model-memory: needs more than 96 MB ... loop
  const kept: number[][] = [];
  while (u.shape.H === 1) kept.push(new Array<number>(100_000).fill(0.5));
  return { y: u };
});
