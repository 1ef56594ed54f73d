/**
 * WGSL to the form that shaders have in a bundle: without comments and needless white space, local values named by how
 * far back they were declared. `runtime/shader-text.ts` reads it and says why. Structure and meaning stay as they are.
 */

import { shaderBuffer, shaderDims } from "../runtime/shader-text.ts";

/** One token that matters here: a declaration, a name that is no member, the start of a loop, or punctuation of scopes. */
const TOKEN = /\b(let|var) ([A-Za-z_]\w*)|(?<![\w.])([A-Za-z_]\w*)|[{};]/g;

/** The shader of a kernel with these accesses as a bundle holds it. */
export function packShader(wgsl: string, access: string): string {
  const slim = shortStart(slimShader(wgsl), access);
  // `_1` is what the runtime will call a value, `$` what stands for one.
  return /\$|\b_\d/.test(slim) ? slim : countNames(slim);
}

/** With the declarations that the runtime makes left out. */
function shortStart(wgsl: string, access: string): string {
  const buffer = /@group\(0\) @binding\((\d+)\) var<storage,read\w*> b\d+: array<(\w+)>;/g;
  return wgsl
    .replace(shaderDims, "#")
    .replaceAll(buffer, (text, binding: string, type: string) =>
      text === shaderBuffer(access, Number(binding), type) ? `@${type};` : text,
    );
}

/** Without comments, indentation, and spaces that separate nothing. `<` and `>` keep theirs, and what could join with what follows. */
function slimShader(wgsl: string): string {
  const lines = wgsl.split("\n").map((line) => line.replace(/\/\/.*$/, "").trim());
  return lines
    .filter((line) => line !== "")
    .join("\n")
    .replaceAll(/ ?([=+*,;{}]) ?/g, "$1")
    .replaceAll(/ ([-%/&|]|&&|\|\|) (?![-/*&|])/g, "$1")
    .replaceAll(/([;{}])\n/g, "$1");
}

/** Names of values in scope, by number. */
type Scope = Map<string, number>;

function countNames(wgsl: string): string {
  const scopes: Scope[] = [];
  /** What a loop's header declares belongs to the block after it. */
  let header: Scope | undefined;
  /** Declared, and in scope after the next semicolon. */
  let declared: readonly [name: string, number: number] | undefined;
  let named = 0;
  const find = (name: string): number | undefined => header?.get(name) ?? scopes.findLast((scope) => scope.has(name))?.get(name);
  return wgsl.replaceAll(TOKEN, (token: string, keyword: string | undefined, value: string | undefined, name: string | undefined) => {
    if (keyword !== undefined && value !== undefined) {
      declared = [value, named++];
      return keyword === "let" ? "$" : "var $";
    }
    if (token === "{") {
      scopes.push(header ?? new Map<string, number>());
      header = undefined;
    } else if (token === "}") scopes.pop();
    else if (token === ";") {
      if (declared) (header ?? scopes.at(-1))?.set(...declared);
      declared = undefined;
    } else if (name === "for") header = new Map();
    else {
      const number = find(token);
      if (number !== undefined) return `$${(named - 1 - number).toString(36)}`;
    }
    return token;
  });
}
