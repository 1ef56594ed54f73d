/** The table of commands, in the order of the overview. */
import type { Command } from "./command.ts";
import { adapters } from "./commands/adapters.ts";
import { run } from "./commands/run.ts";

export const commands: readonly Command[] = [run, adapters];
