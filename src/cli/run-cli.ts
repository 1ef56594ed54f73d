/** One call of the command line, from words to an exit code. Has no effect on the process itself, which is `main.ts`. */
import { readWords, UsageError, type Command, type Terminal } from "./command.ts";
import { diagnosticOf, exit, formatBug, formatDiagnostic } from "./report.ts";
import { explain, overview, synopsis } from "./usage.ts";
import { version } from "./version.ts";

/** Loads the commands; each loads what it needs when it runs. */
async function allCommands(): Promise<readonly Command[]> {
  const { commands } = await import("./commands.ts");
  return commands;
}

/** Runs the command that `words` name. Never throws. */
export async function runCli(words: readonly string[], terminal: Terminal): Promise<number> {
  const [name, ...rest] = words;
  let command: Command | undefined;
  try {
    if (name === "--version" || name === "-v") return say(terminal, `${version()}\n`);
    const commands = await allCommands();
    if (name === "--help" || name === "-h" || name === "help") return say(terminal, overview(commands));
    command = commands.find((c) => c.name === name);
    if (command === undefined) throw new UsageError(name === undefined ? "a command is missing" : `there is no command "${name}"`);
    const given = readWords(command, rest);
    if (given.values["help"] === true) return say(terminal, explain(command));
    return await command.run(given, terminal);
  } catch (error) {
    return fail(error, command, terminal);
  }
}

function say(terminal: Terminal, text: string): number {
  terminal.out(text);
  return exit.done;
}

function fail(error: unknown, command: Command | undefined, terminal: Terminal): number {
  if (error instanceof UsageError) {
    const hint =
      command === undefined ? "recurve --help lists the commands" : `${synopsis(command)}\nrecurve ${command.name} --help explains it`;
    terminal.err(`recurve: ${error.message}\n${hint}\n`);
    return exit.usage;
  }
  const diagnostic = diagnosticOf(error);
  terminal.err(diagnostic === undefined ? formatBug(error) : formatDiagnostic(diagnostic));
  return diagnostic === undefined ? exit.bug : exit.fault;
}
