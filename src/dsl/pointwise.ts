/**
 * Pointwise functions: the built-in ones as expressions, and `pointwise`, which takes any arrow. The arrow's expression
 * comes from the front end, which lifts it from the syntax tree and passes it as the second argument.
 */
import { arg, arityOf, call, constant, type Expr, type ScalarFn } from "../ir/expr.ts";
import { isScalar, scalarCall, type Scalar } from "./entries.ts";
import { makeTensor, type AnyTensor, type Channels, type Tensor, type TensorsLike } from "./tensor.ts";
import { fail, here, trace, valueOf } from "./trace.ts";

/** The expression of tensors of equal dims; the result has the dims of the first. */
export function mapTensors<S extends object>(expr: Expr, first: Tensor<S>, ...rest: readonly AnyTensor[]): Tensor<S> {
  const running = trace();
  const args = [first, ...rest].map(valueOf);
  return makeTensor(first.shape, running.builder.map(expr, args, here()), running);
}

const x = arg(0);
const num = constant;

/** A pointwise function of one tensor. */
export type Unary = <S extends Channels>(x: Tensor<S>) => Tensor<S>;
const unary =
  (expr: Expr): Unary =>
  (tensor) =>
    mapTensors(expr, tensor);

/** A pointwise function of one tensor, or of an entry of a system. */
export interface UnaryOfBoth {
  (x: Scalar): Scalar;
  <S extends Channels>(x: Tensor<S>): Tensor<S>;
}
function unaryOfBoth(fn: ScalarFn): UnaryOfBoth {
  function apply(operand: Scalar): Scalar;
  function apply<S extends Channels>(operand: Tensor<S>): Tensor<S>;
  function apply<S extends Channels>(operand: Tensor<S> | Scalar): Tensor<S> | Scalar {
    return isScalar(operand) ? scalarCall(fn, operand) : mapTensors(call(fn, x), operand);
  }
  return apply;
}

const halfTimesOnePlus = (e: Expr): Expr => call("mul", call("mul", num(0.5), x), call("add", num(1), e));
const cube = call("mul", x, call("mul", x, x));

/** x Phi(x), by the error function. Source: Hendrycks and Gimpel 2016, the exact form. */
export const gelu: Unary = unary(halfTimesOnePlus(call("erf", call("mul", num(Math.SQRT1_2), x))));
/** `gelu` approximated by tanh. Source: Hendrycks and Gimpel 2016, section 2. */
export const geluTanh: Unary = unary(
  halfTimesOnePlus(call("tanh", call("mul", num(Math.sqrt(2 / Math.PI)), call("add", x, call("mul", num(0.044715), cube))))),
);
/** max(x, 0) */
export const relu: Unary = unary(call("max", x, num(0)));
/** x sigmoid(x) */
export const silu: Unary = unary(call("mul", x, call("sigmoid", x)));
/** 1 / (1 + e^-x) */
export const sigmoid: Unary = unary(call("sigmoid", x));
/** log(1 + e^x) */
export const softplus: Unary = unary(call("softplus", x));
/** x where positive, else e^x - 1. */
export const elu: Unary = unary(call("select", call("gt", x, num(0)), x, call("sub", call("exp", call("min", x, num(0))), num(1))));
/** max(x, 0)^2 */
export const squaredRelu: Unary = unary(call("mul", call("max", x, num(0)), call("max", x, num(0))));
/** x^2 */
export const square: Unary = unary(call("mul", x, x));
/** |x| */
export const abs: Unary = unary(call("abs", x));
/** The error function. */
export const erf: Unary = unary(call("erf", x));

export const tanh: UnaryOfBoth = unaryOfBoth("tanh");
export const exp: UnaryOfBoth = unaryOfBoth("exp");
export const log: UnaryOfBoth = unaryOfBoth("log");
export const sqrt: UnaryOfBoth = unaryOfBoth("sqrt");
export const sin: UnaryOfBoth = unaryOfBoth("sin");
export const cos: UnaryOfBoth = unaryOfBoth("cos");

/** x where positive, else `slope` x. */
export function leakyRelu<S extends Channels>(tensor: Tensor<S>, slope = 0.01): Tensor<S> {
  return mapTensors(call("select", call("gt", x, num(0)), x, call("mul", num(slope), x)), tensor);
}

/** A pointwise function of two tensors of equal dims, or of a tensor and a number. */
export type Binary = <S extends Channels>(a: Tensor<S>, b: Tensor<NoInfer<S>> | number) => Tensor<S>;
const binary =
  (fn: ScalarFn): Binary =>
  (a, b) =>
    typeof b === "number" ? mapTensors(call(fn, x, num(finite(b))), a) : mapTensors(call(fn, x, arg(1)), a, b);

function finite(value: number): number {
  return Number.isFinite(value) ? value : fail("not-finite", `a constant of the model is ${value}`, "use a finite number");
}

/** a + b */
export const add: Binary = binary("add");
/** a - b */
export const sub: Binary = binary("sub");
/** a b, element by element */
export const mul: Binary = binary("mul");
/** a / b */
export const div: Binary = binary("div");
/** The larger of a and b. */
export const maximum: Binary = binary("max");
/** The smaller of a and b. */
export const minimum: Binary = binary("min");

/** What `pointwise` makes of an arrow with the parameters `A`. */
export type Pointwise<A extends readonly number[]> = <S extends Channels>(...args: TensorsLike<A, S>) => Tensor<S>;

/**
 * A plain arrow of numbers as a function of tensors of equal dims, compiled from the arrow's own syntax tree: arithmetic,
 * comparisons, `?:`, `Math`, constants, and calls of other such functions.
 * Throws: CompileError `pointwise-not-lifted` where the model file was not loaded by the compiler.
 */
export function pointwise<const A extends readonly number[]>(arrow: (...args: A) => number, lifted?: Expr): Pointwise<A> {
  if (lifted === undefined)
    fail(
      "pointwise-not-lifted",
      "pointwise() was called outside of the compiler, which reads the arrow's source",
      "call pointwise by its own name in a model file, and load that with `recurve build` or loadModel",
    );
  if (arityOf(lifted) > arrow.length)
    fail("pointwise-not-lifted", "the lifted expression has more arguments than its arrow", "pass the arrow alone");
  return <S extends Channels>(...args: TensorsLike<A, S>) => {
    const tensors: readonly Tensor<S>[] = args;
    const [first, ...rest] = tensors;
    if (first === undefined || tensors.length !== arrow.length)
      fail(
        "pointwise-arguments",
        `a pointwise function of ${arrow.length} arguments was called with ${tensors.length}`,
        "pass one tensor for each parameter of the arrow",
      );
    return mapTensors(lifted, first, ...rest);
  };
}
