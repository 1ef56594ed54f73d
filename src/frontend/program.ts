/**
 * The user's files as a type-checked TypeScript program, through ts-morph. Uses options of its own instead of a
 * tsconfig: no DOM and no ambient packages, which keeps the check fast and a model free of its surroundings.
 */
import { existsSync, statSync } from "node:fs";
import { dirname, relative, resolve, sep } from "node:path";
import { fileURLToPath } from "node:url";
import { Project, ts } from "ts-morph";
import { bug, CompileError, type Loc } from "../ir/error.ts";
import { codeFrame } from "./frame.ts";

/** `.ts` where this runs from source, `.js` where it runs from the built package. */
export const ownExtension = import.meta.url.endsWith(".ts") ? ".ts" : ".js";
const ownFile = (path: string): string => fileURLToPath(new URL(`../${path}${ownExtension}`, import.meta.url));
/** A file of the DSL, in the form that runs. */
export const dslFile = (name: string): string => ownFile(`dsl/${name}`);

/** What a model file may import of ours, and the file it gets, in the form that runs. */
export const ownModules: ReadonlyMap<string, string> = new Map([
  ["recurve", dslFile("index")],
  ["recurve/models", ownFile("models/index")],
]);

/** The user's program. */
export interface UserProgram {
  readonly checker: ts.TypeChecker;
  readonly entry: ts.SourceFile;
  /** The user's own source files, the entry among them. */
  readonly files: readonly ts.SourceFile[];
}

/** As the user would name the file from where the compiler runs. */
export function displayPath(file: string): string {
  return relative(process.cwd(), file).split(sep).join("/");
}

/** The place of `position` in a file. */
export function locOf(file: ts.SourceFile, position: number): Loc {
  const { line, character } = file.getLineAndCharacterOfPosition(position);
  return { file: displayPath(file.fileName), line: line + 1, column: character + 1 };
}

/** An error at a node of the user's, with its frame. */
export function errorAt(node: ts.Node, code: string, message: string, fix: string): CompileError {
  const file = node.getSourceFile();
  const loc = locOf(file, node.getStart());
  return new CompileError({ code, message, fix, loc, frame: codeFrame(file.text, loc.line, loc.column) });
}

const ambient = `declare const console: { readonly log: (...values: unknown[]) => void; readonly warn: (...values: unknown[]) => void; readonly error: (...values: unknown[]) => void };\n`;

/** The options a model file is checked with. */
export function optionsFor(source: string): ts.CompilerOptions {
  return {
    target: ts.ScriptTarget.ES2023,
    module: ts.ModuleKind.ESNext,
    moduleResolution: ts.ModuleResolutionKind.Bundler,
    lib: ["lib.es2023.d.ts"],
    types: /from\s*["']node:/.test(source) ? ["node"] : [],
    paths: Object.fromEntries([...ownModules].map(([name, file]) => [name, [file.replace(/\.js$/, ".d.ts")]])),
    strict: true,
    noEmit: true,
    skipLibCheck: true,
    skipDefaultLibCheck: true,
    isolatedModules: true,
    resolveJsonModule: true,
    allowImportingTsExtensions: true,
    noErrorTruncation: false,
  };
}

/** Kept from load to load, so that the library and the DSL are parsed once. */
let project: Project | undefined;
let userFiles: readonly string[] = [];

function projectFor(file: string, text: string): Project {
  const compilerOptions = optionsFor(text);
  project ??= new Project({ compilerOptions, skipAddingFilesFromTsConfig: true, skipFileDependencyResolution: true });
  project.compilerOptions.set(compilerOptions);
  for (const path of [...userFiles, file]) project.getSourceFile(path)?.forget();
  project.createSourceFile(`${dirname(dslFile("index"))}/recurve-ambient.d.ts`, ambient, { overwrite: true });
  project.createSourceFile(file, text, { overwrite: true });
  return project;
}

/**
 * Parses and type-checks a model file and what it imports.
 * Throws: CompileError `model-not-found`, `type-error`.
 */
export function checkProgram(path: string): UserProgram {
  const file = resolve(path);
  needFile(file);
  const text = ts.sys.readFile(file) ?? "";
  const program = projectFor(file, text).getProgram().compilerObject;
  const entry = program.getSourceFile(file);
  if (entry === undefined) return bug(`${file} is not in its own program`);
  const own = dirname(dirname(dslFile("index")));
  const files = program
    .getSourceFiles()
    .filter((f) => !f.isDeclarationFile && !f.fileName.includes("/node_modules/") && !isUnder(f.fileName, own));
  userFiles = files.map((f) => f.fileName);
  const diagnostics = files.flatMap((f) => [...program.getSyntacticDiagnostics(f), ...program.getSemanticDiagnostics(f)]);
  const errors = diagnostics.filter((d) => d.category === ts.DiagnosticCategory.Error);
  if (errors.length > 0) throw typeError(errors);
  return { checker: program.getTypeChecker(), entry, files };
}

function needFile(file: string): void {
  const fix = "give the path of a .ts file whose default export is a model";
  const fail = (what: string): never => {
    throw new CompileError({ code: "model-not-found", message: `${displayPath(file)} ${what}`, fix });
  };
  if (!existsSync(file)) fail("does not exist");
  if (!statSync(file).isFile()) fail("is not a file");
  if (!/\.[cm]?tsx?$/.test(file)) fail("is not a TypeScript file");
}

function isUnder(file: string, folder: string): boolean {
  return file.startsWith(`${folder.split(sep).join("/")}/`);
}

const shown = 5;

/** The first diagnostic as the error; the next ones below its frame. */
function typeError(all: readonly ts.Diagnostic[]): CompileError {
  const [head, ...rest] = all.slice(0, shown).map(textOf);
  const more = all.length > shown ? [`and ${all.length - shown} more`] : [];
  const others = rest.map(
    ({ loc, message, frame }) => `${loc === undefined ? "" : `${loc.file}:${loc.line}:${loc.column} `}${message}\n${frame ?? ""}`,
  );
  const frame = [head?.frame ?? "", ...others, ...more].filter((part) => part !== "").join("\n\n");
  return new CompileError({ code: "type-error", message: head?.message ?? "", fix: fixFor(head?.message ?? ""), loc: head?.loc, frame });
}

function textOf(d: ts.Diagnostic): { readonly message: string; readonly loc: Loc | undefined; readonly frame: string | undefined } {
  const message = `${ts.flattenDiagnosticMessageText(d.messageText, "\n")} (TS${d.code})`;
  if (d.file === undefined || d.start === undefined) return { message, loc: undefined, frame: undefined };
  const loc = locOf(d.file, d.start);
  return { message, loc, frame: codeFrame(d.file.text, loc.line, loc.column) };
}

/** What to do about TypeScript's message; a dim at fault is named. */
function fixFor(message: string): string {
  if (/Type 'number' is not assignable to type '(\d+|[A-Z])'/.test(message))
    return "a width is any number on one side: make the function generic in it (<H extends number>), or name it with ofWidth(x, width)";
  const dim = /'(?:shape\.)?([A-Z])' are incompatible.*\s+Type '(.+?)' is not assignable to type '(.+?)'/.exec(message);
  if (dim !== null) return `dim ${dim[1]} is ${dim[2]} here and must be ${dim[3]}`;
  const [, missing = "", whole = ""] = /Property '([A-Z])' is missing in type '.+?' but required in type '(.+?)'/.exec(message) ?? [];
  if (missing === "L" && message.startsWith(`Argument of type 'Tensor<${whole}>'`))
    return "dim L is one too many: this needs a value pooled over time, not a sequence";
  return missingDims.get(missing) ?? "correct the model file; an editor shows the same error";
}

const missingDims: ReadonlyMap<string, string> = new Map([
  ["L", "dim L is missing: this needs a sequence, not a value pooled over time"],
  ["H", "dim H is missing: this needs channels; embed() turns ids into channels"],
  ["V", "dim V is missing: this needs ids, an input declared with tokens()"],
]);
