/**
 * The one error the compiler raises for a fault of the user's model, data or options, and the place in the user's
 * source it belongs to. Not for broken invariants of our own: those throw `bug(...)`.
 */

/** A place in a user's file; line and column count from 1. */
export interface Loc {
  readonly file: string;
  readonly line: number;
  readonly column: number;
}

/** What a `CompileError` is made of. */
export interface Diagnostic {
  /** A code of `docs/errors.md`, such as `weights-missing`. */
  readonly code: string;
  /** What is wrong, in one sentence that names the thing at fault. */
  readonly message: string;
  /** What to do about it. */
  readonly fix: string;
  readonly loc?: Loc | undefined;
  /** The lines of source around `loc`, with a caret under the fault. */
  readonly frame?: string | undefined;
}

/** A fault of the user's model, data or options. */
export class CompileError extends Error implements Diagnostic {
  override readonly name = "CompileError";
  readonly code: string;
  readonly fix: string;
  readonly loc: Loc | undefined;
  readonly frame: string | undefined;

  constructor(diagnostic: Diagnostic) {
    super(diagnostic.message);
    this.code = diagnostic.code;
    this.fix = diagnostic.fix;
    this.loc = diagnostic.loc;
    this.frame = diagnostic.frame;
  }
}

/** Throws for a broken invariant of ours; the command line exits with 70. */
export function bug(what: string): never {
  throw new Error(`bug: ${what}`);
}

/** `path/model.ts:3:7`, or the empty string where there is no place. */
export function formatLoc(loc: Loc | undefined): string {
  return loc === undefined ? "" : `${loc.file}:${loc.line}:${loc.column}`;
}
