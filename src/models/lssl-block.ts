/** The LSSL as a layer of a deep model. */
import { linear } from "../dsl/layers.ts";
import { lssl, type LsslOptions } from "../dsl/predecessors.ts";
import type { Seq, Tensor } from "../dsl/tensor.ts";
import { scope } from "../dsl/trace.ts";
import { activate, type Activation } from "./activation.ts";

/** Options of `lsslBlock`. */
export interface LsslBlockOptions extends Omit<LsslOptions<number>, "width"> {
  /** M, output channels of each; 1 where absent. */
  readonly channels?: number;
  /** `gelu` where absent. */
  readonly activation?: Activation;
}

/**
 * LSSL of M channels for each, activation, a linear map of all of them.
 * Shapes: `C`, `D`, `log_dt`, `transition.*` of `lssl`, `output_linear.weight` `[H, H M]`, `output_linear.bias` `[H]`.
 * Source: Gu et al. 2021 (2110.13985), section 3.3; names of state-spaces/s4, modules/lssl.py.
 */
export function lsslBlock<H extends number>(x: Tensor<Seq<H>>, options: LsslBlockOptions = {}): Tensor<Seq<H>> {
  const { channels = 1, activation = "gelu", name = "", ...own } = options;
  const width = x.shape.H;
  return scope(name, () => {
    const y: Tensor<Seq<number>> = lssl(x, { ...own, width: width * channels, name: "" });
    return linear(activate(y, activation), { width, name: "output_linear" });
  });
}
