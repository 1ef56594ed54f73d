/**
 * The form shaders have in a bundle. Kernels unrolled in registers repeat themselves but for the names of their values; so
 * a bundle counts names back from the last one, which makes the repetitions equal and lets the transport compress them:
 * `$` declares a value and `var $` a variable, `$0` is the last one declared, `$1` the one before it.
 * `codegen/pack-shader.ts` writes this form.
 */

/** WGSL from the form of a bundle; text that is WGSL already stays as it is. */
export function unpackShader(text: string): string {
  let declared = 0;
  return text.replace(/(var )?\$(\w*)/g, (_, variable: string | undefined, back: string) =>
    back === "" ? `${variable ?? "let "}_${declared++}` : `_${declared - 1 - parseInt(back, 36)}`,
  );
}
