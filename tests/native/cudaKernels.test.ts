import { beforeAll, beforeEach, describe, expect, test } from "vitest";
import { type DeviceArray, type HostArray } from "../../toolkit/backend/arrays.ts";
import { BackendError } from "../../toolkit/errors.ts";
import { cudaObstacle, fetched, hostAddon, openCudaAddon, sent, type CudaAddon } from "./cudaAddon.ts";
import { cases, type Argument, type KernelCase, type Made, type Output } from "./cudaCases.ts";
import { Chance } from "./fuzz/chance.ts";
import { signatures } from "./fuzz/signatures.ts";

// In an emulator, the threads of a block take turns in another order each time: no result may depend on it.
process.env.MOE_EMULATED_ORDER ??= "shuffled";
const ROUNDS = Number(process.env.MOE_LAB_CUDA_ROUNDS ?? 2);
/** Functions that are no kernels. */
const control = ["setErrorClass", "threads", "setThreads", "instructionSet", "prepareMemory"];

let addon: CudaAddon;
const obstacle = await cudaObstacle();
beforeAll(async () => { if (obstacle === undefined) addon = await openCudaAddon(); }, 600_000);
beforeEach(({ skip }) => { if (obstacle !== undefined) skip(obstacle); });

const isOutput = (given: unknown): given is Output => typeof given === "object" && given !== null && "output" in given;

/** One call's arguments on one side, and its outputs in order. */
interface Prepared { readonly args: unknown[]; readonly outputs: (HostArray | DeviceArray)[] }

function prepared(args: readonly Argument[], toSide: (values: HostArray) => HostArray | DeviceArray): Prepared {
  const outputs: (HostArray | DeviceArray)[] = [];
  const one = (given: HostArray | Output): unknown => {
    if (!isOutput(given)) return toSide(given);
    const array = toSide(given.output);
    outputs.push(array);
    return array;
  };
  return { outputs, args: args.map((given) => {
    if (Array.isArray(given)) return (given as (HostArray | Output)[]).map(one);
    if (typeof given !== "object" || given === null) return given;
    return "setting" in given ? given.setting : one(given as HostArray | Output);
  }) };
}

/** What a call did: its outputs, or the code of its error, also one that only a wait shows. */
type Result = { readonly outputs: HostArray[] } | { readonly error: string };

function attempt(call: () => HostArray[]): Result {
  try {
    return { outputs: call() };
  } catch (error) {
    if (error instanceof BackendError) return { error: error.code };
    throw error;
  }
}

const onHost = (name: string, { args }: Made): Result => attempt(() => {
  const { args: given, outputs } = prepared(args, (values) => values.slice());
  hostAddon()[name](...given);
  return outputs as HostArray[];
});

const onDevice = (name: string, { args }: Made): Result => {
  const used: DeviceArray[] = [];
  const { args: given, outputs } = prepared(args, (values) => {
    const array = sent(addon, values);
    used.push(array);
    return array;
  });
  try {
    return attempt(() => {
      addon[name](...given);
      addon.synchronize();
      return outputs.map((array) => fetched(addon, array as DeviceArray));
    });
  } finally {
    for (const array of used) addon.freeArray(array);
  }
};

/** The first value that is further from the host's than allowed, or undefined. */
function difference(made: HostArray, expected: HostArray, error: number, scale: number): string | undefined {
  for (let i = 0; i < expected.length; ++i) {
    const [got, wanted] = [made[i], expected[i]];
    if (Object.is(got, wanted) || got === wanted) continue;
    const isNear = expected instanceof Float32Array && Number.isFinite(wanted) && Math.abs(got - wanted) <= error * (Math.abs(wanted) + scale);
    if (!isNear) return `element ${i} is ${got} where the host has ${wanted}`;
  }
  return undefined;
}

/** @param error as in KernelCase, of the precision in use
 *  @param skip ends the test where the device has no such kernel yet */
function compare(name: string, { make }: KernelCase, error: number, skip: (why: string) => void): void {
  const chance = new Chance(1);
  for (let round = 0; round < ROUNDS; ++round) {
    const made = make(chance);
    const [host, device] = [onHost(name, made), onDevice(name, made)];
    if ("error" in device && device.error === "E_CUDA_KERNEL") skip("not on the device yet");
    if ("error" in host || "error" in device) {
      expect(device).toEqual(host);
      continue;
    }
    const sizes = JSON.stringify(made.args.filter((given) => typeof given === "number"));
    device.outputs.forEach((values, i) => {
      expect(difference(values, host.outputs[i], error, made.scale), `output ${i} for sizes ${sizes}`).toBeUndefined();
    });
    expect(onDevice(name, made), `called twice for sizes ${sizes}`).toEqual(device);
  }
}

const all = Object.entries(cases);

test("every function of the addon is compared", () => {
  expect(Object.keys(cases).sort()).toEqual(Object.keys(signatures).filter((name) => !control.includes(name)).sort());
});

describe("a function on the device gives the host's results within its stated error, and the same bits each time", () => {
  test.for(all)("%s", ([name, one], { skip }) => {
    addon.setProductPrecision("float32");
    compare(name, one, one.error, skip);
  });
});

describe.each([["bfloat16", 2 ** -7], ["float16", 2 ** -10]] as const)("products of operands that are rounded to %s", (precision, error) => {
  test.for(all.filter(([, { isProduct }]) => isProduct))("%s", ([name, one], { skip }) => {
    addon.setProductPrecision(precision);
    try {
      compare(name, one, error, skip);
    } finally {
      addon.setProductPrecision("float32");
    }
  });
});

/** Indices that lead far outside every array. */
function wild(args: readonly Argument[], chance: Chance): readonly Argument[] {
  return args.map((given) => (given instanceof Int32Array ? given.map((value) => (chance.isTrue(0.5) ? value : chance.pick([-1, -(2 ** 31), 2 ** 31 - 1, 2 ** 20, value + 1, value - 7]))) : given));
}

describe("wild indices do no harm: they are refused at the next wait, or change only what the call writes", () => {
  test.for(all.filter(([name]) => signatures[name].split(" ").some((kind) => kind.startsWith("i32"))))("%s", ([name, { make }]) => {
    const chance = new Chance(2);
    for (let round = 0; round < ROUNDS; ++round) {
      const { args, scale } = make(chance);
      const result = onDevice(name, { args: wild(args, chance), scale });
      if ("error" in result) expect(["E_NATIVE_RANGE", "E_CUDA_KERNEL"]).toContain(result.error);
    }
    expect(fetched(addon, sent(addon, Float32Array.of(1, 2)))).toEqual(Float32Array.of(1, 2));
  });
});
