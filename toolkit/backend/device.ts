import { readEnvironment, type DeviceSetting } from "../environment.ts";
import { BackendError } from "../errors.ts";
import { cudaBinding, cudaBindingProblem, type CudaBinding } from "./binding.ts";
import type { DeviceInfo } from "./deviceFunctions.ts";
import { DeviceBackend } from "./deviceStorage.ts";
import { NativeBackend } from "./storage.ts";

/** Where the backend "native" computes. */
export interface ChosenDevice {
  /** "cpu" or "cuda:N" */
  readonly name: string;
  /** of a GPU */
  readonly info?: DeviceInfo;
}

interface OpenedDevice extends ChosenDevice {
  /** undefined for the host */
  readonly binding?: CudaBinding;
}

let opened: OpenedDevice | undefined;

/** The devices that this process may use, or why there is none; opens nothing. */
export function findDevices(): { readonly devices: readonly DeviceInfo[]; readonly problem?: Pick<BackendError, "code" | "what" | "why" | "fix"> } {
  const missing = cudaBindingProblem();
  if (missing) return { devices: [], problem: missing };
  const binding = cudaBinding();
  const devices = Array.from({ length: binding.deviceCount() }, (_, index) => binding.deviceInfo(index));
  const problem = binding.deviceProblem();
  return { devices, ...(problem && { problem }) };
}

/** The device of this process, chosen at the first call: MOE_LAB_DEVICE, by default the first GPU that can be used, else the host.
 *  @throws ConfigError E_DEVICE; BackendError E_CUDA_MISSING, E_CUDA_DRIVER, E_CUDA_ARCHITECTURE, E_CUDA when a GPU was asked for and
 *  can't be had */
export function chosenDevice(): ChosenDevice {
  opened ??= open(readEnvironment().device ?? { kind: "auto" });
  return opened;
}

/** The storage of the backend "native" on the chosen device. */
export function createStorage(): NativeBackend | DeviceBackend {
  chosenDevice();
  return opened?.binding ? new DeviceBackend(opened.binding) : new NativeBackend();
}

function open(setting: DeviceSetting): OpenedDevice {
  if (setting.kind === "cpu") return { name: "cpu" };
  if (setting.kind === "cuda") return openCuda(setting.index);
  if (findDevices().devices.length === 0) return { name: "cpu" };
  try {
    return openCuda(0);
  } catch (error) {
    if (!(error instanceof BackendError)) throw error;
    console.warn(`MoE Lab computes on the CPU: ${error.what} (${error.why}). ${error.fix}; or set MOE_LAB_DEVICE=cpu to leave the GPU alone.`);
    return { name: "cpu" };
  }
}

function openCuda(index: number): OpenedDevice {
  const { devices, problem } = findDevices();
  if (index >= devices.length) {
    throw new BackendError(problem ?? {
      code: "E_CUDA_MISSING", what: `cuda:${index} was asked for`, why: `this process may use ${devices.length} GPU${devices.length === 1 ? "" : "s"}, counted from 0`,
      fix: "choose another number, or look at CUDA_VISIBLE_DEVICES",
    });
  }
  const binding = cudaBinding();
  binding.openDevice(index);
  return { name: `cuda:${index}`, info: devices[index], binding };
}
