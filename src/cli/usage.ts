/** The help texts, made from the commands' own descriptions. */
import type { Command } from "./command.ts";

/** All commands, a line each. */
export function overview(commands: readonly Command[]): string {
  const width = Math.max(...commands.map((command) => command.name.length));
  const lines = commands.map(({ name, doc }) => `  ${name.padEnd(width)}  ${doc}`);
  return `usage: recurve <command> ...\n\n${lines.join("\n")}\n\nrecurve <command> --help explains a command; recurve --version prints the version.\n`;
}

/** One command with its options. */
export function explain(command: Command): string {
  const rows = Object.entries(command.options).map(([name, { short, value, doc }]) => {
    const flag = `${short === undefined ? "" : `-${short}, `}--${name}${value === undefined ? "" : ` <${value}>`}`;
    return [flag, doc] as const;
  });
  const width = Math.max(0, ...rows.map(([flag]) => flag.length));
  const lines = rows.map(([flag, doc]) => `  ${flag.padEnd(width)}  ${doc}`);
  return `${synopsis(command)}\n\n${command.doc}\n${lines.length > 0 ? `\n${lines.join("\n")}\n` : ""}`;
}

/** The line that shows how a command is called. */
export function synopsis({ name, operands, options }: Command): string {
  const words = operands.map((operand) => ` <${operand}>`).join("");
  return `usage: recurve ${name}${words}${Object.keys(options).length > 0 ? " [options]" : ""}`;
}
