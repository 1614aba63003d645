/** Ops that move more than they compute, on tensors of 8 MB, against what plain C++ loops get out of the same memory. */
import { createRequire } from "node:module";
import * as tf from "@tensorflow/tfjs-core";
import type { NativeBackend } from "../../../toolkit/backend/storage.ts";
import { layerNorm } from "../../../toolkit/ops/layerNorm.ts";
import { floats, type SampleInput } from "../../../toolkit/ops/opSample.ts";
import { rmsNorm } from "../../../toolkit/ops/rmsNorm.ts";
import { ratioTo, report } from "../report.ts";
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

interface Bandwidth {
  /** Seconds of one pass over one set of arrays. */
  passSeconds(arrays: ArrayCount, threads: number, passes: number, list: readonly Float32Array[]): number;
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

/** What ops mostly read: a tensor that another op made. */
function outputOf(op: (x: tf.Tensor2D) => tf.Tensor2D, { values }: SampleInput): tf.Tensor2D {
  return tf.tidy(() => op(tf.tensor2d(values, shape)));
}

/** Memory of the same kind with the same values for the loops: with the tensor's own, whoever comes second finds it cached. */
function arrayLike(tensor: tf.Tensor): Float32Array {
  const values = (tf.backend() as NativeBackend).allocate("float32", tensor.size);
  values.set(tensor.dataSync<"float32">());
  return values;
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
export function benchMemoryBound(addonPath: string, threads: number, filter: string): void {
  const bandwidth = createRequire(import.meta.url)(addonPath) as Bandwidth;
  const gain = tf.tensor1d(floats([shape[1]], 3).values), bias = tf.tensor1d(floats([shape[1]], 4).values);
  for (const [state, sets, count] of [["cached", 1, passes.cached], ["in memory", coldSets, passes.cold]] as const) {
    const ops = memoryBoundOps(gain, bias).map((op) => ({ ...op, name: `${op.name}, [${shape.join(", ")}], ${state}` }));
    const chosen = ops.filter(({ name }) => name.includes(filter));
    if (chosen.length === 0) continue;
    const inputs = Array.from({ length: sets }, (_, i): Inputs => ({ x: outputOf(tf.neg, floats(shape, 2 * i, 4)), y: outputOf(tf.abs, floats(shape, 2 * i + 1, 4)) }));
    const arrays = inputs.map(({ x, y }) => [x, y, y].map(arrayLike));
    for (const op of chosen) {
      const loop = loopMeasurement(bandwidth, op.arrays, threads, arrays, count);
      const [ownMs, loopMs] = inTurns(rounds, [timed(rotating(op, inputs)), loop]);
      const rates = [ownMs.map((ms) => gigabytes(op.moved ?? op.arrays) / ms), loopMs.map((ms) => gigabytes(op.arrays) / ms)];
      report("ops", op.name, "GB/s", rates[0], ratioTo(`a C++ loop ${loops[op.arrays]}`, rates[0], rates[1], bar));
    }
    tf.dispose(inputs.map(({ x, y }) => [x, y]));
  }
}
