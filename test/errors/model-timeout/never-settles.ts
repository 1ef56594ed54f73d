import { model, sequence } from "recurve";

const inner = model("wrong", { u: sequence(1) }, ({ u }) => ({ y: u }));
setInterval(() => {}, 1000);
//@1 model-timeout: did not finish within

export default new Promise<typeof inner>(() => {});
declare function setInterval(run: () => void, ms: number): number;
