/** What a model file imports as `recurve/models`: published blocks and backbones, each a function over the layers of `recurve`. */
export { h3, type H3Options } from "./h3.ts";
export { s4dBlock, s4Model, type S4dBlockOptions, type S4ModelOptions } from "./s4-model.ts";
