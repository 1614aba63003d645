import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { readEnvironment } from "../environment.ts";
import { BackendError } from "../errors.ts";
import type { DeviceFunctions } from "./deviceFunctions.ts";
import type { FusedFunctions } from "./fusedFunctions.ts";
import type { TensorFunctions } from "./tensorFunctions.ts";

/** All functions of the addon. Their arguments are checked in C++ (BackendError E_NATIVE_ARGUMENT, E_NATIVE_RANGE,
 *  E_NATIVE_SHAPE, E_NATIVE_MEMORY). */
export type NativeBinding = TensorFunctions & FusedFunctions;

/** All functions of the addon for GPUs: the same kernels, and those for memory of a device. */
export type CudaBinding = NativeBinding & DeviceFunctions;

const packageFolder = findPackageFolder(dirname(fileURLToPath(import.meta.url)));
/** Where the addon may be, best first: built on this machine, or for every machine like it and published with the package. */
const addonPaths: readonly string[] = [
  join(packageFolder, "build", "native", "moe_lab.node"),
  join(packageFolder, "prebuilt", `${process.platform}-${process.arch}`, "moe_lab.node"),
];

/** The script that builds the addon: plain JavaScript, the same from the sources as from dist/. */
export const buildScript: string = join(packageFolder, "toolkit", "native", "build.mjs");

const cudaAddonPath = join(packageFolder, "build", "native", "moe_lab_cuda.node");

let loaded: NativeBinding | undefined;
let loadedCuda: CudaBinding | undefined;

/** The addon, loaded at the first call: MOE_LAB_ADDON alone where that is set, else one built on this machine, else a
 *  published one. One that doesn't fit this machine is passed over if the next does.
 *  @throws BackendError E_NATIVE_MISSING when there is none; E_NATIVE_PROCESSOR when it was built for another processor;
 *  E_NATIVE_LOAD when the system refuses to load it */
export function nativeBinding(): NativeBinding {
  loaded ??= loadAddon();
  return loaded;
}

/** The addon for GPUs, loaded at the first call: MOE_LAB_CUDA_ADDON where that is set, else one built on this machine. It loads
 *  without a GPU and a driver too, and says then what is missing: see DeviceFunctions.deviceProblem.
 *  @throws BackendError E_CUDA_MISSING when there is none; E_NATIVE_LOAD when the system refuses to load it */
export function cudaBinding(): CudaBinding {
  loadedCuda ??= loadCudaAddon();
  return loadedCuda;
}

function loadCudaAddon(): CudaBinding {
  const path = readEnvironment().cudaAddon ?? cudaAddonPath;
  if (!existsSync(path)) {
    throw new BackendError({
      code: "E_CUDA_MISSING", what: `${path} isn't there`, why: "computing on a GPU needs the addon for GPUs",
      fix: `node ${buildScript} --cuda on a machine with nvcc`,
    });
  }
  const addon = requireAddon(path) as CudaBinding;
  addon.setErrorClass(BackendError);
  return addon;
}

/** What cudaBinding() would throw, undefined where it would return. */
export function cudaBindingProblem(): BackendError | undefined {
  return problemOf(cudaBinding);
}

/** What nativeBinding() would throw, undefined where it would return; never builds anything. */
export function bindingProblem(): BackendError | undefined {
  return problemOf(nativeBinding);
}

function problemOf(load: () => NativeBinding): BackendError | undefined {
  try {
    load();
    return undefined;
  } catch (error) {
    if (!(error instanceof BackendError)) throw error;
    return error;
  }
}

function loadAddon(): NativeBinding {
  const { threads, addon: addonPath } = readEnvironment();
  const there = addonPath === undefined ? addonPaths.filter(existsSync) : [addonPath];
  const addon = firstFitting(there.length > 0 ? there : addonPaths.slice(0, 1));
  if (threads !== undefined) addon.setThreads(threads);
  return addon;
}

function firstFitting([path, ...others]: readonly string[]): NativeBinding {
  if (others.length === 0) return checkedAddon(path);
  try {
    return checkedAddon(path);
  } catch (error) {
    if (!(error instanceof BackendError)) throw error;
    return firstFitting(others);
  }
}

function checkedAddon(addonPath: string): NativeBinding {
  if (!existsSync(addonPath)) {
    throw new BackendError({
      code: "E_NATIVE_MISSING", what: `${addonPath} isn't there`, why: "the native backend needs its compiled addon",
      fix: `node ${buildScript}`,
    });
  }
  const addon = requireAddon(addonPath);
  addon.setErrorClass(BackendError);
  if (addon.instructionSet() === "none") {
    throw new BackendError({
      code: "E_NATIVE_PROCESSOR", what: `${addonPath} holds no code for this processor`,
      why: "it was built on a machine with other vector instructions", fix: `node ${buildScript} on this machine`,
    });
  }
  return addon;
}

function requireAddon(addonPath: string): NativeBinding {
  try {
    // The addon is untyped: this is the one place that says what it is.
    return createRequire(import.meta.url)(addonPath) as NativeBinding;
  } catch (error) {
    throw new BackendError({
      code: "E_NATIVE_LOAD", what: `${addonPath} could not be loaded`,
      why: error instanceof Error ? error.message : String(error), fix: `node ${buildScript}`, cause: error,
    });
  }
}

function findPackageFolder(folder: string): string {
  if (existsSync(join(folder, "package.json"))) return folder;
  const parent = dirname(folder);
  if (parent !== folder) return findPackageFolder(parent);
  throw new BackendError({
    code: "E_NATIVE_MISSING", what: "there is no package.json above the toolkit",
    why: "the native addon is looked for below the package's own folder", fix: "run moe-lab from its package",
  });
}
