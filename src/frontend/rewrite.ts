/**
 * Rewrites the user's source, by insertions that never add a line: every callee that may build nodes becomes
 * `at(site, callee)`, and every `pointwise(arrow)` gets the arrow's expression as its second argument.
 */
import { ts } from "ts-morph";
import type { Expr } from "../ir/expr.ts";
import type { Loc } from "../ir/error.ts";
import { lift, type Lifted } from "./lift.ts";
import { LiftError } from "./resolve.ts";
import { dslFile, errorAt, locOf, ownModules, type UserProgram } from "./program.ts";

/** Text put in front of the character at `position`. */
export interface Insertion {
  readonly position: number;
  readonly text: string;
}

/** A file of the user's, rewritten. */
export interface RewrittenFile {
  readonly path: string;
  readonly original: string;
  readonly text: string;
  readonly insertions: readonly Insertion[];
}

/** What importing `at` is called in a rewritten file. */
export const traceModule = "recurve:trace";
const atName = "__recurveAt";

/**
 * All files of a program, rewritten; `sites` is the table that `at` numbers.
 * Throws: CompileError `pointwise-unsupported`.
 */
export function rewrite(program: UserProgram): { readonly files: readonly RewrittenFile[]; readonly sites: readonly Loc[] } {
  const sites: Loc[] = [];
  const files = program.files.map((file) => {
    const insertions = insertionsOf(file, program.checker, sites);
    return { path: file.fileName, original: file.text, text: applyInsertions(file.text, insertions), insertions };
  });
  return { files, sites };
}

function insertionsOf(file: ts.SourceFile, checker: ts.TypeChecker, sites: Loc[]): readonly Insertion[] {
  const start = file.statements[0]?.getStart(file);
  if (start === undefined || file.fileName.endsWith(".json")) return [];
  const found: Insertion[] = [{ position: start, text: `import { at as ${atName} } from ${JSON.stringify(traceModule)}; ` }];
  const visit = (node: ts.Node): void => {
    if (ts.isTypeNode(node)) return;
    const isWrapped = ts.isCallExpression(node) && mayBuildNodes(node.expression, checker);
    if (isWrapped)
      found.push(
        { position: node.expression.getStart(file), text: `${atName}(${sites.push(locOf(file, node.expression.getStart(file))) - 1}, ` },
        { position: node.expression.end, text: ")" },
      );
    const arrow = ts.isCallExpression(node) && isPointwise(node.expression, checker) ? node.arguments[0] : undefined;
    if (arrow === undefined) return ts.forEachChild(node, visit);
    found.push({ position: arrow.end, text: `, ${liftedText(arrow, checker)}` });
  };
  ts.forEachChild(file, visit);
  return found.toSorted((a, b) => a.position - b.position);
}

/** A name, a member of an import, or a member or element of the user's that is a layer; methods keep their `this`. */
function mayBuildNodes(callee: ts.Expression, checker: ts.TypeChecker): boolean {
  if (ts.isIdentifier(callee) || ts.isCallExpression(callee)) return true;
  if (ts.isElementAccessExpression(callee)) return isLayer(callee, checker);
  if (!ts.isPropertyAccessExpression(callee)) return false;
  return isImport(callee.expression, checker) || isLayer(callee, checker);
}

/** A namespace, or a name imported from here, such as `param` of `param.positive`. */
function isImport(node: ts.Expression, checker: ts.TypeChecker): boolean {
  const declarations = ts.isIdentifier(node) ? (checker.getSymbolAtLocation(node)?.declarations ?? []) : [];
  return declarations.some(
    (d) => ts.isNamespaceImport(d) || (ts.isImportSpecifier(d) && isRecurve(d.parent.parent.parent.moduleSpecifier)),
  );
}

const isRecurve = (specifier: ts.Expression): boolean => ts.isStringLiteral(specifier) && ownModules.has(specifier.text);

/** Whether calling it gives a tensor, and it is a function value, not a method with a `this` of its own. */
function isLayer(callee: ts.Expression, checker: ts.TypeChecker): boolean {
  const isMethod = (d: ts.Node | undefined): boolean => d === undefined || ts.isMethodDeclaration(d) || ts.isMethodSignature(d);
  const signatures = checker.getTypeAtLocation(callee).getCallSignatures();
  return signatures.some((s) => s.getReturnType().getSymbol()?.name === "Tensor" && !isMethod(s.declaration));
}

function isPointwise(callee: ts.Expression, checker: ts.TypeChecker): boolean {
  const name = ts.isPropertyAccessExpression(callee) ? callee.name : callee;
  if (!ts.isIdentifier(name)) return false;
  const symbol = checker.getSymbolAtLocation(name);
  const target = symbol !== undefined && (symbol.flags & ts.SymbolFlags.Alias) !== 0 ? checker.getAliasedSymbol(symbol) : symbol;
  if (target?.name !== "pointwise") return false;
  const own = dslFile("pointwise").replace(/\.[jt]s$/, "");
  return target.declarations?.some((d) => d.getSourceFile().fileName.replace(/(\.d)?\.ts$/, "") === own.replaceAll("\\", "/")) ?? false;
}

function liftedText(arrow: ts.Expression, checker: ts.TypeChecker): string {
  try {
    const lifted = lift(checker, arrow);
    return exprText(lifted.expr, lifted);
  } catch (error) {
    if (error instanceof LiftError) throw errorAt(error.node, "pointwise-unsupported", error.message, error.fix);
    throw error;
  }
}

/** An expression as JavaScript; captured names read their values. */
function exprText(expr: Expr, { arity, captures }: Lifted): string {
  const print = (e: Expr): string => {
    switch (e.op) {
      case "arg":
        return e.index < arity ? `{op:"arg",index:${e.index}}` : `{op:"const",value:Number(${captures[e.index - arity] ?? "NaN"})}`;
      case "const":
        return `{op:"const",value:${Object.is(e.value, -0) ? "-0" : e.value}}`;
      case "call":
        return `{op:"call",fn:"${e.fn}",args:[${e.args.map(print).join(",")}]}`;
    }
  };
  return print(expr);
}

function applyInsertions(text: string, insertions: readonly Insertion[]): string {
  const parts: string[] = [];
  let from = 0;
  for (const { position, text: inserted } of insertions) {
    parts.push(text.slice(from, position), inserted);
    from = position;
  }
  return [...parts, text.slice(from)].join("");
}

/** The column in the original that a column of the rewritten file came from; both count from 1. */
export function originalColumn(file: RewrittenFile, line: number, column: number): number {
  const lines = file.original.split("\n");
  const start = lines.slice(0, line - 1).reduce((sum, l) => sum + l.length + 1, 0);
  const end = start + (lines[line - 1]?.length ?? 0);
  let result = column;
  for (const { position, text } of file.insertions) {
    if (position < start || position > end) continue;
    const at = position - start + 1;
    if (at >= result) break;
    result = Math.max(at, result - text.length);
  }
  return result;
}
