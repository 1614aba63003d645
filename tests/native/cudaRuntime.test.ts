import { execFile } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { Worker } from "node:worker_threads";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import type { ArrayType, HostArray } from "../../toolkit/backend/arrays.ts";
import { BackendError } from "../../toolkit/errors.ts";
import { cudaAddonPath, cudaObstacle, errorOf, fetched, hostAddon, openCudaAddon, sent, type CudaAddon } from "./cudaAddon.ts";
import { Chance } from "./fuzz/chance.ts";

let addon: CudaAddon;
let path: string;
const isEmulated = process.env.MOE_LAB_CUDA_ADDON === undefined || process.env.MOE_LAB_CUDA_ADDON.includes("emulated");

const obstacle = await cudaObstacle();
beforeAll(async () => {
  if (obstacle !== undefined) return;
  path = await cudaAddonPath();
  addon = await openCudaAddon();
}, 600_000);
beforeEach(({ skip }) => { if (obstacle !== undefined) skip(obstacle); });

/** Sets each value, as Array.from would in many times the time. */
function valued<T extends HostArray>(values: T, valueOf: (i: number) => number): T {
  for (let i = 0; i < values.length; ++i) values[i] = valueOf(i);
  return values;
}
const made: Record<ArrayType, (length: number) => HostArray> = {
  float32: (length) => valued(new Float32Array(length), (i) => i * 0.5 - 3),
  int32: (length) => valued(new Int32Array(length), (i) => i * 7 - 2 ** 31),
  bool: (length) => valued(new Uint8Array(length), (i) => i % 2),
  half: (length) => valued(new Uint16Array(length), (i) => i * 13),
};
/** More bytes than the staging memory of uploads. */
const LARGE_BYTES = 40_000_000;
const types = Object.keys(made) as ArrayType[];

describe("memory of the device", () => {
  test.each(types)("%s values come back as they were sent, also what is longer than the staging memory", (type) => {
    for (const length of [0, 1, 5, 1023, LARGE_BYTES / made[type](1).byteLength]) {
      const values = made[type](length);
      const array = sent(addon, values);
      expect(array).toMatchObject({ type, length, byteLength: values.byteLength });
      const back = fetched(addon, array);
      expect(Buffer.compare(Buffer.from(back.buffer), Buffer.from(values.buffer))).toBe(0);
      addon.freeArray(array);
    }
  });

  test("an upload takes the values as they are when it is called", () => {
    const values = Float32Array.of(1, 2, 3);
    const array = sent(addon, values);
    values.fill(9);
    expect(fetched(addon, array)).toEqual(Float32Array.of(1, 2, 3));
  });

  test("a typed array may be shorter than the array on the device, not longer", () => {
    const array = sent(addon, Float32Array.of(1, 2, 3));
    const first = new Float32Array(2);
    addon.download(array, first);
    expect(first).toEqual(Float32Array.of(1, 2));
    addon.upload(Float32Array.of(7), array);
    expect(fetched(addon, array)).toEqual(Float32Array.of(7, 2, 3));
    expect(errorOf(() => { addon.upload(new Float32Array(4), array); })).toMatchObject({ code: "E_NATIVE_SHAPE" });
    expect(errorOf(() => { addon.download(array, new Float32Array(4)); })).toMatchObject({ code: "E_NATIVE_SHAPE" });
  });

  test("a promise brings what the array held when it was asked for", async () => {
    const array = sent(addon, Float32Array.of(1, 2, 3));
    const to = new Float32Array(3);
    const arrived = addon.downloadAsync(array, to);
    addon.fillArray(3, 5, array);
    addon.freeArray(array);
    await arrived;
    expect(to).toEqual(Float32Array.of(1, 2, 3));
  });

  test("many copies under way at once arrive each in its own array", async () => {
    const arrays = Array.from({ length: 40 }, (_, i) => sent(addon, new Int32Array(1000 + i).fill(i)));
    const back = arrays.map((array) => new Int32Array(array.length));
    await Promise.all(arrays.map((array, i) => addon.downloadAsync(array, back[i])));
    back.forEach((values, i) => { expect(values).toEqual(new Int32Array(1000 + i).fill(i)); });
  });

  test("a typed array that another thread took meanwhile is a typed error", async () => {
    const array = sent(addon, Float32Array.of(1, 2, 3));
    const to = new Float32Array(3);
    const arrived = addon.downloadAsync(array, to);
    structuredClone(to, { transfer: [to.buffer] });
    await expect(arrived).rejects.toThrow(BackendError);
    await expect(arrived).rejects.toMatchObject({ code: "E_NATIVE_SHAPE" });
  });

  test.each(types)("%s arrays are filled and copied, as far as a count says", (type) => {
    const fill = type === "bool" ? 1 : 42;
    for (const length of [1, 3, 1021]) {
      const array = sent(addon, made[type](length)), copy = sent(addon, made[type](length));
      const expected = made[type](length);
      addon.fillArray(length - 1, fill, array);
      expected.fill(fill, 0, length - 1);
      expect(fetched(addon, array)).toEqual(expected);
      addon.copyArray(length, array, copy);
      expect(fetched(addon, copy)).toEqual(expected);
    }
  });

  test("fractions, negative numbers and infinity fill as in a typed array", () => {
    for (const value of [0.1, -1.5, Infinity, -0]) {
      const array = addon.allocateArray("float32", 3);
      addon.fillArray(3, value, array);
      expect(fetched(addon, array)).toEqual(new Float32Array(3).fill(value));
    }
    for (const value of [-1, -(2 ** 31), 2 ** 31 - 1, 2.9]) {
      const array = addon.allocateArray("int32", 3);
      addon.fillArray(3, value, array);
      expect(fetched(addon, array)).toEqual(new Int32Array(3).fill(value));
    }
  });

  test("counts launches, copies and waits", async () => {
    const before = addon.deviceCounters();
    const array = sent(addon, new Float32Array(100));
    addon.fillArray(100, 1, array);
    expect(addon.deviceCounters()).toMatchObject({ launches: before.launches + 1, uploads: before.uploads + 1, uploadedBytes: before.uploadedBytes + 400,
      synchronizations: before.synchronizations, downloads: before.downloads });
    await addon.downloadAsync(array, new Float32Array(100));
    expect(addon.deviceCounters()).toMatchObject({ synchronizations: before.synchronizations, downloads: before.downloads + 1, downloadedBytes: before.downloadedBytes + 400 });
    addon.download(array, new Float32Array(50));
    addon.synchronize();
    expect(addon.deviceCounters()).toMatchObject({ synchronizations: before.synchronizations + 2, downloads: before.downloads + 2, downloadedBytes: before.downloadedBytes + 600 });
  });

  test("freed memory is given to the next array, and to the device only when asked", () => {
    addon.releaseCached();
    const start = addon.deviceMemory();
    const large = addon.allocateArray("float32", 10_000_000);
    expect(addon.deviceMemory().allocatedBytes - start.allocatedBytes).toBeGreaterThanOrEqual(40_000_000);
    addon.freeArray(large);
    const freed = addon.deviceMemory();
    expect(freed.allocatedBytes).toBe(start.allocatedBytes);
    expect(freed.cachedBytes).toBeGreaterThanOrEqual(40_000_000);
    addon.freeArray(addon.allocateArray("int32", 9_900_000));
    expect(addon.deviceMemory()).toEqual(freed);
    addon.releaseCached();
    expect(addon.deviceMemory().cachedBytes).toBeLessThan(40_000_000);
  });

  test("memory freed in any order can be had whole again", () => {
    const chance = new Chance(3);
    addon.releaseCached();
    const start = addon.deviceMemory();
    for (let round = 0; round < 6; ++round) {
      const arrays = Array.from({ length: 60 }, () => addon.allocateArray("bool", chance.int(0, chance.pick([10, 5000, 5000, 1_500_000]))));
      arrays.forEach((array, i) => { addon.upload(new Uint8Array(array.length).fill(i % 2), array); });
      for (const [i, array] of arrays.entries()) {
        if (array.length > 0 && i % 7 === 0) expect([fetched(addon, array).at(0), fetched(addon, array).at(-1)]).toEqual([i % 2, i % 2]);
      }
      while (arrays.length > 0) addon.freeArray(arrays.splice(chance.int(0, arrays.length - 1), 1)[0]);
    }
    expect(addon.deviceMemory().allocatedBytes).toBe(start.allocatedBytes);
    addon.releaseCached();
    expect(addon.deviceMemory().cachedBytes).toBeLessThanOrEqual(start.cachedBytes);
  });

  test("the peak is the most that was held at once since it was reset", () => {
    addon.resetPeak();
    const { allocatedBytes, peakBytes } = addon.deviceMemory();
    expect(peakBytes).toBe(allocatedBytes);
    addon.freeArray(addon.allocateArray("float32", 1_000_000));
    addon.freeArray(addon.allocateArray("float32", 1_000_000));
    const after = addon.deviceMemory();
    expect(after.allocatedBytes).toBe(allocatedBytes);
    expect(after.peakBytes - allocatedBytes).toBeGreaterThanOrEqual(4_000_000);
    expect(after.peakBytes - allocatedBytes).toBeLessThan(8_000_000);
  });
});

describe("what a call refuses", () => {
  test("a freed array, in every function", () => {
    const array = sent(addon, new Float32Array(4)), other = sent(addon, new Float32Array(4));
    addon.freeArray(array);
    for (const call of [() => { addon.freeArray(array); }, () => { addon.download(array, new Float32Array(4)); }, () => { addon.upload(new Float32Array(4), array); },
      () => { addon.copyArray(4, array, other); }, () => { addon.fillArray(4, 0, array); }, () => { addon.rmsNormForward(1, 4, 0, array, other, other, other); }])
      expect(errorOf(call)).toMatchObject({ code: "E_NATIVE_ARGUMENT", what: expect.stringMatching(/freed DeviceArray/) as string });
  });

  test("arrays of another type, of the host, of nobody; words that are no type; lengths that no array has", () => {
    const floats = sent(addon, new Float32Array(4)), ints = sent(addon, new Int32Array(4));
    const norm = (x: unknown) => () => addon.rmsNormForward(1, 4, 0, x, floats, floats, floats);
    for (const x of [ints, new Float32Array(4), {}, null, undefined, 4, Object.create(floats), { type: "float32", length: 4, byteLength: 16 }, Buffer.alloc(16)])
      expect(errorOf(norm(x))).toMatchObject({ code: "E_NATIVE_ARGUMENT", why: "x must be a float32 DeviceArray" });
    expect(errorOf(() => { addon.copyArray(4, floats, ints); })).toBeInstanceOf(BackendError);
    expect(errorOf(() => { addon.upload(new Int32Array(4), floats); })).toMatchObject({ code: "E_NATIVE_ARGUMENT" });
    expect(errorOf(() => { addon.download(floats, new Uint16Array(4)); })).toMatchObject({ code: "E_NATIVE_ARGUMENT" });
    expect(errorOf(() => addon.allocateArray("float64" as ArrayType, 4))).toMatchObject({ code: "E_NATIVE_ARGUMENT", why: expect.stringMatching(/float32, int32, bool, half/) as string });
    for (const length of [-1, 0.5, NaN, 2 ** 60]) expect(errorOf(() => addon.allocateArray("float32", length))).toMatchObject({ code: "E_NATIVE_ARGUMENT" });
    expect(() => new (floats.constructor as new () => unknown)()).toThrow(/made by allocateArray/);
  });

  test("arrays that are too short, and an output in an input's memory", () => {
    const x = sent(addon, new Float32Array(8)), short = sent(addon, new Float32Array(7)), row = sent(addon, new Float32Array(4)), two = sent(addon, new Float32Array(2));
    expect(errorOf(() => addon.rmsNormForward(2, 4, 0, short, row, x, two))).toMatchObject({ what: expect.stringMatching(/7 elements for argument 4, x/) as string });
    expect(errorOf(() => addon.rmsNormForward(2, 4, 0, x, row, x, two))).toMatchObject({ code: "E_NATIVE_OVERLAP" });
  });

  test("more memory than the device has is a typed error, and the device works on", () => {
    const { totalBytes } = addon.deviceInfo(0);
    const error = errorOf(() => addon.allocateArray("float32", Math.min(totalBytes / 4 + 1, 2 ** 33)));
    expect(error).toMatchObject({ code: "E_CUDA_MEMORY", why: expect.stringMatching(/free/) as string });
    expect(fetched(addon, sent(addon, Float32Array.of(1, 2)))).toEqual(Float32Array.of(1, 2));
  });

  test("an index outside its array is reported by the next wait, once", async () => {
    const x = sent(addon, Float32Array.of(1, 2, 3)), ids = sent(addon, Int32Array.of(2, 7)), y = addon.allocateArray("float32", 2);
    addon.gatherRows(3, 2, 1, x, ids, y);
    expect(errorOf(() => { addon.synchronize(); })).toMatchObject({ code: "E_NATIVE_RANGE", what: expect.stringMatching(/7/) as string, why: expect.stringMatching(/from 0 to 2/) as string });
    addon.synchronize();
    addon.gatherRows(3, 2, 1, x, ids, y);
    await expect(addon.downloadAsync(y, new Float32Array(2))).rejects.toMatchObject({ code: "E_NATIVE_RANGE" });
    addon.synchronize();
  });

  test("a second device, once one is open", () => {
    addon.openDevice(0);
    expect(errorOf(() => { addon.openDevice(1); })).toMatchObject({ code: "E_NATIVE_RANGE" });
  });
});

test("arrays that nobody reaches any more give their memory back, before the collector would care for such small objects", async () => {
  const { stdout } = await run(`
    for (let i = 0; i < 400; ++i) { addon.allocateArray("bool", 2_000_000); if (i % 20 === 0) await new Promise(setImmediate); }
    print(addon.deviceMemory());`);
  expect((JSON.parse(stdout) as { peakBytes: number }).peakBytes).toBeLessThan(400_000_000);
});

test("a thread of its own uses the same device", async () => {
  const worker = new Worker(`
    const { parentPort, workerData } = require("node:worker_threads");
    const addon = require(workerData);
    addon.openDevice(0);
    const array = addon.allocateArray("float32", 3);
    addon.upload(Float32Array.of(4, 5, 6), array);
    const to = new Float32Array(3);
    addon.downloadAsync(array, to).then(() => parentPort.postMessage(to));`, { eval: true, workerData: path });
  const answer = await new Promise((done, fail) => { worker.once("message", done); worker.once("error", fail); });
  expect(answer).toEqual(Float32Array.of(4, 5, 6));
  await worker.terminate();
});

/** Runs a program with the addon, its device open unless `isClosed`, in another process. */
async function run(program: string, variables: Record<string, string> = {}, isClosed = false): Promise<{ stdout: string }> {
  const text = `
    import { createRequire } from "node:module";
    const addon = createRequire(${JSON.stringify(import.meta.url)})(${JSON.stringify(path)});
    const print = (value) => console.log(JSON.stringify(value));
    const codeOf = (call) => { try { call(); return "none"; } catch (error) { return error.code; } };
    ${isClosed ? "" : "addon.openDevice(0);"}
    ${program}`;
  return await promisify(execFile)(process.execPath, ["--input-type=module", "-e", text], { env: { ...process.env, ...variables } });
}

describe.runIf(isEmulated)("devices that can't be used", () => {
  const look = `print({ count: addon.deviceCount(), problem: addon.deviceProblem(), open: codeOf(() => addon.openDevice(0)), allocate: codeOf(() => addon.allocateArray("float32", 1)) });`;
  const answerOf = async (variables: Record<string, string>): Promise<unknown> => JSON.parse((await run(look, variables, true)).stdout) as unknown;

  test("without a driver there is no device, and a problem says so", async () => {
    expect(await answerOf({ MOE_EMULATED_DEVICES: "0" })).toMatchObject({
      count: 0, problem: { code: "E_CUDA_DRIVER", what: "there is no NVIDIA driver on this machine" }, open: "E_CUDA_DRIVER", allocate: "E_CUDA" });
  });

  test("an old driver is named with its version", async () => {
    expect(await answerOf({ MOE_EMULATED_DRIVER: "12020" })).toMatchObject({
      count: 0, problem: { code: "E_CUDA_DRIVER", what: expect.stringMatching(/CUDA 12\.2.*CUDA 13\.0/) as string }, open: "E_CUDA_DRIVER" });
  });

  test("a GPU older than all that kernels were built for", async () => {
    expect(await answerOf({ MOE_EMULATED_CAPABILITY: "75" })).toMatchObject({ count: 1, open: "E_CUDA_ARCHITECTURE" });
  });

  test("a device that isn't there", async () => {
    const { stdout } = await run(`print(codeOf(() => addon.openDevice(3)));`, {}, true);
    expect(JSON.parse(stdout)).toBe("E_NATIVE_RANGE");
  });

  test("after a kernel broke the device, every use says that it is lost", async () => {
    const { stdout } = await run(`
      const array = addon.allocateArray("float32", 4);
      const codes = [];
      for (const call of [() => addon.fillArray(4, 0, array), () => addon.fillArray(4, 0, array), () => addon.upload(new Float32Array(4), array),
        () => addon.download(array, new Float32Array(4)), () => addon.synchronize(), () => addon.allocateArray("float32", 1e8)]) codes.push(codeOf(call));
      codes.push(codeOf(() => addon.downloadAsync(array, new Float32Array(4))));
      print({ codes, problem: addon.deviceProblem().code });`, { MOE_EMULATED_FAILURE: "1" });
    expect(JSON.parse(stdout)).toEqual({ codes: new Array(7).fill("E_CUDA_LOST"), problem: "E_CUDA_LOST" });
  });

  test("memory that is kept is given up before an array is refused", async () => {
    const { stdout } = await run(`
      const parts = Array.from({ length: 6 }, () => addon.allocateArray("bool", 40_000_000));
      const full = codeOf(() => addon.allocateArray("bool", 40_000_000));
      for (const part of parts) addon.freeArray(part);
      print({ full, whole: codeOf(() => addon.allocateArray("bool", 240_000_000)) });`, { MOE_EMULATED_MEMORY: String(256e6) });
    expect(JSON.parse(stdout)).toEqual({ full: "E_CUDA_MEMORY", whole: "none" });
  });
});

describe.runIf(isEmulated)("utilisation, memory and power", () => {
  const look = "console.log(JSON.stringify(addon.deviceUtilisation(), (key, value) => (Number.isNaN(value) ? 'NaN' : value)));";

  const folder = mkdtempSync(join(tmpdir(), "moe-lab-nvml-"));
  const library = join(folder, "libnvidia-ml.so.1");
  afterAll(() => { rmSync(folder, { recursive: true }); });

  test("are those of the management library, NaN where it doesn't know", async () => {
    await promisify(execFile)(process.env.CC ?? "gcc", ["-shared", "-fPIC", "-o", library, join(import.meta.dirname, "cudaEmulator", "fakeNvml.c")]);
    const { stdout } = await run(look, { LD_LIBRARY_PATH: folder });
    expect(JSON.parse(stdout)).toEqual({ gpuPercent: 87, memoryPercent: 40, usedBytes: 20000, totalBytes: 80000, powerWatts: 312.5, temperatureCelsius: "NaN" });
    expect(JSON.parse((await run(look, { LD_LIBRARY_PATH: folder }, true)).stdout), "before a device is open").toBeNull();
  });

  test("are null where the library can't be opened", async () => {
    writeFileSync(library, "");
    expect(JSON.parse((await run(look, { LD_LIBRARY_PATH: folder })).stdout)).toBeNull();
  });
});

test("the root mean square norm and its gradients are the host's within 1e-5 of the largest value", () => {
  const chance = new Chance(5);
  const random = (length: number): Float32Array => Float32Array.from({ length }, () => chance.int(-1000, 1000) / 500);
  for (const [rows, C] of [[1, 1], [3, 7], [70, 300], [2, 1025]]) {
    const size = rows * C;
    const [x, gain, dy] = [random(size), random(C), random(size)];
    const host = { y: new Float32Array(size), scale: new Float32Array(rows), dx: new Float32Array(size), dGain: new Float32Array(C) };
    hostAddon().rmsNormForward(rows, C, 1e-6, x, gain, host.y, host.scale);
    hostAddon().rmsNormBackward(rows, C, x, gain, host.scale, dy, null, host.dx, host.dGain);
    const [dX, dGain, dDy, y, scale, dx, dg] = [x, gain, dy, host.y, host.scale, host.dx, host.dGain].map((values) => sent(addon, new Float32Array(values)));
    addon.fillArray(size, NaN, y);
    addon.rmsNormForward(rows, C, 1e-6, dX, dGain, y, scale);
    addon.rmsNormBackward(rows, C, dX, dGain, scale, dDy, null, dx, dg);
    for (const [made, expected] of [[y, host.y], [scale, host.scale], [dx, host.dx], [dg, host.dGain]] as const) {
      const values = fetched(addon, made) as Float32Array;
      const bound = 1e-5 * Math.max(...expected.map(Math.abs), 1);
      expect(Math.max(...values.map((value, i) => Math.abs(value - expected[i])))).toBeLessThanOrEqual(bound);
    }
  }
});
