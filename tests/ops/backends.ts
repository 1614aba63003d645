import * as tf from "@tensorflow/tfjs-core";
import "../../toolkit/backend/register.ts";

/** Backends that this machine has: cpu runs the composed forms, native the kernels (where a compiler built them). */
export const backends: readonly string[] = ["cpu", "native"].filter((name) => tf.findBackendFactory(name) !== null);

/** The code of the error that `run` throws, or undefined. */
export function errorCode(run: () => unknown): string | undefined {
  try {
    tf.tidy(() => { run(); });
    return undefined;
  } catch (error) {
    if (error instanceof Error && "code" in error && typeof error.code === "string") return error.code;
    throw error;
  }
}
