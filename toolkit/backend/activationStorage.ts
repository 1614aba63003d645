import { ConfigError } from "../errors.ts";
import { floatStorages, type FloatStorage } from "./floatStorage.ts";
import { currentStorage } from "./kernelStorage.ts";

/** Runs a function whose large activations the native backend keeps in another storage, rounded to the nearest: outputs of
 *  products, elementwise and row-moving ops, norms, rotary, attention and experts, and what the experts keep for the
 *  backward pass. It halves the memory of a forward pass that is recorded for its gradients. Sums, softmax, statistics,
 *  losses and whatever has fewer than 1024 elements stay float32. Scopes may be nested; the inner one counts. Gradients that
 *  are computed after the scope has ended are float32. On other backends the function just runs.
 *  @param run synchronous: the scope ends when it returns
 *  @throws ConfigError E_STORAGE_NAME, E_STORAGE_ASYNC
 *  Source: mixed precision: Micikevicius et al. 2018, arXiv:1710.03740; bfloat16: Kalamkar et al. 2019, arXiv:1905.12322 */
export function withActivationStorage<T>(storage: FloatStorage, run: () => T): T {
  checkStorage(storage);
  const backend = currentStorage();
  const result = backend ? backend.withActivationStorage(storage, run) : run();
  if (result instanceof Promise) {
    throw new ConfigError({
      code: "E_STORAGE_ASYNC", what: "withActivationStorage got an asynchronous function",
      why: "the scope ended when the function returned its promise", fix: "pass a function that computes before it returns",
    });
  }
  return result;
}

/** @throws ConfigError E_STORAGE_NAME for a name from untyped code that is none */
export function checkStorage(storage: FloatStorage): void {
  if (floatStorages.includes(storage)) return;
  throw new ConfigError({
    code: "E_STORAGE_NAME", what: `there is no storage "${String(storage)}"`, why: "values are kept in one of a few formats",
    fix: `use ${floatStorages.map((name) => `"${name}"`).join(", ")}`,
  });
}
