/** The beginning of a page: its model is loaded, or the page says why not. */
import { adapterName, loadBundle, type Model } from "./bundle.ts";
import { byId } from "./dom.ts";

/** Loads the bundle with its progress in the status line, and makes `ready` of it; where that fails, says why on the page and throws. */
export async function openModel<T, M extends Pick<Model, "info"> = Model>(ready: (model: M) => Promise<T>): Promise<T> {
  const status = byId("status", HTMLElement);
  try {
    const model = await loadBundle<M>({
      onProgress: ({ stage, loaded, total }) =>
        (status.textContent = `Loading ${stage}: ${Math.round((100 * loaded) / Math.max(total, 1))} %`),
    });
    const made = await ready(model);
    byId("adapter", HTMLElement).textContent = adapterName(model);
    status.textContent = "Ready.";
    return made;
  } catch (error) {
    showFailure(error);
    throw error;
  }
}

/** Says what went wrong in place of the results, and turns the controls off. */
export function showFailure(error: unknown): void {
  const missing = error instanceof Error && "code" in error && error.code === "no-webgpu";
  byId("status", HTMLElement).textContent = "Not running.";
  const panel = byId("failure", HTMLElement);
  panel.hidden = false;
  panel.textContent = missing
    ? "This browser offers no WebGPU. It is in Chrome and Edge from 113, Safari from 26 and Firefox from 141; on Linux it may have to be turned on in the browser's flags. The page must come from https or from localhost."
    : `The model could not run: ${error instanceof Error ? error.message : String(error)}`;
  const controls = document.querySelectorAll<HTMLButtonElement | HTMLInputElement | HTMLTextAreaElement>(
    "main button, main input, main textarea",
  );
  for (const control of controls) control.disabled = true;
}
