/** A result of a mode, or of a stream, at length L. */
export interface Result {
  readonly L: number;
  readonly way: string;
  readonly outputs: Readonly<Record<string, readonly number[]>>;
}
export function exercise(
  bundle: unknown,
  sizes: { readonly B: number; readonly lengths: readonly number[] },
  options: object,
): Promise<Result[]>;
export function signal(
  B: number,
  L: number,
  from: number,
  to: number,
): Record<"u" | "ids", { readonly data: Float32Array | Int32Array; readonly dims: readonly number[] }>;
