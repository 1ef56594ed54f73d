/**
 * The TypeScript of a bundle: its entry module, to be bundled with the runtime, and its declarations, which stand alone.
 * Both name the model's own inputs and outputs. Nothing is executed or written to disk here.
 */
import { Project, type SourceFile, StructureKind, ts, VariableDeclarationKind } from "ts-morph";
import type { TensorSpec } from "../runtime/plan.ts";
import { printPlan, type PlanSource } from "./plan-source.ts";

/** The entry module of a bundle; it imports the runtime's modules from `./`. */
export function printEntry(plan: PlanSource): string {
  const file = emptyFile("index.ts");
  const makers = [...new Set(plan.tables.map((table) => table.maker))].sort();
  file.addImportDeclaration({ moduleSpecifier: "./load.js", namedImports: ["createLoader"] });
  file.addImportDeclaration({
    moduleSpecifier: "./api.js",
    namedImports: ["DeviceTensor", "TensorInput", "TensorOutput"],
    isTypeOnly: true,
  });
  if (makers.length > 0) file.addImportDeclaration({ moduleSpecifier: "./tables.js", namedImports: makers });
  file.addExportDeclaration({ moduleSpecifier: "./errors.js" });
  addTensorTypes(file, plan);
  file.addVariableStatement({
    isExported: true,
    declarationKind: VariableDeclarationKind.Const,
    declarations: [
      {
        name: "load",
        initializer: `/* @__PURE__ */ createLoader<Inputs, Outputs, DeviceOutputs>(${printPlan(plan)}, import.meta.url, { ${makers.join(", ")} })`,
      },
    ],
  });
  return file.getFullText();
}

/**
 * A bundle's `index.d.ts`. `runtime` is the text of the runtime's types: its `api` and `errors` modules, as TypeScript
 * without imports.
 */
export function printDeclarations(plan: PlanSource, runtime: string): string {
  const file = emptyFile("index.d.ts");
  file.addStatements(
    ts
      .transpileDeclaration(runtime, { compilerOptions: { stripInternal: true } })
      .outputText.replaceAll(/^\/\*\*[^]*?\*\/\n(?=\/\*\*)/g, ""),
  );
  addTensorTypes(file, plan);
  file.addTypeAlias({
    isExported: true,
    name: "Model",
    type: "LoadedModel<Inputs, Outputs, DeviceOutputs>",
    docs: [
      plan.step === undefined
        ? `The model \`${plan.name}\`. It needs whole sequences: it has no streams, and no mode \`recurrence\`.`
        : `The model \`${plan.name}\`.`,
    ],
  });
  file.addTypeAlias({ isExported: true, name: "Stream", type: "ModelStream<Inputs, Outputs, DeviceOutputs>" });
  file.addFunction({
    isExported: true,
    hasDeclareKeyword: true,
    name: "load",
    parameters: [{ name: "options", type: "LoadOptions", hasQuestionToken: true }],
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
