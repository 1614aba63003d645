/** Ops that move more than they compute, on tensors of 8 MB, against what plain C++ loops get out of the same memory. */
import { createRequire } from "node:module";
import * as tf from "@tensorflow/tfjs-core";
import type { NativeBackend } from "../../../toolkit/backend/storage.ts";
import { layerNorm } from "../../../toolkit/ops/layerNorm.ts";
import { floats } from "../../../toolkit/ops/opSample.ts";
import { rmsNorm } from "../../../toolkit/ops/rmsNorm.ts";
import { ratioTo, report, summary } from "../report.ts";
import { madeByKernel } from "./inputs.ts";
import { inTurns, timed, type Measurement } from "./timing.ts";

/** 8 MB of float32. */
const shape: [number, number] = [2048, 1024];
const elements = shape[0] * shape[1];
const rounds = 15;
const bar = 0.8;
/** Together they are several times the largest cache, so that each pass finds its tensors in memory. */
const coldSets = 12;
/** Passes of a C++ loop in one measurement, several milliseconds. */
const passes = { cached: 64, cold: 24 };

/** Arrays that an op reads and writes: what the C++ loop of as many arrays does. 1 reads, 2 copies, 3 adds two into a third. */
type ArrayCount = 1 | 2 | 3;
const loops: Record<ArrayCount, string> = { 1: "reading", 2: "copying", 3: "adding two into a third" };

interface MemoryBoundOp {
  readonly name: string;
  readonly arrays: ArrayCount;
  /** Arrays that it reads and writes in all, where that is more than once each. */
  readonly moved?: number;
  readonly run: (x: tf.Tensor2D, y: tf.Tensor2D) => tf.Tensor;
}

/** The addon of bandwidth.cpp. */
export interface Bandwidth {
  /** Seconds of one pass over one set of arrays. */
  passSeconds(arrays: ArrayCount, threads: number, passes: number, list: readonly Float32Array[]): number;
}

export function loadBandwidth(addonPath: string): Bandwidth {
  return createRequire(import.meta.url)(addonPath) as Bandwidth;
}

/** Ops on x, on x and y, or on x and the channels given here. */
function memoryBoundOps(gain: tf.Tensor1D, bias: tf.Tensor1D): readonly MemoryBoundOp[] {
  const rmsNormGradient = tf.grad((x: tf.Tensor) => rmsNorm(x, gain));
  const layerNormGradient = tf.grad((x: tf.Tensor) => layerNorm(x, gain, bias));
  return [
    { name: "add", arrays: 3, run: (x, y) => tf.add(x, y) },
    { name: "multiply by a row", arrays: 2, run: (x) => tf.mul(x, gain) },
    { name: "relu", arrays: 2, run: (x) => tf.relu(x) },
    { name: "exp", arrays: 2, run: (x) => tf.exp(x) },
    { name: "log", arrays: 2, run: (_, y) => tf.log(y) },
    { name: "sigmoid", arrays: 2, run: (x) => tf.sigmoid(x) },
    { name: "tanh", arrays: 2, run: (x) => tf.tanh(x) },
    { name: "sum of all", arrays: 1, run: (x) => tf.sum(x) },
    { name: "sum of rows", arrays: 1, run: (x) => tf.sum(x, 1) },
    { name: "sum of columns", arrays: 1, run: (x) => tf.sum(x, 0) },
    { name: "largest of rows", arrays: 1, run: (x) => tf.max(x, 1) },
    { name: "softmax", arrays: 2, run: (x) => tf.softmax(x) },
    { name: "logSoftmax", arrays: 2, run: (x) => tf.logSoftmax(x) },
    { name: "rmsNorm", arrays: 2, run: (x) => rmsNorm(x, gain) },
    { name: "layerNorm", arrays: 2, run: (x) => layerNorm(x, gain, bias) },
    { name: "rmsNorm, forward and backward", arrays: 3, moved: 5, run: (x, y) => rmsNormGradient(x, y) },
    { name: "layerNorm, forward and backward", arrays: 3, moved: 5, run: (x, y) => layerNormGradient(x, y) },
    { name: "transpose", arrays: 2, run: (x) => tf.transpose(x) },
  ];
}

/** Of so many arrays, in units that make GB/s of a time in milliseconds. */
const gigabytes = (arrays: number): number => (4 * elements * arrays) / 1e6;

/** Filled memory of the kind that tensors have, for the loops: with the tensors' own, whoever comes second finds it cached. */
function ownArray(): Float32Array {
  return (tf.backend() as NativeBackend).allocate("float32", elements).fill(1);
}

const ownSets = (sets: number): Float32Array[][] => Array.from({ length: sets }, () => [ownArray(), ownArray(), ownArray()]);

/** GB/s of memory, where two arrays are read and one is written. */
export function memoryRate(bandwidth: Bandwidth, threads: number): number {
  const [ms] = inTurns(rounds, [loopMeasurement(bandwidth, 3, threads, ownSets(coldSets), passes.cold)]);
  return summary(ms.map((time) => gigabytes(3) / time)).value;
}

interface Inputs {
  readonly x: tf.Tensor2D;
  readonly y: tf.Tensor2D;
}

/** Runs an op on each set in turn. As many outputs as there are sets, but one, are kept: the next output's memory is then
 *  that of the oldest, as with the C++ loop. */
function rotating(op: MemoryBoundOp, sets: readonly Inputs[]): () => void {
  const kept: tf.Tensor[] = [];
  let next = 0;
  return () => {
    const { x, y } = sets[next];
    next = (next + 1) % sets.length;
    kept.push(tf.tidy(() => op.run(x, y)));
    if (kept.length >= sets.length) kept.shift()?.dispose();
  };
}

function loopMeasurement(bandwidth: Bandwidth, arrays: ArrayCount, threads: number, sets: readonly Float32Array[][], count: number): Measurement {
  const list = sets.flatMap((set) => set.slice(3 - arrays));
  return () => 1000 * bandwidth.passSeconds(arrays, threads, count, list);
}

/** One line for each op whose name holds `filter`, with its tensors in the cache and in memory. */
export function benchMemoryBound(bandwidth: Bandwidth, threads: number, filter: string): void {
  const [gain, bias] = [floats([shape[1]], 3), floats([shape[1]], 4)].map((input) => madeByKernel(input) as tf.Tensor1D);
  for (const [state, sets, count] of [["cached", 1, passes.cached], ["in memory", coldSets, passes.cold]] as const) {
    const ops = memoryBoundOps(gain, bias).map((op) => ({ ...op, name: `${op.name}, [${shape.join(", ")}], ${state}` }));
    const chosen = ops.filter(({ name }) => name.includes(filter));
    if (chosen.length === 0) continue;
    const inputs = Array.from({ length: sets }, (_, i): Inputs => {
      const [x, y] = [madeByKernel(floats(shape, 2 * i, 4)), tf.tidy(() => tf.abs(tf.tensor(floats(shape, 2 * i + 1, 4).values, shape)))];
      return { x: x as tf.Tensor2D, y: y as tf.Tensor2D };
    });
    const arrays = ownSets(sets);
    for (const op of chosen) {
      const [ownMs, loopMs] = inTurns(rounds, [timed(rotating(op, inputs)), loopMeasurement(bandwidth, op.arrays, threads, arrays, count)]);
      const [own, loop] = [ownMs.map((ms) => gigabytes(op.moved ?? op.arrays) / ms), loopMs.map((ms) => gigabytes(op.arrays) / ms)];
      report("ops", op.name, "GB/s", own, ratioTo(`a C++ loop ${loops[op.arrays]}`, own, loop, state === "cached" ? undefined : bar));
    }
    tf.dispose(inputs.map(({ x, y }) => [x, y]));
  }
}
