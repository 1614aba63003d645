import * as tf from "@tensorflow/tfjs-core";
import type { Chance } from "./chance.ts";
import type { OpMaker } from "./opMakers.ts";
import { anySample, bools, floats, ints, shapeOf, type Sample } from "./samples.ts";

/** Any of a tensor's dimensions, some of them counted from the end; now and then one that it doesn't have. */
function axesOf(chance: Chance, rank: number): number[] | undefined {
  if (chance.isTrue(0.2)) return undefined;
  if (chance.isTrue(0.02)) return [rank];
  return Array.from({ length: rank }, (_, d) => d).filter(() => chance.isTrue(0.5)).map((d) => (chance.isTrue(0.3) ? d - rank : d));
}

const axisOf = (chance: Chance, rank: number): number => (rank === 0 ? 0 : chance.int(-rank, rank - 1));

type Reduce = (x: tf.Tensor, axis: number[] | undefined, keepDims: boolean) => tf.Tensor;

const reduce = (run: Reduce, sample: (chance: Chance, shape: number[]) => Sample, bound: { relative?: number; absolute?: number } = {}): OpMaker => (chance) => {
  const x = sample(chance, shapeOf(chance));
  const axis = axesOf(chance, x.shape.length), keepDims = chance.isTrue(0.5);
  return { inputs: [x], run: ([tensor]) => run(tensor, axis, keepDims), settings: { axis, keepDims }, ...bound };
};

/** Sums in another order: the tensors here have at most 90,000 elements from −3 to 3. */
const sums = { relative: 1e-5, absolute: 2e-2 };
const special = (chance: Chance, shape: number[]): Sample => anySample(chance, shape, "special");
const calm = (chance: Chance, shape: number[]): Sample => anySample(chance, shape, "calm");
const nearOne = (chance: Chance, shape: number[]): Sample =>
  chance.isTrue(0.5) ? floats(chance, shape, "calm", [0.99, 1.01]) : ints(chance, shape, -3, 3);

const indexOf = (run: (x: tf.Tensor, axis: number) => tf.Tensor): OpMaker => (chance) => {
  const shape = shapeOf(chance, [1, 5]);
  const axis = axisOf(chance, shape.length);
  const x = chance.isTrue(0.5) ? floats(chance, shape, chance.pick(["calm", "extreme"])) : ints(chance, shape, -4, 4, chance.pick([0, 0.2]));
  return { inputs: [x], run: ([tensor]) => run(tensor, axis), settings: { axis } };
};

/** Counted from the front: cpu's kernels give a wrong shape for a negative axis. */
const running = (run: (x: tf.Tensor, axis: number, exclusive: boolean, reverse: boolean) => tf.Tensor, sample: (chance: Chance, shape: number[]) => Sample,
  bound: { relative: number; absolute: number }): OpMaker => (chance) => {
  const shape = shapeOf(chance, [1, 5]);
  const axis = chance.int(0, shape.length - 1), exclusive = chance.isTrue(0.5), reverse = chance.isTrue(0.5);
  return { inputs: [sample(chance, shape)], run: ([x]) => run(x, axis, exclusive, reverse), settings: { axis, exclusive, reverse }, ...bound };
};

const flat = (chance: Chance, shape: number[]): Sample => floats(chance, shape, "calm", [-40, 40]);

export const reductionOps: Readonly<Record<string, OpMaker>> = {
  sum: reduce(tf.sum, special, sums),
  mean: reduce(tf.mean, (chance, shape) => (chance.isTrue(0.5) ? floats(chance, shape, "special") : ints(chance, shape, -50, 50)), { relative: 1e-5, absolute: 1e-4 }),
  max: reduce(tf.max, anySample), min: reduce(tf.min, anySample),
  prod: reduce(tf.prod, nearOne, { relative: 1e-3, absolute: 1e-6 }),
  any: reduce(tf.any, bools),
  all: reduce(tf.all, (chance, shape) => bools(chance, shape.includes(0) ? [1] : shape)), // cpu says that not all of nothing holds
  logSumExp: reduce(tf.logSumExp, flat, { relative: 1e-5, absolute: 1e-5 }),
  norm: reduce((x, axis, keepDims) => tf.norm(x, "euclidean", axis?.slice(0, 2), keepDims), (chance, shape) => floats(chance, shape, "calm"), { relative: 1e-4, absolute: 1e-4 }),
  argMax: indexOf(tf.argMax), argMin: indexOf(tf.argMin),
  cumsum: running(tf.cumsum, calm, { relative: 1e-4, absolute: 2e-2 }),
  cumprod: running(tf.cumprod, nearOne, { relative: 1e-3, absolute: 1e-6 }),
  softmax: (chance) => ({ inputs: [floats(chance, shapeOf(chance, [1, 5]), "special", [-40, 40])], run: ([x]) => tf.softmax(x), relative: 4e-6, absolute: 1e-30 }),
  logSoftmax: (chance) => ({ inputs: [floats(chance, shapeOf(chance, [1, 5]), "calm", [-40, 40])], run: ([x]) => tf.logSoftmax(x), relative: 1e-5, absolute: 1e-5 }),
  batchNorm: (chance) => {
    const shape = shapeOf(chance, [2, 4]);
    const channels = shape[shape.length - 1];
    const statistic = (low: number): Sample => floats(chance, [channels], "calm", [low, 3]);
    return {
      inputs: [floats(chance, shape, "special"), statistic(-3), statistic(0.1), statistic(-3), statistic(-3)], relative: 1e-5, absolute: 1e-5,
      run: ([x, mean, variance, offset, scale]) => tf.batchNorm(x as tf.Tensor2D, mean as tf.Tensor1D, variance as tf.Tensor1D, offset as tf.Tensor1D, scale as tf.Tensor1D),
    };
  },
  topk: (chance) => {
    const shape = shapeOf(chance, [1, 5]);
    const k = chance.int(0, (shape.at(-1) ?? 0) + (chance.isTrue(0.05) ? 1 : 0));
    const x = chance.isTrue(0.5) ? floats(chance, shape, "calm") : ints(chance, shape, -5, 5, chance.pick([0, 0.2]));
    return { inputs: [x], run: ([tensor]) => { const { values, indices } = tf.topk(tensor, k); return [values, indices]; }, settings: { k } };
  },
};
