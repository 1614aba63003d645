import * as tf from "@tensorflow/tfjs-core";
import type { Chance } from "./chance.ts";
import type { OpMaker } from "./opMakers.ts";
import { anySample, floats, ints, shapeOf, type Sample } from "./samples.ts";

/** A block of a tensor, now and then one that leaves it. */
function block(chance: Chance, shape: readonly number[]): { begin: number[]; size: number[] } {
  const begin = shape.map((length) => chance.int(0, length));
  const size = shape.map((length, d) => (chance.isTrue(0.1) ? -1 : chance.int(0, length - begin[d])));
  if (shape.length > 0 && chance.isTrue(0.03)) begin[chance.int(0, shape.length - 1)] += chance.int(1, 9);
  return { begin, size };
}

const sameTypes = (chance: Chance, shapes: readonly number[][]): Sample[] => {
  const { dtype } = anySample(chance, []);
  return shapes.map((shape) => anySample(chance, shape, "extreme", dtype));
};

/** Places in the first `depth` dimensions, now and then one outside. */
function places(chance: Chance, shape: readonly number[], count: number, depth: number): Sample {
  const values = Int32Array.from({ length: count * depth }, (_, i) => chance.int(0, Math.max(0, shape[i % depth] - 1)));
  if (values.length > 0 && chance.isTrue(0.05)) values[chance.int(0, values.length - 1)] = chance.pick([-1, 99, 2 ** 31 - 1, -(2 ** 31)]);
  return { shape: [count, depth], dtype: "int32", values };
}

function scatterInputs(chance: Chance): { shape: number[]; indices: Sample; updates: Sample } {
  const shape = shapeOf(chance, [1, 4]).map((length) => Math.max(1, length)); // no index names a place in a tensor of none
  const depth = chance.int(1, shape.length), count = chance.int(1, 9);
  const dtype = chance.pick(["float32", "int32"] as const);
  return { shape, indices: places(chance, shape, count, depth), updates: anySample(chance, [count, ...shape.slice(depth)], "calm", dtype) };
}

export const layoutOps: Readonly<Record<string, OpMaker>> = {
  transpose: (chance) => {
    const shape = shapeOf(chance);
    const perm = chance.order(shape.length);
    return { inputs: [anySample(chance, shape)], run: ([x]) => tf.transpose(x, perm), settings: { perm } };
  },
  slice: (chance) => {
    const shape = shapeOf(chance, [1, 6]);
    const { begin, size } = block(chance, shape);
    return { inputs: [anySample(chance, shape)], run: ([x]) => tf.slice(x, begin, size), settings: { begin, size } };
  },
  stridedSlice: (chance) => {
    const shape = shapeOf(chance, [1, 4]);
    const begin = shape.map((length) => chance.int(-length - 1, length + 1)), end = shape.map((length) => chance.int(-length - 1, length + 1));
    const strides = shape.map(() => chance.pick([1, 1, 2, 3, -1, -2]));
    const [beginMask, endMask] = [chance.int(0, 3), chance.int(0, 3)];
    return { inputs: [anySample(chance, shape)], run: ([x]) => tf.stridedSlice(x, begin, end, strides, beginMask, endMask), settings: { begin, end, strides, beginMask, endMask } };
  },
  split: (chance) => {
    const shape = shapeOf(chance, [1, 5]);
    const axis = chance.int(0, shape.length - 1), first = chance.int(0, shape[axis]);
    return { inputs: [anySample(chance, shape)], run: ([x]) => tf.split(x, [first, shape[axis] - first], axis), settings: { axis, first } };
  },
  concat: (chance) => {
    const shape = shapeOf(chance, [1, 5]);
    const axis = chance.int(0, shape.length - 1);
    const shapes = Array.from({ length: chance.int(1, 4) }, () => shape.with(axis, chance.int(0, 5)));
    return { inputs: sameTypes(chance, shapes), run: (tensors) => tf.concat(tensors, axis), settings: { axis } };
  },
  stack: (chance) => {
    const shape = shapeOf(chance, [0, 5]);
    const axis = chance.int(-shape.length - 1, shape.length);
    return { inputs: sameTypes(chance, Array.from({ length: chance.int(1, 4) }, () => shape)), run: (tensors) => tf.stack(tensors, axis), settings: { axis } };
  },
  unstack: (chance) => {
    const shape = shapeOf(chance, [1, 4]).map((length) => Math.min(length, 40));
    const axis = chance.int(-shape.length, shape.length - 1);
    return { inputs: [anySample(chance, shape)], run: ([x]) => tf.unstack(x, axis), settings: { axis } };
  },
  pad: (chance) => {
    const shape = shapeOf(chance, [0, 5]);
    const paddings = shape.map((): [number, number] => [chance.int(0, 2), chance.int(0, 2)]);
    const value = chance.int(0, 1);
    return { inputs: [anySample(chance, shape)], run: ([x]) => tf.pad(x, paddings, value), settings: { paddings, value } };
  },
  mirrorPad: (chance) => {
    const shape = shapeOf(chance, [1, 4]);
    const mode = chance.pick(["reflect", "symmetric"] as const);
    const paddings = shape.map((length): [number, number] => [chance.int(0, Math.min(2, Math.max(0, length - 1))), chance.int(0, Math.min(2, Math.max(0, length - 1)))]);
    return { inputs: [anySample(chance, shape)], run: ([x]) => tf.mirrorPad(x, paddings, mode), settings: { paddings, mode } };
  },
  tile: (chance) => {
    const shape = shapeOf(chance, [1, 5]);
    const reps = shape.map(() => chance.pick([1, 1, 2, 3, 0]));
    return { inputs: [anySample(chance, shape)], run: ([x]) => tf.tile(x, reps), settings: { reps } };
  },
  reverse: (chance) => {
    const shape = shapeOf(chance);
    const axis = shape.map((_, d) => d).filter(() => chance.isTrue(0.5));
    return { inputs: [anySample(chance, shape)], run: ([x]) => tf.reverse(x, axis), settings: { axis } };
  },
  reshape: (chance) => {
    const shape = shapeOf(chance);
    return { inputs: [anySample(chance, shape)], run: ([x]) => tf.neg(tf.cast(tf.reshape(x, [...shape, 1].toReversed()), "float32")) };
  },
  broadcastTo: (chance) => {
    const shape = shapeOf(chance, [1, 5]);
    return { inputs: [anySample(chance, shape.map((length) => (chance.isTrue(0.5) ? 1 : length)))], run: ([x]) => tf.broadcastTo(x, shape), settings: { shape } };
  },
  gather: (chance) => {
    const shape = shapeOf(chance, [1, 4]);
    const axis = chance.int(0, shape.length - 1), batchDims = chance.isTrue(0.3) ? chance.int(0, axis) : 0;
    const indices = ints(chance, [...shape.slice(0, batchDims), ...shapeOf(chance, [0, 2])], 0, Math.max(0, shape[axis] - (chance.isTrue(0.95) ? 1 : 0)));
    return { inputs: [anySample(chance, shape), indices], run: ([x, i]) => tf.gather(x, i, axis, batchDims), settings: { axis, batchDims } };
  },
  gatherND: (chance) => {
    const shape = shapeOf(chance, [1, 4]);
    const indices = places(chance, shape, chance.int(1, 9), chance.int(1, shape.length));
    return { inputs: [anySample(chance, shape), indices], run: ([x, i]) => tf.gatherND(x, i) };
  },
  scatterND: (chance) => {
    const { shape, indices, updates } = scatterInputs(chance);
    return { inputs: [indices, updates], run: ([i, u]) => tf.scatterND(i, u, shape), settings: { shape }, absolute: 1e-5, relative: 1e-5 };
  },
  tensorScatterUpdate: (chance) => {
    const { shape, indices, updates } = scatterInputs(chance);
    return {
      inputs: [anySample(chance, shape, "extreme", updates.dtype), indices, updates],
      run: ([x, i, u]) => tf.tensorScatterUpdate(tf.add(x, tf.zerosLike(x)), i, u), // cpu overwrites its input
    };
  },
  unsortedSegmentSum: (chance) => {
    const shape = shapeOf(chance, [1, 4]);
    const x = chance.isTrue(0.5) ? floats(chance, shape, "calm") : ints(chance, shape, -50, 50);
    return { inputs: [x, ints(chance, [shape[0]], -1, 6)], run: ([t, ids]) => tf.unsortedSegmentSum(t, ids as tf.Tensor1D, 5), relative: 1e-5, absolute: 1e-2 };
  },
  oneHot: (chance) => {
    const depth = chance.int(1, 7), dtype = chance.pick(["float32", "int32", "bool"] as const);
    const [on, off] = [chance.int(0, 1), chance.int(0, 1)];
    return { inputs: [ints(chance, shapeOf(chance, [0, 4]), -1, 8)], run: ([i]) => tf.oneHot(i, depth, on, off, dtype), settings: { depth, dtype, on, off } };
  },
  unique: (chance) => {
    const shape = chance.isTrue(0.7) ? shapeOf(chance, [1, 1]) : shapeOf(chance, [2, 3]);
    const axis = chance.int(0, shape.length - 1);
    const x = chance.isTrue(0.5) ? ints(chance, shape, -5, 5) : anySample(chance, shape);
    return { inputs: [x], run: ([t]) => { const { values, indices } = tf.unique(t, axis); return [values, indices]; }, settings: { axis } };
  },
  spaceToBatchND: (chance) => {
    const [b, h, w] = [chance.int(1, 2), chance.int(1, 3), chance.int(1, 3)];
    const shape = [chance.int(1, 3), 4, 4, chance.int(1, 3)];
    const x = chance.isTrue(0.5) ? anySample(chance, shape) : anySample(chance, [b * 4, h, w, 2]);
    const isSpace = x.shape === shape;
    return { inputs: [x], run: ([t]) => (isSpace ? tf.spaceToBatchND(t, [2, 2], [[0, 0], [2, 0]]) : tf.batchToSpaceND(t, [2, 2], [[0, 0], [0, 1]])) };
  },
};
