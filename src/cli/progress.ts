/** One line on a terminal that tells how far long work is; nothing at all in a pipe. */
import type { Terminal } from "./command.ts";

export interface Progress {
  /** Replaces the line. */
  readonly show: (text: string) => void;
  /** Takes the line away. */
  readonly clear: () => void;
}

/** Rewrites at most ten times a second, so that progress costs nothing. */
export function progressOn(terminal: Terminal): Progress {
  let shown = false;
  let last = -Infinity;
  return {
    show: (text) => {
      const now = performance.now();
      if (!terminal.interactive || now - last < 100) return;
      last = now;
      shown = true;
      terminal.err(`\r\x1b[2K${text}`);
    },
    clear: () => {
      if (shown) terminal.err("\r\x1b[2K");
      shown = false;
    },
  };
}
