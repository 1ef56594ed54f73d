/** The package `recurve`: the language of models, and the compiler as functions. The command line is `cli/main.ts`. */
export * from "./dsl/index.ts";
export { compileModel, writeBundle, type BuildOptions, type BuiltModel } from "./build.ts";
export { compileGraph, type Compiled, type CompileOptions, type Manifest } from "./compile.ts";
export { CompileError, type Diagnostic, type Loc } from "./ir/error.ts";
