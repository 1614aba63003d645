import * as tf from "@tensorflow/tfjs-core";
import { adamwStep, globalNorm } from "./adamw.ts";
import { attention } from "./attention.ts";
import { choiceOps } from "./choiceOps.ts";
import { combine } from "./combine.ts";
import { crossEntropy } from "./crossEntropy.ts";
import { dispatch, planDispatch, withoutUnusedSlots, type DispatchPlan } from "./dispatch.ts";
import { embedding } from "./embedding.ts";
import { expertFeedForward } from "./expertFeedForward.ts";
import { feedForwardKinds, type FeedForwardKind } from "./feedForwardKinds.ts";
import { groupedMatmul } from "./groupedMatmul.ts";
import { layerNorm } from "./layerNorm.ts";
import { adamwInputs, adamwSettings, attentionInputs, everyExpert, halfMask, layerNormInputs, moeInputs, projectionInputs, rmsNormInputs, windowInSecondRow, type Inputs } from "./opInputs.ts";
import { choices, exactly, floats, integers, sizeOf, type ErrorBound, type OpDescription, type OpSample } from "./opSample.ts";
import { queryKeyValue } from "./queryKeyValue.ts";
import { addRmsNorm, rmsNorm } from "./rmsNorm.ts";
import { rotary } from "./rotary.ts";
import { balanceLoss, zLoss } from "./routerLosses.ts";
import { routeTopK } from "./routeTopK.ts";
import { toStorage } from "./toStorage.ts";

const sample = (label: string, inputs: Inputs, settings: OpSample["settings"] = {}): OpSample => ({ label, inputs, settings });

/** Copies and integers: no rounding at all. */
const exact: ErrorBound = {
  forward: { absolute: 0, relative: 0 }, gradient: { absolute: 1e-6, relative: 1e-6 },
  reason: "rows are copied; a gradient adds at most a few of them",
};

/** Bound of a sum of `terms` products in float32: each step may round by 2^-24, and roundings grow like √terms. Twice
 *  that; measured are up to a quarter of it. A gradient chains several such sums. */
const sums = (terms: number, reason: string): ErrorBound => {
  const relative = 2 * 2 ** -24 * Math.sqrt(terms);
  return { forward: { absolute: relative, relative }, gradient: { absolute: 4 * relative, relative: 4 * relative }, reason };
};

const numberOf = (setting: number | boolean | string | undefined): number => Number(setting ?? 0);

/** A plan with as many slots on a device as on the host. */
const usedPlan = (ids: tf.Tensor, numExperts: number | boolean | string | undefined): DispatchPlan => withoutUnusedSlots(planDispatch(ids, numberOf(numExperts)));

/** Every op of the toolkit: tests check each on each backend against tests/ops/definitions.ts, benchmarks time it. */
export const opTable: readonly OpDescription[] = [
  {
    name: "rmsNorm",
    samples: [
      sample("a matrix", rmsNormInputs([5, 24]), { epsilon: 1e-5 }),
      sample("one row of one channel", rmsNormInputs([1, 1]), { epsilon: 1e-5 }),
      sample("channels that fill no vector, three dimensions", rmsNormInputs([2, 3, 13]), { epsilon: 1e-3 }),
    ],
    largeSample: sample("700 rows", rmsNormInputs([700, 256]), { epsilon: 1e-5 }),
    run: ({ x, gain }, { epsilon }) => [rmsNorm(x, gain, numberOf(epsilon))],
    differentiable: ["x", "gain"], differentiableOutputs: [0],
    errorBound: sums(256, "one sum over C; the gain's gradient is one over all rows"),
    flops: ({ inputs }) => 4 * sizeOf(inputs.x.shape),
  },
  {
    name: "addRmsNorm",
    samples: [
      sample("a matrix", { ...rmsNormInputs([5, 24]), added: floats([5, 24], 84) }, { epsilon: 1e-5 }),
      sample("channels that fill no vector, three dimensions", { ...rmsNormInputs([2, 3, 13]), added: floats([2, 3, 13], 85) }, { epsilon: 1e-3 }),
    ],
    largeSample: sample("700 rows", { ...rmsNormInputs([700, 250]), added: floats([700, 250], 86) }, { epsilon: 1e-5 }),
    run: ({ x, added, gain }, { epsilon }) => Object.values(addRmsNorm(x, added, gain, numberOf(epsilon))),
    differentiable: ["x", "added", "gain"], differentiableOutputs: [0, 1],
    errorBound: sums(256, "as rmsNorm"),
    flops: ({ inputs }) => 5 * sizeOf(inputs.x.shape),
  },
  {
    name: "layerNorm",
    samples: [
      sample("a matrix", layerNormInputs([5, 24]), { epsilon: 1e-5 }),
      sample("channels that fill no vector, three dimensions", layerNormInputs([2, 3, 13]), { epsilon: 1e-3 }),
      sample("one row of one channel, which is its own mean", layerNormInputs([1, 1]), { epsilon: 1e-5 }),
    ],
    largeSample: sample("700 rows", layerNormInputs([700, 250]), { epsilon: 1e-5 }),
    run: ({ x, gain, bias }, { epsilon }) => [layerNorm(x, gain, bias, numberOf(epsilon))],
    differentiable: ["x", "gain", "bias"], differentiableOutputs: [0],
    errorBound: sums(256, "two sums over C; gradients of gain and bias are sums over all rows"),
    flops: ({ inputs }) => 7 * sizeOf(inputs.x.shape),
  },
  {
    name: "rotary",
    samples: [
      sample("from position 0", { x: floats([2, 5, 3, 8], 14) }, { base: 10000, startPosition: 0 }),
      sample("after a long cache", { x: floats([1, 2, 1, 6], 15) }, { base: 500, startPosition: 4000 }),
      sample("one pair", { x: floats([1, 1, 1, 2], 16) }, { base: 10000, startPosition: 7 }),
    ],
    largeSample: sample("8 sequences", { x: floats([8, 100, 4, 32], 17) }, { base: 10000, startPosition: 3 }),
    run: ({ x }, { base, startPosition }) => [rotary(x, { base: numberOf(base), startPosition: numberOf(startPosition) })],
    differentiable: ["x"], differentiableOutputs: [0],
    errorBound: sums(2, "two products; the angle is computed in double"),
    flops: ({ inputs }) => 3 * sizeOf(inputs.x.shape),
  },
  {
    name: "queryKeyValue",
    samples: [
      sample("fewer key than query heads", projectionInputs([5, 6, 6, 2, 4])),
      sample("one row, one column each", projectionInputs([1, 3, 1, 1, 1])),
    ],
    largeSample: sample("300 rows", projectionInputs([300, 90, 90, 30, 30])),
    run: ({ x, query, key, value }) => queryKeyValue(x, query, key, value),
    differentiable: ["x", "query", "key", "value"], differentiableOutputs: [0, 1, 2],
    errorBound: sums(300, "a sum over C; gradients are sums over N or over all columns"),
    flops: ({ inputs }) => 2 * inputs.x.shape[0] * (sizeOf(inputs.query.shape) + sizeOf(inputs.key.shape) + sizeOf(inputs.value.shape)),
  },
  {
    name: "attention",
    samples: [
      sample("as many keys as queries", attentionInputs([2, 5, 5, 2, 2, 4])),
      sample("one token", attentionInputs([1, 1, 1, 1, 1, 2])),
      sample("grouped heads", attentionInputs([1, 7, 7, 6, 2, 5])),
      sample("one query after a cache", attentionInputs([2, 1, 9, 4, 2, 8])),
      sample("several queries after a cache, one key/value head", attentionInputs([1, 3, 8, 3, 1, 6])),
      sample("rows of packed documents", { ...attentionInputs([2, 6, 6, 2, 1, 4]), firstKey: exactly([2, 6], [0, 0, 2, 2, 2, 5, 0, 1, 2, 3, 4, 5]) }),
      sample("a window of three keys after a cache", { ...attentionInputs([1, 2, 7, 4, 2, 6]), firstKey: exactly([1, 2], [3, 4]) }),
    ],
    largeSample: sample("tokens that fill no block, one row with a window", { ...attentionInputs([2, 203, 203, 4, 2, 32]), firstKey: windowInSecondRow(203, 70) }),
    run: ({ query, key, value, firstKey }) => [attention(query, key, value, firstKey)],
    differentiable: ["query", "key", "value"], differentiableOutputs: [0],
    errorBound: sums(512, "sums over D and over Tk with an exponential between them"),
    flops: ({ inputs }) => {
      const [B, Tq, Q, D] = inputs.query.shape;
      const Tk = inputs.key.shape[1];
      return 4 * B * Q * D * (Tq * (Tk - Tq) + (Tq * (Tq + 1)) / 2);
    },
  },
  {
    name: "routeTopK",
    samples: [
      sample("two of five, renormalized", { logits: floats([6, 5], 18, 3) }, { expertsPerToken: 2, renormalize: true }),
      sample("two of five as they are", { logits: floats([6, 5], 19, 3) }, { expertsPerToken: 2, renormalize: false }),
      sample("one of many", { logits: floats([3, 17], 20, 3) }, { expertsPerToken: 1, renormalize: false }),
      sample("all of them", { logits: floats([4, 3], 21, 3) }, { expertsPerToken: 3, renormalize: true }),
      sample("one token, one expert", { logits: floats([1, 1], 22) }, { expertsPerToken: 1, renormalize: true }),
    ],
    largeSample: sample("1000 tokens", { logits: floats([1000, 37], 23, 4) }, { expertsPerToken: 6, renormalize: true }),
    run: ({ logits }, { expertsPerToken, renormalize }) => {
      const route = routeTopK(logits, { expertsPerToken: numberOf(expertsPerToken), renormalize: renormalize === true });
      return [route.ids, route.weights, route.probabilities];
    },
    differentiable: ["logits"], differentiableOutputs: [1, 2],
    errorBound: sums(32, "a softmax over E"),
    flops: ({ inputs }) => 5 * sizeOf(inputs.logits.shape),
  },
  {
    name: "planDispatch",
    samples: [
      sample("two experts a token", { ids: choices(7, 2, everyExpert(4), 24) }, { numExperts: 4 }),
      sample("one token", { ids: exactly([1, 1], [2]) }, { numExperts: 3 }),
      sample("an expert without tokens", { ids: choices(5, 2, [0, 3, 4], 25) }, { numExperts: 6 }),
      sample("choices without an expert", { ids: exactly([4, 2], [2, -1, -1, -1, 0, 2, -1, 0]) }, { numExperts: 3 }),
    ],
    largeSample: sample("3000 tokens", { ids: choices(3000, 4, [-1, ...everyExpert(64)], 26) }, { numExperts: 64 }),
    run: ({ ids }, { numExperts }) => {
      const plan = usedPlan(ids, numExperts);
      return [plan.offsets, plan.slotToken, plan.tokenSlot];
    },
    differentiable: [], differentiableOutputs: [], errorBound: exact, flops: () => 0,
  },
  {
    name: "dispatch",
    samples: [
      sample("two experts a token", { x: floats([5, 6], 27), ids: choices(5, 2, everyExpert(4), 28) }, { numExperts: 4 }),
      sample("one token to all experts", { x: floats([1, 3], 29), ids: exactly([1, 3], [2, 0, 1]) }, { numExperts: 3 }),
      sample("choices without an expert", { x: floats([4, 3], 108), ids: exactly([4, 2], [2, -1, -1, -1, 0, 2, -1, 0]) }, { numExperts: 3 }),
    ],
    largeSample: sample("700 tokens", { x: floats([700, 67], 30), ids: choices(700, 3, [-1, ...everyExpert(8)], 31) }, { numExperts: 8 }),
    run: ({ x, ids }, { numExperts }) => [dispatch(x, usedPlan(ids, numExperts))],
    differentiable: ["x"], differentiableOutputs: [0], errorBound: exact, flops: () => 0,
  },
  {
    name: "groupedMatmul",
    samples: [
      sample("uneven experts", { rows: floats([6, 4], 32), weights: floats([3, 4, 5], 33), offsets: exactly([4], [0, 1, 4, 6]) }),
      sample("experts without rows", { rows: floats([2, 3], 34), weights: floats([4, 3, 2], 35), offsets: exactly([5], [0, 0, 2, 2, 2]) }),
      sample("one row", { rows: floats([1, 1], 36), weights: floats([1, 1, 1], 37), offsets: exactly([2], [0, 1]) }),
    ],
    largeSample: sample("300 rows", { rows: floats([300, 70], 38), weights: floats([4, 70, 90], 39), offsets: exactly([5], [0, 150, 150, 151, 300]) }),
    run: ({ rows, weights, offsets }) => [groupedMatmul(rows, weights, offsets)],
    differentiable: ["rows", "weights"], differentiableOutputs: [0],
    errorBound: sums(256, "one sum over I, O or the rows of an expert"),
    flops: ({ inputs }) => 2 * inputs.rows.shape[0] * inputs.weights.shape[1] * inputs.weights.shape[2],
  },
  {
    name: "combine",
    samples: [
      sample("two experts a token", { rows: floats([10, 6], 40), weights: floats([5, 2], 41), ids: choices(5, 2, everyExpert(4), 42) }, { numExperts: 4 }),
      sample("one token, one expert", { rows: floats([1, 3], 43), weights: floats([1, 1], 44), ids: exactly([1, 1], [1]) }, { numExperts: 3 }),
      sample("choices without an expert", { rows: floats([4, 3], 109), weights: floats([4, 2], 110), ids: exactly([4, 2], [2, -1, -1, -1, 0, 2, -1, 0]) }, { numExperts: 3 }),
    ],
    largeSample: sample("700 tokens", { rows: floats([2100, 67], 45), weights: floats([700, 3], 46), ids: choices(700, 3, everyExpert(8), 47) }, { numExperts: 8 }),
    run: ({ rows, weights, ids }, { numExperts }) => [combine(rows, weights, usedPlan(ids, numExperts))],
    differentiable: ["rows", "weights"], differentiableOutputs: [0],
    errorBound: sums(64, "a sum over K; the weights' gradient is one over C"),
    flops: ({ inputs }) => 2 * sizeOf(inputs.rows.shape),
  },
  {
    name: "expertFeedForward",
    samples: [
      sample("two of four experts", moeInputs([6, 5, 3, 4, 2], choices(6, 2, everyExpert(4), 48)), { kind: "swiglu" }),
      sample("one token", moeInputs([1, 4, 2, 3, 2], exactly([1, 2], [2, 0])), { kind: "swiglu" }),
      sample("experts without tokens", moeInputs([4, 3, 2, 5, 1], exactly([4, 1], [3, 1, 3, 3])), { kind: "swiglu" }),
      sample("all experts", moeInputs([3, 4, 3, 3, 3], choices(3, 3, everyExpert(3), 49)), { kind: "swiglu" }),
      sample("choices without an expert", moeInputs([4, 3, 2, 3, 2], exactly([4, 2], [2, -1, -1, -1, 0, 2, -1, 0])), { kind: "swiglu" }),
      ...feedForwardKinds.map((kind) => sample(kind, moeInputs([5, 4, 19, 3, 2], choices(5, 2, everyExpert(3), 112), kind), { kind })),
    ],
    largeSample: sample("300 tokens", moeInputs([300, 72, 40, 5, 2], choices(300, 2, [-1, 0, 1, 2, 4], 50)), { kind: "swiglu" }),
    run: ({ x, weights, ids, first, down }, { kind }) => [expertFeedForward(x, weights, planDispatch(ids, down.shape[0]), first, down, kind as FeedForwardKind)],
    differentiable: ["x", "weights", "first", "down"], differentiableOutputs: [0],
    errorBound: sums(512, "two chained sums, over C and H, and one over K or the rows of an expert"),
    flops: ({ inputs }) => {
      const [, H, C] = inputs.down.shape, columns = inputs.first.shape[2];
      return sizeOf(inputs.ids.shape) * (2 * (columns + H) * C + 3 * columns + 2 * C);
    },
  },
  {
    name: "crossEntropy",
    samples: [
      sample("every token", { logits: floats([5, 7], 51, 4), targets: integers([5], 52, 7) }),
      sample("one token, one word", { logits: floats([1, 1], 53), targets: exactly([1], [0]) }),
      sample("masked and weighted tokens", {
        logits: floats([4, 9], 54, 4), targets: exactly([4], [3, -1, 8, 0]),
        lossMask: { shape: [4], dtype: "float32", values: Float32Array.of(1, 0, 0.5, 1) },
      }),
      sample("nothing unmasked", { logits: floats([2, 3], 55), targets: exactly([2], [-1, 99]), lossMask: { shape: [2], dtype: "float32", values: new Float32Array(2) } }),
    ],
    largeSample: sample("500 tokens", { logits: floats([500, 517], 56, 8), targets: integers([500], 57, 517) }),
    run: ({ logits, targets, lossMask }) => [crossEntropy(logits, targets, lossMask)],
    differentiable: ["logits"], differentiableOutputs: [0],
    errorBound: sums(256, "a log-sum-exp over V; the mean is accumulated in double by the native kernel, pairwise by tfjs"),
    flops: ({ inputs }) => 4 * sizeOf(inputs.logits.shape),
  },
  {
    name: "balanceLoss",
    samples: [
      sample("every token", { ids: choices(6, 2, [0, 1, 2], 71), probabilities: floats([6, 3], 72) }),
      sample("masked tokens", { ids: choices(4, 1, [0, 2], 73), probabilities: floats([4, 3], 74), tokenMask: halfMask }),
      sample("choices without an expert", { ids: exactly([4, 2], [2, -1, -1, -1, 0, 2, -1, 0]), probabilities: floats([4, 3], 111), tokenMask: halfMask }),
    ],
    largeSample: sample("2000 tokens", { ids: choices(2000, 2, everyExpert(19), 75), probabilities: floats([2000, 19], 76) }),
    run: ({ ids, probabilities, tokenMask }) => [balanceLoss(ids, probabilities, tokenMask)],
    differentiable: ["probabilities"], differentiableOutputs: [0],
    errorBound: sums(512, "sums over the tokens of a part; the parts are added in double by the native kernel"),
    flops: ({ inputs }) => 2 * sizeOf(inputs.probabilities.shape),
  },
  {
    name: "zLoss",
    samples: [
      sample("every token", { logits: floats([5, 7], 77, 4) }),
      sample("masked tokens, one expert", { logits: floats([4, 1], 78, 4), tokenMask: halfMask }),
    ],
    largeSample: sample("2000 tokens", { logits: floats([2000, 19], 79, 4) }),
    run: ({ logits, tokenMask }) => [zLoss(logits, tokenMask)],
    differentiable: ["logits"], differentiableOutputs: [0],
    errorBound: sums(512, "a log-sum-exp over E; the mean is accumulated in double by the native kernel"),
    flops: ({ inputs }) => 4 * sizeOf(inputs.logits.shape),
  },
  {
    name: "embedding",
    samples: [
      sample("equal ids", { table: floats([5, 6], 58), ids: exactly([4], [3, 0, 3, 3]) }),
      sample("one id", { table: floats([1, 3], 59), ids: exactly([1], [0]) }),
    ],
    largeSample: sample("2000 ids", { table: floats([97, 70], 60), ids: integers([2000], 61, 97) }),
    run: ({ table, ids }) => [embedding(table, ids)],
    differentiable: ["table"], differentiableOutputs: [0],
    errorBound: { ...exact, gradient: { absolute: 1e-5, relative: 1e-5 } },
    flops: () => 0,
  },
  {
    name: "adamwStep",
    samples: [
      sample("a matrix", adamwInputs([5, 7]), adamwSettings),
      sample("the first step of one value", adamwInputs([1]), { ...adamwSettings, step: 1 }),
    ],
    largeSample: sample("70000 values", adamwInputs([70, 1000]), adamwSettings),
    run: (inputs, settings) => {
      const { value, firstMoment, secondMoment } = { value: tf.variable(inputs.value), firstMoment: tf.variable(inputs.firstMoment), secondMoment: tf.variable(inputs.secondMoment) };
      const { learningRate, beta1, beta2, epsilon, step, gradientScale, weightDecay } = settings as Record<string, number>;
      adamwStep([{ value, gradient: inputs.gradient, firstMoment, secondMoment, weightDecay }], { learningRate, beta1, beta2, epsilon, step, gradientScale });
      return [value, firstMoment, secondMoment];
    },
    differentiable: [], differentiableOutputs: [],
    errorBound: sums(8, "elementwise; a division by a square root"),
    flops: ({ inputs }) => 14 * sizeOf(inputs.value.shape),
  },
  {
    name: "toStorage",
    samples: [
      sample("bfloat16", { x: floats([3, 5], 68, 3) }, { isFloat16: false }),
      sample("float16", { x: floats([1], 69, 3) }, { isFloat16: true }),
    ],
    largeSample: sample("70000 values", { x: floats([70, 1000], 70, 3) }, { isFloat16: false }),
    run: ({ x }, { isFloat16 }) => [toStorage(x, isFloat16 === true ? "float16" : "bfloat16")],
    differentiable: ["x"], differentiableOutputs: [0],
    errorBound: { ...exact, forward: { absolute: 0, relative: 2 ** -8 }, reason: "bfloat16 has 8 significant bits; the gradient goes through unchanged" },
    flops: () => 0,
  },
  {
    name: "globalNorm",
    samples: [
      sample("two tensors", { a: floats([3, 4], 62), b: floats([5], 63) }),
      sample("one value", { a: floats([1], 64) }),
    ],
    largeSample: sample("70000 values", { a: floats([70, 1000], 65), b: floats([33], 66) }),
    run: (inputs) => [globalNorm(Object.values(inputs))],
    differentiable: [], differentiableOutputs: [],
    errorBound: sums(1, "accumulated in double, rounded once"),
    flops: ({ inputs }) => Object.values(inputs).reduce((sum, { shape }) => sum + 2 * sizeOf(shape), 0),
  },
  ...choiceOps,
];
