/** A loaded model: whole sequences, split where their batch is too large for one execution, and streams. */
import type { ExecutionMode, ModelInfo, RunOptions, StreamOptions } from "./api.ts";
import type { Engine } from "./engine.ts";
import { InputError } from "./errors.ts";
import type { Executor } from "./executor.ts";
import type { Program } from "./plan.ts";
import { Session, withOutputs } from "./session.ts";
import { Stream } from "./stream.ts";
import type { Given, Outputs } from "./tensors.ts";
import { readInputs } from "./tensors.ts";

type Options = RunOptions & { readonly onDevice?: boolean };

/** The model of a bundle. */
export class Model {
  readonly #engine: Engine;
  #session: Session | undefined;

  constructor(engine: Engine) {
    this.#engine = engine;
  }

  get device(): GPUDevice {
    return this.#engine.executor.device.gpu;
  }

  get info(): ModelInfo {
    const { name, inputs, outputs, maxLength, context, whole, step, period } = this.#engine.plan;
    const modes = [...new Set([...Object.keys(whole), ...(step ? ["recurrence"] : [])])] as ExecutionMode[];
    const { vendor = "", architecture = "", device = "", description = "" } = (this.device.adapterInfo as GPUAdapterInfo | undefined) ?? {};
    const end = context === undefined ? {} : { context };
    return { name, inputs, outputs, modes, maxLength, ...end, period, adapter: { vendor, architecture, device, description } };
  }

  /** Throws: InputError, LimitError, DeviceLostError, the signal's reason. */
  async run(inputs: unknown, options: Options = {}): Promise<Outputs> {
    const { plan } = this.#engine;
    const given = readInputs(plan, inputs, options.batch, plan.maxLength, plan.period);
    return this.#engine.exclusive((executor) => this.#run(executor, given, options), options.signal);
  }

  /** Throws: StreamError, InputError where an option is not what the model takes. */
  async stream(options: StreamOptions = {}): Promise<Stream> {
    return new Stream(this.#engine, options);
  }

  destroy(): void {
    this.#engine.close();
  }

  async #run(executor: Executor, { B, L, values }: Given, { mode, onDevice = false, signal }: Options): Promise<Outputs> {
    const { program, stepwise } = this.#program(executor, B, L, mode ?? "auto");
    const { size } = this.#engine.fit(executor, B, (most) => ({ size: most, program, d: executor.dims(most, L) }));
    if (this.#session?.executor !== executor) this.#session = new Session(executor);
    const session = this.#session;
    return withOutputs(executor, B, L, onDevice, async (outputs) => {
      for (let b = 0; b < B; b += size) {
        const part = { b, t: 0, B: Math.min(size, B - b), L, of: { B, L } };
        if (stepwise) await session.setStates(part.B, undefined, signal);
        await session.execute({ program, stepwise, part, position: 0, inputs: values, outputs, last: true, snapshot: false, signal });
      }
    });
  }

  /** Throws: InputError where the model has no such mode. */
  #program(executor: Executor, B: number, L: number, asked: ExecutionMode): { readonly program: Program; readonly stepwise: boolean } {
    const { plan } = this.#engine;
    const mode = asked === "auto" ? plan.choose(executor.dims(B, L)) : asked;
    if (mode === "recurrence" && plan.step) return { program: plan.step, stepwise: true };
    const program = plan.whole[mode];
    if (!program) throw new InputError("mode", undefined, `the model has no mode ${mode}; it has ${this.info.modes.join(", ")}`);
    return { program, stepwise: false };
  }
}
