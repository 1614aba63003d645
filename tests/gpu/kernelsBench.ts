/* Times of single kernels on a device, one JSON object a line: {bench, case, value, unit, runs, spread}, the median and half
 * of the distance between the quartiles. MOE_LAB_CUDA_ADDON names the addon; an argument "small" takes sizes for a trial. */
import { createRequire } from "node:module";
import type { DeviceArray } from "../../toolkit/backend/arrays.ts";
import type { DeviceFunctions } from "../../toolkit/backend/deviceFunctions.ts";

type Addon = DeviceFunctions & Readonly<Record<string, (...args: unknown[]) => unknown>>;
const addon = createRequire(import.meta.url)(process.env.MOE_LAB_CUDA_ADDON ?? "") as Addon;
addon.openDevice(0);

const isSmall = process.argv[2] === "small";
const [RUNS, CALLS] = isSmall ? [3, 1] : [11, 10];

function random(length: number): DeviceArray<"float32"> {
  const array = addon.allocateArray("float32", length);
  addon.upload(Float32Array.from({ length }, (_, i) => Math.sin(i * 12.9898) * 0.5), array);
  return array;
}
const empty = (length: number): DeviceArray<"float32"> => addon.allocateArray("float32", length);

/** @param work of one call, in units of 1e12 a second (TFLOP/s) or 1e9 (GB/s) */
function time(name: string, unit: "TFLOP/s" | "GB/s", work: number, call: () => void): void {
  try {
    call();
    addon.synchronize();
    const rates = Array.from({ length: RUNS }, () => {
      const started = performance.now();
      for (let i = 0; i < CALLS; ++i) call();
      addon.synchronize();
      return work * CALLS / ((performance.now() - started) / 1e3) / (unit === "GB/s" ? 1e9 : 1e12);
    }).sort((a, b) => a - b);
    const at = (share: number): number => rates[Math.floor(share * (RUNS - 1))];
    console.log(JSON.stringify({ bench: "kernels", case: name, value: round(at(0.5)), unit, runs: RUNS, spread: round((at(0.75) - at(0.25)) / 2) }));
  } catch (error) {
    console.log(JSON.stringify({ bench: "kernels", case: name, value: null, unit, failure: error instanceof Error ? error.message : String(error) }));
  }
}
const round = (value: number): number => Number(value.toPrecision(4));

const n = isSmall ? 64 : 4096;
for (const precision of ["float32", "bfloat16"] as const) {
  addon.setProductPrecision(precision);
  const [a, b, c] = [random(n * n), random(n * n), empty(n * n)];
  time(`matmul ${n}³, ${precision}`, "TFLOP/s", 2 * n ** 3, () => { addon.matmul(1, n, n, n, false, false, 1, 1, a, b, c); });
  for (const [groups, rows] of isSmall ? [[2, 64]] : [[8, 8192], [64, 65_536]]) {
    const inner = isSmall ? 32 : 1024, columns = isSmall ? 32 : 2048;
    const offsets = addon.allocateArray("int32", groups + 1);
    addon.upload(Int32Array.from({ length: groups + 1 }, (_, g) => Math.round(rows * (g / groups) ** 1.3)), offsets);
    const [x, weights, y] = [random(rows * inner), random(groups * inner * columns), empty(rows * columns)];
    time(`grouped matmul, ${groups} uneven experts, ${rows} rows, ${inner} to ${columns}, ${precision}`, "TFLOP/s", 2 * rows * inner * columns,
      () => { addon.matmulGroups(groups, rows, inner, columns, false, offsets, x, weights, y); });
    for (const array of [x, weights, y, offsets]) addon.freeArray(array);
  }
  const [B, T, heads, D] = isSmall ? [1, 64, 2, 32] : [4, 4096, 16, 64];
  const [q, k, v, y, logSumExp] = [...Array.from({ length: 3 }, () => random(B * T * heads * D)), empty(B * T * heads * D), empty(B * heads * T)];
  time(`causal attention, ${B} × ${T} tokens, ${heads} heads of ${D}, ${precision}`, "TFLOP/s", 2 * B * heads * T * T * D,
    () => { addon.attentionForward(B, T, T, heads, heads, D, q, k, v, y, logSumExp); });
}
const [rows, C] = isSmall ? [64, 128] : [65_536, 1024];
const [x, gain, y, scale] = [random(rows * C), random(C), empty(rows * C), empty(rows)];
time(`rmsNorm ${rows} × ${C}`, "GB/s", 8 * rows * C, () => { addon.rmsNormForward(rows, C, 1e-5, x, gain, y, scale); });
time(`copy of ${rows * C * 4} bytes`, "GB/s", 8 * rows * C, () => { addon.copyArray(rows * C, x, y); });
time(`erf of ${rows * C}`, "GB/s", 8 * rows * C, () => { addon.erf(rows * C, 0, 0, x, y); });
