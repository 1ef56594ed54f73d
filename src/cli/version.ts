/** The version in package.json. */
import { readFileSync } from "node:fs";

/** The version of this compiler; sources and compiled files lie equally deep below package.json. */
export function version(): string {
  const text = readFileSync(new URL("../../package.json", import.meta.url), "utf8");
  const { version: found } = JSON.parse(text) as { readonly version: string };
  return found;
}
