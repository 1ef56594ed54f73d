/**
 * What names in an arrow stand for: functions, constants and globals, through imports and declarations; and the error for
 * what `lift.ts` cannot lift.
 */
import { ts } from "ts-morph";

/** A construct that cannot be compiled, and where it is. */
export class LiftError extends Error {
  readonly node: ts.Node;
  readonly fix: string;
  constructor(node: ts.Node, message: string, fix: string) {
    super(message);
    this.node = node;
    this.fix = fix;
  }
}

/** What can be put in place where it is called. */
export type FunctionNode = ts.ArrowFunction | ts.FunctionExpression | ts.FunctionDeclaration;

const supported = "use numbers, + - * / **, comparisons, ?:, if with returns, const, Math functions, and calls of functions made of these";

/** Throws a LiftError. */
export function unsupported(node: ts.Node, what: string, fix = supported): never {
  throw new LiftError(node, `${what} cannot be compiled in pointwise()`, fix);
}

/** The function an expression names, through constants and imports. */
export function functionOf(checker: ts.TypeChecker, node: ts.Expression): FunctionNode | undefined {
  const bare = unwrap(node);
  if (ts.isArrowFunction(bare) || ts.isFunctionExpression(bare)) return bare;
  const name = ts.isPropertyAccessExpression(bare) ? bare.name : bare;
  if (!ts.isIdentifier(name)) return undefined;
  const declaration = symbolOf(checker, name)?.declarations?.at(-1);
  if (declaration === undefined) return undefined;
  if (ts.isFunctionDeclaration(declaration) && declaration.body !== undefined) return declaration;
  return isConst(declaration) && declaration.initializer !== undefined ? functionOf(checker, declaration.initializer) : undefined;
}

/** Without parentheses and type assertions. */
export function unwrap(node: ts.Expression): ts.Expression {
  if (ts.isParenthesizedExpression(node) || ts.isAsExpression(node) || ts.isSatisfiesExpression(node) || ts.isNonNullExpression(node))
    return unwrap(node.expression);
  return node;
}

/** What a name stands for, behind its import. */
export function symbolOf(checker: ts.TypeChecker, node: ts.Identifier): ts.Symbol | undefined {
  const symbol = ts.isShorthandPropertyAssignment(node.parent)
    ? checker.getShorthandAssignmentValueSymbol(node.parent)
    : checker.getSymbolAtLocation(node);
  return symbol !== undefined && (symbol.flags & ts.SymbolFlags.Alias) !== 0 ? checker.getAliasedSymbol(symbol) : symbol;
}

/** Whether it is declared by `const`. */
export function isConst(node: ts.Declaration): node is ts.VariableDeclaration {
  return ts.isVariableDeclaration(node) && (ts.getCombinedNodeFlags(node) & ts.NodeFlags.Const) !== 0;
}

/** Whether the name is the global one, declared by the library. */
export function isGlobal(node: ts.Expression, name: string, checker: ts.TypeChecker): boolean {
  if (!ts.isIdentifier(node) || node.text !== name) return false;
  return symbolOf(checker, node)?.declarations?.every((d) => d.getSourceFile().isDeclarationFile) ?? false;
}

/** `const x = { ... } as const`: its members cannot change. */
export function isReadonlyLiteral(node: ts.Node): boolean {
  const { parent } = node;
  return ts.isAsExpression(parent) && parent.type.getText() === "const" && isConst(parent.parent as ts.Declaration);
}

/** Where the `a` of `a` or `a.b.c` is declared. */
export function rootDeclaration(node: ts.Expression, checker: ts.TypeChecker): ts.Declaration | undefined {
  if (ts.isPropertyAccessExpression(node)) return rootDeclaration(node.expression, checker);
  return ts.isIdentifier(node) ? symbolOf(checker, node)?.declarations?.[0] : undefined;
}

/** Whether a node is a part of another. */
export function isInside(node: ts.Node, outer: ts.Node | undefined): boolean {
  return outer !== undefined && node.getSourceFile() === outer.getSourceFile() && node.pos >= outer.pos && node.end <= outer.end;
}

/** A construct in words, with its beginning. */
export function describe(node: ts.Node): string {
  const [kind = ""] = Object.entries(ts.SyntaxKind).find(([, value]) => value === node.kind) ?? [];
  const words = kind
    .replace(/(Statement|Expression|Literal|Keyword)$/, " $1")
    .replaceAll(/([a-z])([A-Z])/g, "$1 $2")
    .toLowerCase();
  return `a ${words.trim()} (\`${node.getText().split("\n", 1)[0]?.slice(0, 40) ?? ""}\`)`;
}
