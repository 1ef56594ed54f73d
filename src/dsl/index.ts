/** What a model file imports as `recurve`: the layers, the declarations, and the types of tensors. */
export { attention, type AttentionOptions, type RopeOptions } from "./attention.ts";
export { diag, mat, matOf, minus, neg, over, plus, sq, times, type Entry, type Matrix, type Scalar } from "./entries.ts";
export type { Discretization, FamilyOptions } from "./family-layer.ts";
export { shift, type ShiftOptions } from "./fir.ts";
export { hippo, hippoLegs, type HippoLegsOptions, type HippoOptions } from "./hippo.ts";
export { constant, logUniform, normal, uniform, values } from "./init.ts";
export {
  batchNorm,
  conv,
  embed,
  glu,
  layerNorm,
  linear,
  residual,
  rmsNorm,
  type ConvOptions,
  type LinearOptions,
  type NormOptions,
  type RmsNormOptions,
  type TiedLinearOptions,
} from "./layers.ts";
export { dss, gssSsm, lssl, type DssOptions, type GssSsmOptions, type LsslOptions } from "./predecessors.ts";
export { lru, s5, type LruOptions, type S5Options } from "./mimo.ts";
export { model, sequence, tokens, type InputSpec, type Model, type ModelOptions } from "./model.ts";
export {
  abs,
  add,
  cos,
  div,
  elu,
  erf,
  exp,
  gelu,
  geluTanh,
  leakyRelu,
  log,
  maximum,
  minimum,
  mul,
  pointwise,
  relu,
  sigmoid,
  silu,
  sin,
  softplus,
  sqrt,
  square,
  squaredRelu,
  sub,
  tanh,
  type Binary,
  type Pointwise,
  type Unary,
  type UnaryOfBoth,
} from "./pointwise.ts";
export { shared } from "./shared.ts";
export { s4, type PoleRule, type S4Basis, type S4Init, type S4Options, type S4Start, type TransformName, type WithOutputs } from "./s4.ts";
export {
  gatedDelta,
  gatedLinearAttention,
  hgrn,
  lruVarying,
  mamba3,
  mlstm,
  retention,
  rgLru,
  rwkv6,
  rwkv7,
  selective,
  ssd,
  type DeltaOptions,
  type GatedAttentionOptions,
  type LinearAttentionOptions,
  type Mamba3Options,
  type MlstmOptions,
  type RgLruOptions,
  type Rwkv7Options,
  type SelectiveOptions,
  type SsdOptions,
  type VaryingOptions,
} from "./selective.ts";
export {
  concat,
  first,
  firstSteps,
  last,
  lastSteps,
  max,
  mean,
  ofWidth,
  pack,
  repeat,
  rotate,
  sample,
  split,
  unpack,
  type Pool,
  type RotateOptions,
} from "./shape.ts";
export {
  dense,
  param,
  s4d,
  ssm,
  type BasisName,
  type DenseOptions,
  type Param,
  type ParamOptions,
  type S4dOptions,
  type SsmLayer,
  type SsmSpec,
  type Structure,
  type SystemMatrices,
} from "./ssm.ts";
export type {
  Beside,
  Blocks,
  Channels,
  Ids,
  Packed,
  Pooled,
  Sampled,
  Seq,
  SeqAt,
  Sequence,
  Steps,
  Tensor,
  Unpacked,
  Vec,
  WithWidth,
} from "./tensor.ts";
export { cumulate, delay, reverse } from "./time.ts";
export { scope, type Named } from "./trace.ts";
