/** A gated block generic in its width, over ids, with widths that only running the file tells. */
import {
  conv,
  embed,
  gelu,
  last,
  layerNorm,
  linear,
  model,
  mul,
  residual,
  s4d,
  scope,
  silu,
  split,
  tokens,
  type Seq,
  type Tensor,
} from "recurve";

/** As wide inside as `expand` says, whatever the width outside. */
export function gated<H extends number>(x: Tensor<Seq<H>>, { expand = 2, state = 16 } = {}): Tensor<Seq<H>> {
  const inner = expand * x.shape.H;
  const [u, gate] = split(linear(x, { width: 2 * inner }), [inner, inner]);
  const y = s4d(silu(conv(u, { width: 4, causal: true })), { state, init: "legs", discretize: "bilinear" });
  return linear(mul(y, silu(gate)), { width: x.shape.H });
}

export default model("gated", { ids: tokens(18) }, ({ ids }) => {
  let h = embed(ids, { width: 8 });
  for (let i = 0; i < 2; i++) h = scope(`layers.${i}`, () => residual(h, (x) => gated(layerNorm(x))));
  return { logits: linear(gelu(last(h, "L")), { width: 10 }) };
});
