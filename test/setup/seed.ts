/** Property tests draw new cases each run; with `RECURVE_SEED` set, as in CI, the same ones for the same tree. */
import fc from "fast-check";

const seed = process.env["RECURVE_SEED"];
if (seed !== undefined && seed !== "") fc.configureGlobal({ seed: Number(seed) | 0 });
