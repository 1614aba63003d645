import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import * as tf from "@tensorflow/tfjs-core";
import { readEnvironment } from "../environment.ts";
import { BackendError, ConfigError } from "../errors.ts";
import { bindingProblem, buildScript, nativeBinding } from "./binding.ts";
import { chosenDevice } from "./device.ts";
import { NATIVE } from "./nativeKernel.ts";
import { offerNativeBackend } from "./register.ts";

export interface ChosenBackend {
  /** tfjs's name of the backend that is now in use */
  readonly name: string;
  /** one sentence for people */
  readonly reason: string;
  /** "cpu", or "cuda:N" for a GPU */
  readonly device: string;
  /** threads that compute; 1 where it isn't ours to say */
  readonly threads: number;
}

let preparation: Promise<string | undefined> | undefined;

/** Makes a tfjs backend the current one: the one asked for, else "native", else "cpu". When the native addon is missing
 *  it is built, once for each process; when that can't be, one message on standard error says so.
 *  @param request name of a tfjs backend; by default MOE_LAB_BACKEND
 *  @throws BackendError E_NATIVE_MISSING when "native" was asked for and can't be had, E_CUDA_* when a GPU was; E_BACKEND when another backend
 *  doesn't start; ConfigError E_BACKEND_NAME for a name that tfjs doesn't know */
export async function chooseBackend(request: string | undefined = readEnvironment().backend): Promise<ChosenBackend> {
  if (request !== undefined && request !== NATIVE) return await useOther(request);
  preparation ??= prepareNative(request === undefined);
  const problem = await preparation;
  if (problem === undefined) {
    const { name: device, info } = chosenDevice();
    await setBackend(NATIVE);
    const native = nativeBinding();
    const reason = info ? `CUDA kernels on ${info.name}, compute capability ${info.capability}` : `C++ kernels, ${native.instructionSet()}`;
    return { name: NATIVE, device, reason, threads: info ? 1 : native.threads() };
  }
  if (request === NATIVE) {
    throw new BackendError({
      code: "E_NATIVE_MISSING", what: "the native backend was asked for and isn't there", why: problem,
      fix: `install g++ or clang++ and run node ${buildScript}, or use the backend "cpu"`,
    });
  }
  await setBackend("cpu");
  return { name: "cpu", device: "cpu", reason: problem, threads: 1 };
}

/** Offers the native backend, building its addon if need be; resolves to what stood in the way. */
async function prepareNative(warns: boolean): Promise<string | undefined> {
  if (offerNativeBackend()) return undefined;
  const build = await buildOnce();
  if (offerNativeBackend()) return undefined;
  const addon = bindingProblem();
  const isRefused = addon !== undefined && addon.code !== "E_NATIVE_MISSING";
  const problem = isRefused ? `${addon.what} (${addon.why}); ${build}` : build;
  if (warns) console.warn(`MoE Lab computes with the slow tfjs backend "cpu": ${problem}`);
  return problem;
}

interface BuildResult {
  readonly status: "built" | "current" | "no-compiler" | "failed";
  readonly detail: string;
}

/** Runs native/build.mjs in a process of its own; resolves to why there may be no addon. */
async function buildOnce(): Promise<string> {
  if (!existsSync(buildScript)) return `${buildScript} isn't there to build the native addon`;
  const output = await outputOf(process.execPath, [buildScript, "--json", "--optional"]);
  const { status, detail } = JSON.parse(output) as BuildResult;
  return status === "failed" ? `building the native addon failed: ${detail}` : detail;
}

function outputOf(command: string, args: readonly string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { stdio: ["ignore", "pipe", "inherit"] });
    let output = "";
    child.stdout.setEncoding("utf8").on("data", (text: string) => (output += text));
    child.on("error", reject);
    child.on("close", () => resolve(output));
  });
}

async function useOther(name: string): Promise<ChosenBackend> {
  if (tf.findBackendFactory(name) === null) {
    throw new ConfigError({
      code: "E_BACKEND_NAME", what: `tfjs has no backend "${name}"`,
      why: `registered are ${tf.engine().backendNames().join(", ")}`,
      fix: "import the package that brings the backend first, or ask for one of these",
    });
  }
  await setBackend(name);
  return { name, device: "cpu", reason: "asked for", threads: 1 };
}

async function setBackend(name: string): Promise<void> {
  if (await tf.setBackend(name)) return;
  throw new BackendError({
    code: "E_BACKEND", what: `the tfjs backend "${name}" doesn't start`, why: "tfjs's warning above says more",
    fix: 'use the backend "native" or "cpu"',
  });
}
