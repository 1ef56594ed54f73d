/** What a bundle's glue imports, and what `recurve/runtime` gives the types of. */
export type * from "./api.ts";
export type * from "./language-api.ts";
export type { TableMaker } from "./tables.ts";
export type * from "./plan.ts";
export { DeviceLostError, InputError, LimitError, NoWebGPUError, WeightsError } from "./errors.ts";
export { createLanguageLoader } from "./language.ts";
export { LogitsError } from "./language-api.ts";
export { createLoader } from "./load.ts";
