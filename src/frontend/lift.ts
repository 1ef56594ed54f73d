/**
 * Lifts a plain arrow of numbers to a scalar expression, from its syntax tree. Knows parameters, arithmetic, comparisons,
 * `?:`, `if` with returns, `const` locals, `Math`, calls of other such functions (put in place), and numbers captured
 * from around it. Anything else is an error at its place. Not a partial evaluator: nothing is run.
 */
import { ts } from "ts-morph";
import { arg, call, constant, evalExpr, substitute, type Expr } from "../ir/expr.ts";
import {
  describe,
  functionOf,
  isConst,
  isGlobal,
  isInside,
  isReadonlyLiteral,
  LiftError,
  rootDeclaration,
  symbolOf,
  unsupported,
  unwrap,
  type FunctionNode,
} from "./resolve.ts";
import { mathCall, mathConstants, power, truthy } from "./math.ts";

/** An arrow, lifted. Arguments from `arity` on are `captures`: names in scope at the call, whose values come from there. */
export interface Lifted {
  readonly expr: Expr;
  readonly arity: number;
  readonly captures: readonly string[];
}

/** Values of names, by symbol; a boolean is an expression whose function is a comparison or a connective. */
type Env = ReadonlyMap<ts.Symbol, Expr>;

interface Context {
  readonly checker: ts.TypeChecker;
  readonly env: Env;
  /** Functions being put in place, outermost first. */
  readonly active: readonly FunctionNode[];
  /** Takes a captured name that has no value before run time; undefined where names of the call are not in scope. */
  readonly capture: ((name: string) => Expr) | undefined;
}

/** Throws: LiftError at whatever cannot be lifted. */
export function lift(checker: ts.TypeChecker, node: ts.Expression): Lifted {
  const fn =
    functionOf(checker, node) ??
    unsupported(node, "what is passed to pointwise()", "pass an arrow, or the name of a function or of a const arrow");
  const captures: string[] = [];
  const arity = fn.parameters.length;
  const capture = (name: string): Expr => arg(arity + (captures.includes(name) ? captures.indexOf(name) : captures.push(name) - 1));
  const env = new Map<ts.Symbol, Expr>();
  fn.parameters.forEach((p, i) => {
    if (p.initializer !== undefined || p.questionToken !== undefined || p.dotDotDotToken !== undefined)
      unsupported(p, "an optional or rest parameter of a pointwise function", "give it exactly the parameters it needs, without defaults");
    env.set(parameterSymbol(checker, p), arg(i));
  });
  const inPlace = ts.isArrowFunction(node) || ts.isFunctionExpression(node);
  const expr = liftBody(fn, { checker, env, active: [fn], capture: inPlace ? capture : undefined });
  if (operations(expr) > operationLimit)
    unsupported(
      node,
      `an expression of more than ${operationLimit} operations`,
      "split it into several pointwise functions: a const is put in place at every use",
    );
  return { expr, arity, captures };
}

const operationLimit = 4000;

/** Calls of an expression written out in full, where shared parts count at every use. */
function operations(expr: Expr, known = new Map<Expr, number>()): number {
  if (expr.op !== "call") return 0;
  const counted = known.get(expr);
  if (counted !== undefined) return counted;
  const total = 1 + expr.args.reduce((sum, a) => sum + operations(a, known), 0);
  known.set(expr, total);
  return total;
}

function parameterSymbol(checker: ts.TypeChecker, p: ts.ParameterDeclaration): ts.Symbol {
  const symbol = ts.isIdentifier(p.name) ? checker.getSymbolAtLocation(p.name) : undefined;
  return symbol ?? unsupported(p, "a destructured parameter", "name every parameter: (x: number, gate: number) => ...");
}

function liftBody(fn: FunctionNode, context: Context): Expr {
  const { body } = fn;
  if (body === undefined || fn.asteriskToken !== undefined || fn.modifiers?.some((m) => m.kind === ts.SyntaxKind.AsyncKeyword))
    unsupported(fn, "an async or generator function");
  return ts.isBlock(body) ? liftStatements(body.statements, context, fn) : liftNumber(body, context);
}

/** A list of statements that ends in a return on every path. */
function liftStatements(statements: readonly ts.Statement[], context: Context, fn: ts.Node): Expr {
  const [head, ...rest] = statements;
  if (head === undefined) return unsupported(fn, "a function that may end without a value", "end every path with a return");
  if (ts.isReturnStatement(head))
    return head.expression === undefined
      ? unsupported(head, "a return without a value", "return a number")
      : liftNumber(head.expression, context);
  if (ts.isEmptyStatement(head)) return liftStatements(rest, context, fn);
  if (ts.isBlock(head)) return liftStatements([...head.statements, ...rest], context, fn);
  if (ts.isIfStatement(head)) {
    const otherwise = head.elseStatement === undefined ? [] : [head.elseStatement];
    const condition = liftCondition(head.expression, context);
    return call(
      "select",
      condition,
      liftStatements([head.thenStatement, ...rest], context, fn),
      liftStatements([...otherwise, ...rest], context, fn),
    );
  }
  if (ts.isVariableStatement(head)) return liftStatements(rest, withLocals(head, context), fn);
  return unsupported(head, describe(head));
}

function withLocals(statement: ts.VariableStatement, context: Context): Context {
  const env = new Map(context.env);
  for (const declaration of statement.declarationList.declarations) {
    const symbol = ts.isIdentifier(declaration.name) ? context.checker.getSymbolAtLocation(declaration.name) : undefined;
    if (symbol === undefined) unsupported(declaration, "destructuring", "declare one const a value");
    if (!isConst(declaration)) unsupported(declaration, "a variable that can change", "declare it with const");
    if (declaration.initializer === undefined) unsupported(declaration, "a variable without a value");
    // A local function is put in place where it is called.
    if (functionOf(context.checker, declaration.initializer) === undefined)
      env.set(symbol, liftAny(declaration.initializer, { ...context, env }));
  }
  return { ...context, env };
}

const booleans: ReadonlySet<string> = new Set(["lt", "le", "gt", "ge", "eq", "ne", "and", "or", "not"]);
const isBoolean = (e: Expr): boolean => e.op === "call" && booleans.has(e.fn);

function liftNumber(node: ts.Expression, context: Context): Expr {
  const value = liftAny(node, context);
  return isBoolean(value) ? unsupported(node, "a boolean where a number is needed", "write `condition ? 1 : 0`") : value;
}

/** A condition; a number is true where it is neither 0 nor NaN. */
function liftCondition(node: ts.Expression, context: Context): Expr {
  const value = liftAny(node, context);
  return isBoolean(value) ? value : truthy(value);
}

function liftAny(wrapped: ts.Expression, context: Context): Expr {
  const node = unwrap(wrapped);
  if (ts.isNumericLiteral(node)) return constant(Number(node.text));
  if (ts.isPrefixUnaryExpression(node)) return liftPrefix(node, context);
  if (ts.isBinaryExpression(node)) return liftBinary(node, context);
  if (ts.isConditionalExpression(node))
    return call("select", liftCondition(node.condition, context), liftNumber(node.whenTrue, context), liftNumber(node.whenFalse, context));
  if (ts.isCallExpression(node)) return liftCall(node, context);
  if (ts.isIdentifier(node)) return liftName(node, context);
  if (ts.isPropertyAccessExpression(node)) return liftProperty(node, context);
  return unsupported(node, describe(node));
}

function liftPrefix(node: ts.PrefixUnaryExpression, context: Context): Expr {
  switch (node.operator) {
    case ts.SyntaxKind.PlusToken:
      return liftNumber(node.operand, context);
    case ts.SyntaxKind.MinusToken: {
      const operand = liftNumber(node.operand, context);
      return operand.op === "const" ? constant(-operand.value) : call("neg", operand);
    }
    case ts.SyntaxKind.ExclamationToken:
      return call("not", liftCondition(node.operand, context));
    default:
      return unsupported(node, `the operator ${ts.tokenToString(node.operator) ?? ""}`);
  }
}

const operators = new Map<ts.SyntaxKind, "add" | "sub" | "mul" | "div" | "lt" | "le" | "gt" | "ge" | "eq" | "ne">([
  [ts.SyntaxKind.PlusToken, "add"],
  [ts.SyntaxKind.MinusToken, "sub"],
  [ts.SyntaxKind.AsteriskToken, "mul"],
  [ts.SyntaxKind.SlashToken, "div"],
  [ts.SyntaxKind.LessThanToken, "lt"],
  [ts.SyntaxKind.LessThanEqualsToken, "le"],
  [ts.SyntaxKind.GreaterThanToken, "gt"],
  [ts.SyntaxKind.GreaterThanEqualsToken, "ge"],
  [ts.SyntaxKind.EqualsEqualsEqualsToken, "eq"],
  [ts.SyntaxKind.EqualsEqualsToken, "eq"],
  [ts.SyntaxKind.ExclamationEqualsEqualsToken, "ne"],
  [ts.SyntaxKind.ExclamationEqualsToken, "ne"],
]);

function liftBinary(node: ts.BinaryExpression, context: Context): Expr {
  const { kind } = node.operatorToken;
  const fn = operators.get(kind);
  if (fn !== undefined) return call(fn, liftNumber(node.left, context), liftNumber(node.right, context));
  if (kind === ts.SyntaxKind.AsteriskAsteriskToken) return power(liftNumber(node.left, context), liftNumber(node.right, context));
  if (kind === ts.SyntaxKind.AmpersandAmpersandToken || kind === ts.SyntaxKind.BarBarToken)
    return liftConnective(node, kind === ts.SyntaxKind.BarBarToken, context);
  if (kind === ts.SyntaxKind.PercentToken) return unsupported(node, "the operator %", "write x - y * Math.floor(x / y)");
  return unsupported(node, `the operator ${node.operatorToken.getText()}`);
}

/** `a && b`, `a || b` of two conditions, or of two numbers. */
function liftConnective(node: ts.BinaryExpression, isOr: boolean, context: Context): Expr {
  const [left, right] = [liftAny(node.left, context), liftAny(node.right, context)];
  if (isBoolean(left) && isBoolean(right)) return call(isOr ? "or" : "and", left, right);
  if (isBoolean(left) || isBoolean(right)) return unsupported(node, "a mix of condition and number", "write it with ?:");
  return isOr ? call("select", truthy(left), left, right) : call("select", truthy(left), right, left);
}

function liftCall(node: ts.CallExpression, context: Context): Expr {
  const callee = unwrap(node.expression);
  if (node.arguments.some(ts.isSpreadElement)) unsupported(node, "a spread argument");
  if (ts.isPropertyAccessExpression(callee) && isGlobal(callee.expression, "Math", context.checker)) {
    const args = node.arguments.map((a) => liftNumber(a, context));
    return (
      mathCall(callee.name.text, args) ??
      unsupported(
        callee,
        `Math.${callee.name.text}`,
        "use abs, cbrt, ceil, cos, cosh, exp, expm1, floor, hypot, log, log1p, log2, log10, max, min, pow, round, sign, sin, sinh, sqrt, tan, tanh or trunc",
      )
    );
  }
  const fn =
    functionOf(context.checker, callee) ??
    unsupported(
      callee,
      `a call of ${callee.getText()}`,
      "call Math functions, or functions and const arrows declared in TypeScript source",
    );
  if (context.active.includes(fn)) unsupported(callee, `${callee.getText()}, which calls itself,`, "write it without recursion");
  return inline(fn, node, context);
}

function inline(fn: FunctionNode, node: ts.CallExpression, context: Context): Expr {
  // Names of the function's own surroundings, where it is local, keep their values.
  const env = new Map(context.env);
  const own = { ...context, active: [...context.active, fn] };
  fn.parameters.forEach((p, i) => {
    const given = node.arguments[i];
    const value = given === undefined ? p.initializer : given;
    if (value === undefined || p.dotDotDotToken !== undefined)
      unsupported(p, "a parameter that may be undefined", "give it a default value");
    env.set(parameterSymbol(context.checker, p), given === undefined ? liftAny(value, { ...own, env }) : liftAny(value, context));
  });
  return liftBody(fn, { ...own, env });
}

function liftProperty(node: ts.PropertyAccessExpression, context: Context): Expr {
  const text = node.getText();
  const known = mathConstants.get(text);
  if (known !== undefined && ts.isIdentifier(node.expression) && isGlobal(node.expression, node.expression.text, context.checker))
    return constant(known);
  const symbol = context.checker.getSymbolAtLocation(node.name);
  const declaration = symbol?.valueDeclaration;
  if (declaration !== undefined && ts.isPropertyAssignment(declaration) && isReadonlyLiteral(declaration.parent))
    return liftConstant(declaration.initializer, node, context);
  return captured(node, text, context);
}

function liftName(node: ts.Identifier, context: Context): Expr {
  const symbol = symbolOf(context.checker, node);
  const local = symbol === undefined ? undefined : context.env.get(symbol);
  if (local !== undefined) return local;
  const declaration = symbol?.valueDeclaration;
  if (declaration === undefined || node.text === "NaN" || node.text === "Infinity")
    return unsupported(node, node.text, "use a finite number");
  if (isConst(declaration) && declaration.initializer !== undefined && ts.isIdentifier(declaration.name))
    return liftConstant(declaration.initializer, node, context);
  if (ts.isVariableDeclaration(declaration) && !isConst(declaration))
    return unsupported(node, `${node.text}, which can change,`, `declare ${node.text} with const`);
  return captured(node, node.text, context);
}

/** A number known from the source alone, or else captured where that is possible. */
function liftConstant(initializer: ts.Expression, use: ts.Expression, context: Context): Expr {
  try {
    const expr = liftNumber(initializer, { ...context, env: new Map(), capture: undefined, active: context.active });
    const value = evalExpr(substitute(expr, []), []);
    if (Number.isFinite(value)) return constant(value);
  } catch (error) {
    if (!(error instanceof LiftError)) throw error;
    return captured(use, use.getText(), context);
  }
  return unsupported(use, `${use.getText()}, which is not finite,`, "use a finite number");
}

/** A name, or a member of one, whose number only running the file tells: read where pointwise() is called. */
function captured(node: ts.Expression, text: string, context: Context): Expr {
  const isNumber = (context.checker.getTypeAtLocation(node).flags & ts.TypeFlags.NumberLike) !== 0;
  if (!isNumber) return unsupported(node, `${text}, which is not a number,`);
  const outer = context.active[0];
  const declaration = rootDeclaration(node, context.checker);
  if (declaration === undefined || isInside(declaration, outer)) return unsupported(node, describe(node));
  // Inside a function put in place from elsewhere, the names around it are not in scope at the call.
  if (context.capture === undefined || context.active.some((fn) => !isInside(fn, outer)))
    return unsupported(node, `${text}, whose value is not in its declaration,`, `declare ${text} as a const number`);
  return context.capture(text);
}
