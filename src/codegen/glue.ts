/**
 * The TypeScript of a bundle: its entry module, to be bundled with the runtime, and its declarations, which stand alone.
 * Both name the model's own inputs and outputs. Nothing is executed or written to disk here.
 */
import { Project, type SourceFile, StructureKind, ts, VariableDeclarationKind } from "ts-morph";
import type { TensorSpec } from "../runtime/plan.ts";
import { printPlan, type PlanSource } from "./plan-source.ts";

/** What differs between a bundle and that of a language model: its loader, and its types. */
const PLAIN = { module: "load", loader: "createLoader", model: "LoadedModel", stream: "ModelStream", options: "LoadOptions" };
const LANGUAGE = {
  module: "language",
  loader: "createLanguageLoader",
  model: "LanguageModel",
  stream: "LanguageStream",
  options: "LanguageLoadOptions",
};

/** The modules of the runtime whose text the declarations of a bundle begin with. */
export const typeModules = (plan: PlanSource): readonly string[] =>
  plan.generate === undefined ? ["api", "errors"] : ["api", "errors", "language-api"];

/** The entry module of a bundle; it imports the runtime's modules from `./`. A language model's ids may be `characters`. */
export function printEntry(plan: PlanSource, characters?: string): string {
  const file = emptyFile("index.ts");
  const makers = [...new Set(plan.tables.map((table) => table.maker))].sort();
  const { module, loader } = plan.generate === undefined ? PLAIN : LANGUAGE;
  file.addImportDeclaration({ moduleSpecifier: `./${module}.ts`, namedImports: [loader] });
  file.addImportDeclaration({
    moduleSpecifier: "./api.ts",
    namedImports: ["DeviceTensor", "TensorInput", "TensorOutput"],
    isTypeOnly: true,
  });
  file.addImportDeclaration({ moduleSpecifier: "./plan.ts", namedImports: ["repeat"] });
  if (makers.length > 0) file.addImportDeclaration({ moduleSpecifier: "./tables.ts", namedImports: makers });
  file.addExportDeclaration({ moduleSpecifier: "./errors.ts" });
  if (plan.generate !== undefined) file.addExportDeclaration({ moduleSpecifier: "./language-api.ts", namedExports: ["LogitsError"] });
  const tokenizer = plan.generate === undefined || characters === undefined ? "" : `, characterTokenizer(${JSON.stringify(characters)})`;
  if (tokenizer !== "") file.addImportDeclaration({ moduleSpecifier: "./characters.ts", namedImports: ["characterTokenizer"] });
  addTensorTypes(file, plan);
  file.addVariableStatement({
    isExported: true,
    declarationKind: VariableDeclarationKind.Const,
    declarations: [
      {
        name: "load",
        initializer: `/* @__PURE__ */ ${loader}<Inputs, Outputs, DeviceOutputs>(${printPlan(plan)}, import.meta.url, { ${makers.join(", ")} }${tokenizer})`,
      },
    ],
  });
  return file.getFullText();
}

/** A bundle's `index.d.ts`. `runtime` is the text of its `typeModules`, as TypeScript; their imports from each other are left out. */
export function printDeclarations(plan: PlanSource, runtime: string): string {
  const file = emptyFile("index.d.ts");
  const types = plan.generate === undefined ? PLAIN : LANGUAGE;
  file.addStatements(
    ts
      .transpileDeclaration(runtime.replaceAll(/^import type [^;]*;\n/gm, ""), { compilerOptions: { stripInternal: true } })
      .outputText.replaceAll(/^\/\*\*[^]*?\*\/\n(?=\/\*\*)/g, ""),
  );
  addTensorTypes(file, plan);
  file.addTypeAlias({
    isExported: true,
    name: "Model",
    type: `${types.model}<Inputs, Outputs, DeviceOutputs>`,
    docs: [
      plan.step === undefined
        ? `The model \`${plan.name}\`. It needs whole sequences: it has no streams, and no mode \`recurrence\`.`
        : `The model \`${plan.name}\`.`,
    ],
  });
  file.addTypeAlias({ isExported: true, name: "Stream", type: `${types.stream}<Inputs, Outputs, DeviceOutputs>` });
  file.addFunction({
    isExported: true,
    hasDeclareKeyword: true,
    name: "load",
    parameters: [{ name: "options", type: types.options, hasQuestionToken: true }],
    returnType: "Promise<Model>",
    docs: [
      "Loads the weights beside this module and compiles the shaders.\nThrows: NoWebGPUError, WeightsError, LimitError, DeviceLostError, the signal's reason.",
    ],
  });
  return file.getFullText();
}

function emptyFile(name: string): SourceFile {
  return new Project({ useInMemoryFileSystem: true, skipLoadingLibFiles: true }).createSourceFile(name);
}

/** `Inputs`, `Outputs` and `DeviceOutputs` of this model. */
function addTensorTypes(file: SourceFile, { name, inputs, outputs }: PlanSource): void {
  const array = (spec: TensorSpec): string => (spec.dtype === "f32" ? "Float32Array" : "Int32Array");
  const add = (type: string, doc: string, specs: readonly TensorSpec[], typeOf: (spec: TensorSpec) => string): void => {
    file.addInterface({
      kind: StructureKind.Interface,
      isExported: true,
      name: type,
      docs: [doc],
      properties: specs.map((spec) => ({
        name: JSON.stringify(spec.name),
        isReadonly: true,
        type: typeOf(spec),
        docs: [`${spec.dtype} ${shape(spec)}`],
      })),
    });
  };
  add("Inputs", `What \`${name}\` takes.`, inputs, (spec) => `TensorInput<${array(spec)}>`);
  add("Outputs", `What \`${name}\` gives.`, outputs, (spec) => `TensorOutput<${array(spec)}>`);
  add("DeviceOutputs", "The same, left on the device.", outputs, () => "DeviceTensor");
}

/** `[B, L, C=1]`. */
function shape({ dims, names }: TensorSpec): string {
  return `[${dims.map((dim, i) => (typeof dim === "number" ? `${names[i] ?? "_"}=${dim}` : dim)).join(", ")}]`;
}
