/**
 * The kernel IR: what a schedule lowers a fused node to and a backend prints. Scalars only (complex numbers are split; four
 * neighbouring words may be loaded at once, to be taken apart), loops and lanes explicit, barriers only at the top of a body or inside uniform loops and branches.
 */
import type { ScalarFn } from "./expr.ts";

export type KType = "f32" | "u32" | "i32" | "bool" | "vec4f" | "vec4u";

/** Runtime sizes every kernel can read; see `Dims` in `runtime/plan.ts` for their meaning. */
export type DimName = "B" | "L" | "t" | "pos" | "M";

export type KExpr =
  | { readonly op: "lit"; readonly type: KType; readonly value: number }
  | { readonly op: "var"; readonly type: KType; readonly name: string }
  | { readonly op: "dim"; readonly type: "u32"; readonly name: DimName }
  /** A pipeline-overridable constant. */
  | { readonly op: "override"; readonly type: "u32"; readonly name: string }
  /** The index of this invocation in its workgroup. */
  | { readonly op: "lane"; readonly type: "u32" }
  | { readonly op: "group"; readonly type: "u32"; readonly axis: 0 | 1 | 2 }
  | { readonly op: "load"; readonly type: KType; readonly buffer: string; readonly index: KExpr }
  | { readonly op: "shared"; readonly type: KType; readonly array: string; readonly index: KExpr }
  /** A number of a lane's own array. */
  | { readonly op: "element"; readonly type: "f32"; readonly array: string; readonly index: KExpr }
  /** One of the four numbers of a `vec4f` variable. */
  | { readonly op: "component"; readonly type: "f32"; readonly of: string; readonly index: KExpr }
  | { readonly op: "call"; readonly type: KType; readonly fn: KFn; readonly args: readonly KExpr[] };

/**
 * Scalar functions on f32, and integer arithmetic on u32 modulo 2^32 (`mod`, `shl`, ...); `float` and `uint` convert, `half`
 * reads the low 16 bits as a half, `bits` and `frombits` give the u32 of the same bits as an f32 and back. Of four words with
 * one, that one stands for four; `four` puts as many f32 side by side.
 */
export type KFn =
  | ScalarFn
  | "mod"
  | "shl"
  | "shr"
  | "bitand"
  | "bitor"
  | "bitxor"
  | "float"
  | "uint"
  | "half"
  | "bits"
  | "frombits"
  | "four";

export type KStmt =
  | { readonly op: "let"; readonly name: string; readonly value: KExpr }
  | { readonly op: "var"; readonly name: string; readonly value: KExpr }
  /** `size` zeros of the lane's own. */
  | { readonly op: "array"; readonly name: string; readonly size: number }
  | { readonly op: "storeElement"; readonly array: string; readonly index: KExpr; readonly value: KExpr }
  | { readonly op: "assign"; readonly name: string; readonly value: KExpr }
  | { readonly op: "store"; readonly buffer: string; readonly index: KExpr; readonly value: KExpr }
  | { readonly op: "storeShared"; readonly array: string; readonly index: KExpr; readonly value: KExpr }
  /** `for name = from; name < to; name += step`. */
  | {
      readonly op: "for";
      readonly name: string;
      readonly from: KExpr;
      readonly to: KExpr;
      readonly step: KExpr;
      readonly body: readonly KStmt[];
    }
  | { readonly op: "if"; readonly cond: KExpr; readonly then: readonly KStmt[]; readonly otherwise: readonly KStmt[] }
  | { readonly op: "barrier" }
  | { readonly op: "comment"; readonly text: string };

export interface KBuffer {
  readonly name: string;
  readonly type: "f32" | "i32" | "u32" | "vec4f" | "vec4u";
  readonly access: "read" | "read_write";
}

export interface Kernel {
  /** snake_case, unique by what the kernel does. */
  readonly name: string;
  /** Lanes per workgroup: a number, or an override. */
  readonly lanes: KExpr;
  readonly buffers: readonly KBuffer[];
  readonly shared: readonly { readonly name: string; readonly type: KType; readonly size: KExpr }[];
  /** Overrides with the value they take where none is given. */
  readonly overrides: readonly { readonly name: string; readonly value: number }[];
  readonly body: readonly KStmt[];
}
