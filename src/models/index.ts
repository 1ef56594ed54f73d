/** What a model file imports as `recurve/models`: published blocks and backbones, each a function over the layers of `recurve`. */
export { activate, gatedHalves, type Activation } from "./activation.ts";
export { attentionBlock, type AttentionBlockOptions } from "./attention-block.ts";
export {
  residualBlock,
  sequenceDecoder,
  sequenceModel,
  type BlockLayer,
  type DecoderMode,
  type ResidualBlockOptions,
  type SequenceDecoderOptions,
  type SequenceModelOptions,
  type TierLayer,
} from "./backbone.ts";
export {
  lruBlock,
  s5Layer,
  type GatedActivation,
  type GatedLayerOptions,
  type LruBlockOptions,
  type S5LayerOptions,
} from "./gated-layer.ts";
export { gatedMlp, type GatedMlpOptions } from "./gated-mlp.ts";
export { gssBlock, type GssBlockOptions } from "./gss-block.ts";
export { h3, type H3Options } from "./h3.ts";
export { hyena, type HyenaOptions } from "./hyena.ts";
export { lsslBlock, type LsslBlockOptions } from "./lssl-block.ts";
export { mamba2Block, type Mamba2BlockOptions } from "./mamba2-block.ts";
export { mamba3Block, type Mamba3BlockOptions } from "./mamba3-block.ts";
export { mambaBlock, type MambaBlockOptions } from "./mamba-block.ts";
export { mambaModel, type MambaModelOptions } from "./mamba-model.ts";
export { normalize, scalarLayerNorm, type NormKind } from "./norm.ts";
export { joinResidual, type ResidualKind } from "./residual.ts";
export { s4Block, type FinalActivation, type S4BlockOptions, type S4BlockOutput } from "./s4-block.ts";
export {
  averagePool,
  downsample,
  linearPool,
  linearUnpool,
  type LinearPoolOptions,
  type Pooling,
  type PoolKind,
  type Tier,
} from "./pooling.ts";
export { sashimi, type SashimiOptions } from "./sashimi.ts";
export { s4dBlock, s4Model, type S4dBlockOptions, type S4ModelOptions } from "./s4-model.ts";
export { s4nd, type S4ndOptions } from "./s4nd.ts";
