/**
 * Mamba, layer by layer: a language model that reads characters and says which one comes next. A page to read; `mambaModel` and `mambaBlock` of
 * `recurve/models` are the same, ready made for any size. The layers are named as the tensors of the checkpoint, so that its weights fall into place.
 */
import {
  add,
  conv,
  embed,
  linear,
  model,
  mul,
  rmsNorm,
  scope,
  selective,
  silu,
  softplus,
  split,
  tokens,
  type Ids,
  type Seq,
  type Tensor,
} from "recurve";

/** Characters of the alphabet; `vocab.json` lists them. */
const CHARACTERS = 80;
/** Channels between the blocks, and inside of each. */
const WIDTH = 160;
const INNER = 320;
/** States of each inner channel, through which everything it remembers must pass. */
const STATE = 16;
/** Numbers from which the step sizes of all inner channels are made. */
const RANK = 10;
const BLOCKS = 4;

/** One block: what a character means after those before it. */
function mamba(x: Tensor<Seq<typeof WIDTH>>): Tensor<Seq<typeof WIDTH>> {
  // The block widens what comes in to two signals: one to remember, and a gate for what is said of it in the end.
  const [input, gate] = split(linear(x, { width: 2 * INNER, bias: false, name: "in_proj" }), [INNER, INNER]);

  // Each channel looks at its last four characters: a short memory, so that the long one reads fragments of words rather than letters.
  const u = silu(conv(input, { width: 4, name: "conv1d" }));

  // The input itself says what becomes of it: how long each channel dwells on it (dt), where in the state it is written (B), and where read (C).
  const [low, B, C] = split(linear(u, { width: RANK + 2 * STATE, bias: false, name: "x_proj" }), [RANK, STATE, STATE]);
  const dt = softplus(linear(low, { width: INNER, name: "dt_proj" }));

  // The long memory. For each channel, with A = -exp(A_log) below zero and 16 states h:
  //   h = exp(dt A) h + dt B u      a large dt forgets the past and takes in the input; a dt near 0 lets the input pass by
  //   y = C h + D u
  const y = selective(u, { dt, B, C, name: "" });

  // The gate lets through what is of use at this character.
  return linear(mul(y, silu(gate)), { width: WIDTH, bias: false, name: "out_proj" });
}

/** Characters in, a stream of 160 channels to which every block adds its part, and of the stream a score for each character that may come next. */
function predict(ids: Tensor<Ids<typeof CHARACTERS>>): Tensor<Seq<typeof CHARACTERS>> {
  const stream = scope("backbone", () => {
    let x: Tensor<Seq<typeof WIDTH>> = embed(ids, { width: WIDTH, name: "embedding" });
    for (let i = 0; i < BLOCKS; i++)
      x = scope(`layers.${i}`, () => {
        const z = rmsNorm(x, { name: "norm", eps: 1e-5 });
        return add(
          x,
          scope("mixer", () => mamba(z)),
        );
      });
    return rmsNorm(x, { name: "norm_f", eps: 1e-5 });
  });
  // The score of a character is how well the stream fits its embedding: the head has no weights of its own.
  return linear(stream, { width: CHARACTERS, bias: false, tiedTo: "backbone.embedding" });
}

// `ids` in and `logits` out make it a language model: the bundle generates text on the device.
export default model("mamba-austen", { ids: tokens(CHARACTERS) }, ({ ids }) => ({ logits: predict(ids) }), { weights: "mamba" });
