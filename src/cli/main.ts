#!/usr/bin/env node
/** The program `recurve`. */
import { constants } from "node:os";
import { runCli } from "./run-cli.ts";

// Who reads our output may have read enough, as in `recurve inspect ... | head`.
process.stdout.on("error", (error: NodeJS.ErrnoException) => process.exit(error.code === "EPIPE" ? 0 : 70));

// Exiting in words, so that temporary files are removed.
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.once(signal, () => process.exit(128 + constants.signals[signal]));

const code = await runCli(process.argv.slice(2), {
  out: (text) => process.stdout.write(text),
  err: (text) => process.stderr.write(text),
  interactive: process.stderr.isTTY === true,
});
await drained(process.stdout);
await drained(process.stderr);
// Dawn keeps the event loop alive, so the program ends here in words.
process.exit(code);

/** Pipes are written asynchronously; exiting before would cut the text off. */
function drained(stream: NodeJS.WriteStream): Promise<void> {
  return new Promise((resolve) => {
    stream.write("", () => resolve());
  });
}
