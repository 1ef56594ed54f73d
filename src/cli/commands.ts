/** The table of commands, in the order of the overview. */
import type { Command } from "./command.ts";
import { adapters } from "./commands/adapters.ts";
import { bench } from "./commands/bench.ts";
import { build } from "./commands/build.ts";
import { generate } from "./commands/generate.ts";
import { inspect } from "./commands/inspect.ts";
import { run } from "./commands/run.ts";
import { verify } from "./commands/verify.ts";

export const commands: readonly Command[] = [build, run, generate, verify, inspect, bench, adapters];
