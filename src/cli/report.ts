/** From what was thrown to what is printed and the exit code. */
import { CompileError, formatLoc, type Diagnostic } from "../ir/error.ts";

/** Exit codes of every command. */
export const exit = { done: 0, fault: 1, usage: 2, bug: 70 } as const;

/** A diagnostic as text: code, message, place, frame, fix. */
export function formatDiagnostic({ code, message, fix, loc, frame }: Diagnostic): string {
  const place = loc === undefined ? "" : `\n  at ${formatLoc(loc)}`;
  const lines = frame === undefined ? "" : `\n${frame.replace(/^/gm, "  ")}`;
  return `error[${code}]: ${message}${place}${lines}\n  fix: ${fix}\n`;
}

/** The user's fault in `error`, if it is one; everything else is a bug of ours. */
export function diagnosticOf(error: unknown): Diagnostic | undefined {
  if (error instanceof CompileError) return error;
  if (!(error instanceof Error) || !("code" in error) || typeof error.code !== "string") return undefined;
  const fix = BUNDLE_FIXES[error.code];
  if (fix !== undefined) return { code: error.code, message: error.message, fix };
  return systemFault(error.code, error);
}

/** The typed errors of a bundle, by code. */
const BUNDLE_FIXES: Readonly<Record<string, string>> = {
  "no-webgpu": "run `recurve adapters` to see what this machine offers",
  "device-limit": "use a shorter sequence, a smaller batch, or a device that allows more",
  "input-invalid": "give the inputs as the bundle's index.d.ts states them",
  "weights-corrupt": "build the bundle again, or copy it again",
  "logits-invalid": "look for NaN or infinity in the weights; if there is none, please report this",
  "device-lost": "try again; if it happens again, use a shorter sequence or a smaller batch",
};

const withoutDawn: Diagnostic = {
  code: "no-adapter",
  message: "the npm package webgpu, which brings WebGPU to Node, is not installed or has no build for this machine",
  fix: "npm install webgpu; builds exist for Linux, macOS and Windows on x64 and arm64",
};

/** Faults of the machine or the user's paths that Node reports with a code. */
function systemFault(code: string, error: Error): Diagnostic | undefined {
  if (/^(ERR_)?MODULE_NOT_FOUND$/.test(code) && /webgpu/.test(error.message)) return withoutDawn;
  const path = "path" in error && typeof error.path === "string" ? error.path : "a file";
  const known: Readonly<Record<string, Diagnostic>> = {
    ENOSPC: {
      code: "disk-full",
      message: `no space is left to write ${path}`,
      fix: "free some space, or write elsewhere; nothing was left half-written",
    },
    EDQUOT: {
      code: "disk-full",
      message: `the quota is used up, so that ${path} cannot be written`,
      fix: "free some space, or write elsewhere",
    },
    EFBIG: {
      code: "disk-full",
      message: `${path} would be larger than a file may be here`,
      fix: "raise the limit (ulimit -f), or write elsewhere",
    },
    ENOENT: { code: "file-missing", message: `${path} does not exist`, fix: "check the path" },
    ENOTDIR: { code: "file-missing", message: `${path} does not exist: a part of it is no folder`, fix: "check the path" },
    EISDIR: { code: "file-kind", message: `${path} is a folder, not a file`, fix: "give the path of a file" },
    EACCES: {
      code: "file-denied",
      message: `${path} may not be read or written by you`,
      fix: "change its permissions, or use another path",
    },
    EPERM: {
      code: "file-denied",
      message: `${path} may not be read or written by you`,
      fix: "change its permissions, or use another path",
    },
    EROFS: { code: "file-denied", message: `${path} lies on a read-only file system`, fix: "write elsewhere" },
  };
  return known[code];
}

/** The text for a broken invariant of ours. */
export function formatBug(error: unknown): string {
  const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
  return `recurve has a bug, sorry. Please report this with what you ran:\n${text}\n`;
}
