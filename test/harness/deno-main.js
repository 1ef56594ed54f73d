import { double } from "./double.js";
console.log(JSON.stringify(await double(navigator.gpu)));
