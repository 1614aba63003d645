import { subscribe } from "node:diagnostics_channel";
import * as tf from "@tensorflow/tfjs-core";
import { NATIVE } from "./nativeKernel.ts";
import { isKernelStorage } from "./kernelStorage.ts";

/** Where the notebook kernel tells that it stopped a cell; see kernel/runner/runner.ts. */
const channelName = "moe-lab:cell-stopped";

/** Repairs tfjs after each stopped cell: one that is terminated within `tf.tidy` or a gradient leaves them open, and all
 *  that follows would be recorded on the dead tape and never freed. */
export function repairAfterStoppedCells(): void {
  subscribe(channelName, closeScopes);
}

/** To be called with no tfjs code below it on the stack. */
function closeScopes(): void {
  const engine = tf.engine();
  const { state } = engine;
  for (const { saved = [] } of state.activeTape ?? []) for (const tensor of saved) tensor.dispose();
  while (state.scopeStack.length > 0) engine.endScope();
  Object.assign(state, { activeTape: null, gradientDepth: 0, kernelDepth: 0 });
  const backend: unknown = tf.findBackend(NATIVE);
  if (isKernelStorage(backend)) backend.closeScopes();
}
