/** Rate of matrix products and of the elementwise kernels around them, and the cost of one small op. Prints one JSON
 *  object a line: {bench, case, value, unit, runs, spread}, value being the median of the runs, spread the distance of
 *  their quartiles.
 *  `npm run bench -- matmul` */
import { performance } from "node:perf_hooks";
import * as tf from "@tensorflow/tfjs-core";
import { chooseBackend } from "../../toolkit/backend/choose.ts";
import { report } from "./report.ts";

const runs = 15;
const shortestRunMs = 4;

/** Milliseconds of one call, from runs long enough to measure. */
function timesMs(run: () => tf.Tensor): number[] {
  const once = (): void => run().dispose();
  let repeats = 1;
  const time = (): number => {
    const startedMs = performance.now();
    for (let i = 0; i < repeats; i += 1) once();
    return performance.now() - startedMs;
  };
  for (let elapsedMs = time(); elapsedMs < shortestRunMs; elapsedMs = time()) repeats *= 2;
  return Array.from({ length: runs }, () => time() / repeats);
}

const products: [number, number, number, boolean][] = [
  [128, 512, 512, false], [512, 512, 512, false], [512, 512, 512, true], [1024, 1024, 1024, false], [64, 64, 256, false], [2048, 8, 256, false],
  [1, 1024, 512, false], [1, 1024, 512, true],
];

const elementwise: [string, number, (x: tf.Tensor2D, y: tf.Tensor2D) => tf.Tensor][] = [
  ["add", 12, (x, y) => tf.add(x, y)], ["multiply by a row", 8, (x, y) => tf.mul(x, tf.slice(y, [0, 0], [1, 256]))], ["exp", 8, (x) => tf.exp(x)],
  ["sigmoid", 8, (x) => tf.sigmoid(x)], ["sum of rows", 4, (x) => tf.sum(x, 1)], ["sum of columns", 4, (x) => tf.sum(x, 0)],
  ["softmax", 8, (x) => tf.softmax(x)], ["transpose", 8, (x) => tf.transpose(x)],
];

const backend = await chooseBackend();
report("matmul", `threads of ${backend.name} (${backend.reason})`, "threads", [backend.threads]);
for (const [m, n, k, transposeB] of products) {
  const [a, b] = [tf.randomUniform([m, k], -1, 1), tf.randomUniform(transposeB ? [n, k] : [k, n], -1, 1)];
  const name = `[${m}, ${k}] × ${transposeB ? `[${n}, ${k}]ᵀ` : `[${k}, ${n}]`}`;
  report("matmul", name, "GFLOP/s", timesMs(() => tf.matMul(a, b, false, transposeB)).map((ms) => (2 * m * n * k) / ms / 1e6));
}
const shape: [number, number] = [2048, 256];
const [x, y] = [tf.randomUniform<tf.Rank.R2>(shape, -1, 1), tf.randomUniform<tf.Rank.R2>(shape, -1, 1)];
for (const [name, bytesPerElement, op] of elementwise)
  report("matmul", `${name}, [2048, 256]`, "GB/s", timesMs(() => tf.tidy(() => op(x, y))).map((ms) => (2048 * 256 * bytesPerElement) / ms / 1e6));
const small = tf.tensor1d([1, 2, 3, 4]);
report("matmul", "add of 4 values", "µs", timesMs(() => tf.add(small, small)).map((ms) => ms * 1000));
