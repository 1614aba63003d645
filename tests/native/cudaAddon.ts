import { createRequire } from "node:module";
import { join } from "node:path";
import { hostArrayOfType, typeOfHostArray, type DeviceArray, type HostArray } from "../../toolkit/backend/arrays.ts";
import { nativeBinding } from "../../toolkit/backend/binding.ts";
import type { DeviceFunctions } from "../../toolkit/backend/deviceFunctions.ts";
import { BackendError } from "../../toolkit/errors.ts";

/** Functions of both addons, as untyped code calls them. */
export type Functions = Readonly<Record<string, (...args: unknown[]) => unknown>>;

export type CudaAddon = DeviceFunctions & Functions;

const root = join(import.meta.dirname, "..", "..");

/** Path of an addon for devices: MOE_LAB_CUDA_ADDON, a real device's or a sanitized one, or else one whose kernels run on
 *  the CPU, built here where it isn't current. */
export async function cudaAddonPath(): Promise<string> {
  if (process.env.MOE_LAB_CUDA_ADDON !== undefined) return process.env.MOE_LAB_CUDA_ADDON;
  const script = await import(join(root, "toolkit/native/build.mjs")) as { buildCudaAddon: (options: { kind: string }) => Promise<{ status: string; path: string; detail: string }> };
  const { status, path, detail } = await script.buildCudaAddon({ kind: "emulated" });
  if (status === "failed") throw new Error(detail);
  return path;
}

/** Why no kernel for GPUs can run here, on no device and on none that the CPU emulates; undefined where they can. */
export async function cudaObstacle(): Promise<string | undefined> {
  if (process.env.MOE_LAB_CUDA_ADDON !== undefined) return undefined;
  const script = await import(join(root, "toolkit/native/build.mjs")) as { findCompiler: () => string | undefined };
  return script.findCompiler() === undefined ? "there is no C++ compiler, so the kernels for GPUs did not run" : undefined;
}

/** The addon, with its device open. */
export async function openCudaAddon(): Promise<CudaAddon> {
  const addon = createRequire(import.meta.url)(await cudaAddonPath()) as CudaAddon;
  addon.setErrorClass(BackendError);
  addon.openDevice(0);
  return addon;
}

/** The addon of the CPU, as untyped code calls it. */
export const hostAddon = (): Functions => nativeBinding() as unknown as Functions;

/** A copy on the device. */
export function sent(addon: DeviceFunctions, values: HostArray): DeviceArray {
  const array = addon.allocateArray(typeOfHostArray(values), values.length);
  addon.upload(values, array);
  return array;
}

/** A copy on the host. */
export function fetched(addon: DeviceFunctions, array: DeviceArray): HostArray {
  const values = new hostArrayOfType[array.type](array.length);
  addon.download(array, values);
  return values;
}

/** The BackendError that a call throws. */
export function errorOf(call: () => unknown): BackendError {
  try {
    call();
  } catch (error) {
    if (error instanceof BackendError) return error;
    throw error;
  }
  throw new Error("nothing was thrown");
}
