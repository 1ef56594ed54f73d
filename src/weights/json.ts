/** Finds what `JSON.parse` hides: a key that an object of the outermost two levels has twice. */

const TOKEN = /"(?:[^"\\]|\\.)*"|[{}[\]:,]/g;

/** The first key that the outermost object, or an object right inside it, repeats. `text` must be valid JSON. */
export function repeatedKey(text: string): string | undefined {
  const seen: Set<string>[] = [];
  let last = "";
  let depth = 0;
  for (const [token] of text.matchAll(TOKEN)) {
    if (token === "{" || token === "[") seen[depth++] = new Set();
    else if (token === "}" || token === "]") depth--;
    else if (token === ":" && depth <= 2) {
      const keys = seen[depth - 1];
      if (keys?.has(last)) return last;
      keys?.add(last);
    } else if (token !== ":" && token !== ",") last = JSON.parse(token) as string;
  }
  return undefined;
}
