import { ConfigError } from "./errors.ts";

/** The toolkit's settings that come from environment variables; absent where the variable is not set. */
export interface ToolkitEnvironment {
  /** MOE_LAB_BACKEND: name of the tfjs backend to use, e.g. "native" or "cpu" */
  readonly backend?: string;
  /** MOE_LAB_THREADS: threads of the native backend, 1 to 256 */
  readonly threads?: number;
  /** MOE_LAB_DEVICE: where the native backend computes, "auto" (the first GPU that can be used, else the host), "cpu", "cuda" or
   *  "cuda:N", N counted from 0 among the GPUs of CUDA_VISIBLE_DEVICES */
  readonly device?: DeviceSetting;
  /** MOE_LAB_CUDA_ADDON: path of the addon for GPUs, in place of the built one */
  readonly cudaAddon?: string;
  /** MOE_LAB_ADDON: path of the native addon to load in place of the built one, e.g. one built with sanitizers */
  readonly addon?: string;
}

export type DeviceSetting = { readonly kind: "auto" } | { readonly kind: "cpu" } | { readonly kind: "cuda"; readonly index: number };

const MOST_THREADS = 256; // kMostThreads in native/include/parallel.h

/** Reads and checks the environment.
 *  @throws ConfigError E_THREADS when MOE_LAB_THREADS is no whole number from 1 to 256, E_DEVICE when MOE_LAB_DEVICE names none */
export function readEnvironment(variables: NodeJS.ProcessEnv = process.env): ToolkitEnvironment {
  const { MOE_LAB_BACKEND: backend, MOE_LAB_THREADS: threads, MOE_LAB_ADDON: addon, MOE_LAB_DEVICE: device, MOE_LAB_CUDA_ADDON: cudaAddon } = variables;
  return {
    ...(backend !== undefined && backend !== "" && { backend }),
    ...(threads !== undefined && threads !== "" && { threads: readThreads(threads) }),
    ...(device !== undefined && device !== "" && { device: readDevice(device) }),
    ...(cudaAddon !== undefined && cudaAddon !== "" && { cudaAddon }),
    ...(addon !== undefined && addon !== "" && { addon }),
  };
}

function readDevice(text: string): DeviceSetting {
  if (text === "auto" || text === "cpu") return { kind: text };
  const cuda = /^cuda(?::(?<index>\d{1,3}))?$/.exec(text);
  if (cuda) return { kind: "cuda", index: Number(cuda.groups?.index ?? 0) };
  throw new ConfigError({
    code: "E_DEVICE", what: `the device is "${text}"`, why: 'it must be "auto", "cpu", "cuda" or "cuda:N" with N from 0',
    fix: "correct --device or MOE_LAB_DEVICE, or leave it out to use the first GPU that there is",
  });
}

function readThreads(text: string): number {
  const threads = Number(text);
  if (Number.isInteger(threads) && threads >= 1 && threads <= MOST_THREADS) return threads;
  throw new ConfigError({
    code: "E_THREADS",
    what: `MOE_LAB_THREADS is "${text}"`,
    why: `it must be a whole number from 1 to ${MOST_THREADS}`,
    fix: "set it to the number of processors to use, or unset it to use all that the process is granted",
  });
}
