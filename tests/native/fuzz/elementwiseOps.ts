import * as tf from "@tensorflow/tfjs-core";
import type { Chance } from "./chance.ts";
import type { OpMaker } from "./opMakers.ts";
import { anySample, bools, floats, ints, numericTypes, partnerShape, shapeOf, type Sample, type Wildness } from "./samples.ts";

type Binary = (a: tf.Tensor, b: tf.Tensor) => tf.Tensor;
type Unary = (x: tf.Tensor) => tf.Tensor;

interface Bound {
  readonly relative?: number;
  readonly absolute?: number;
  readonly wildness?: Wildness;
  readonly dtypes?: readonly Sample["dtype"][];
}

/** Two operands that broadcast, either one the larger; mostly of one dtype. */
const binary = (run: Binary, { dtypes = numericTypes, wildness, ...bound }: Bound = {}): OpMaker => (chance) => {
  const shape = shapeOf(chance);
  const dtype = chance.pick(dtypes), other = chance.isTrue(0.9) ? dtype : chance.pick(dtypes);
  // cpu keeps large integers as they are where native makes float32 values of them
  const mixed = dtype === other ? wildness : "calm";
  const large = anySample(chance, shape, mixed, dtype);
  const small = anySample(chance, partnerShape(chance, shape), mixed, other);
  const inputs = chance.isTrue(0.5) ? [large, small] : [small, large];
  return { inputs, run: ([a, b]) => run(a, b), ...bound };
};

const unary = (run: Unary, { dtypes = ["float32"], wildness, ...bound }: Bound = {}, range?: readonly [number, number]): OpMaker => (chance) => {
  const shape = shapeOf(chance);
  const dtype = chance.pick(dtypes);
  const x = dtype === "float32" ? floats(chance, shape, wildness, range) : anySample(chance, shape, wildness, dtype);
  return { inputs: [x], run: ([tensor]) => run(tensor), ...bound };
};

/** Of integers whose result float32 can hold, where cpu keeps it. */
const smallInts = (run: Unary): OpMaker => (chance) =>
  ({ inputs: [chance.isTrue(0.5) ? floats(chance, shapeOf(chance)) : ints(chance, shapeOf(chance), -4000, 4000)], run: ([x]) => run(x) });

const all = numericTypes;
const numbers = ["float32", "int32"] as const;
/** Functions of the C library and of V8 may differ in the last place or two of float32. */
const near: Bound = { relative: 1e-6, absolute: 1e-7 };

export const elementwiseOps: Readonly<Record<string, OpMaker>> = {
  add: binary(tf.add), sub: binary(tf.sub), mul: binary(tf.mul), maximum: binary(tf.maximum), minimum: binary(tf.minimum),
  squaredDifference: binary(tf.squaredDifference), div: binary(tf.div), floorDiv: binary(tf.floorDiv), mod: binary(tf.mod),
  pow: binary(tf.pow, { relative: 2e-6, absolute: 3e-45 }), atan2: binary(tf.atan2, { ...near, dtypes: ["float32"] }),
  prelu: (chance) => {
    const shape = shapeOf(chance);
    return { inputs: [floats(chance, shape), floats(chance, partnerShape(chance, shape))], run: ([a, b]) => tf.prelu(a, b) };
  },
  equal: binary(tf.equal), notEqual: binary(tf.notEqual), greater: binary(tf.greater), greaterEqual: binary(tf.greaterEqual),
  less: binary(tf.less), lessEqual: binary(tf.lessEqual),
  logicalAnd: binary(tf.logicalAnd, { dtypes: ["bool"] }), logicalOr: binary(tf.logicalOr, { dtypes: ["bool"] }),
  logicalXor: binary(tf.logicalXor, { dtypes: ["bool"] }),
  logicalNot: unary(tf.logicalNot, { dtypes: ["bool"] }),
  addN: (chance) => {
    const shape = shapeOf(chance);
    const dtype = chance.pick(numbers);
    return { inputs: Array.from({ length: chance.int(1, 4) }, () => anySample(chance, shape, "special", dtype)), run: (tensors) => tf.addN(tensors) };
  },
  where: (chance) => {
    const shape = shapeOf(chance);
    const dtype = chance.pick(all);
    const condition = chance.isTrue(0.7) ? shape : partnerShape(chance, shape);
    return { inputs: [bools(chance, condition), anySample(chance, shape, "extreme", dtype), anySample(chance, shape, "extreme", dtype)], run: ([c, t, e]) => tf.where(c, t, e) };
  },
  cast: (chance) => {
    const dtype = chance.pick(all);
    return { inputs: [anySample(chance, shapeOf(chance))], run: ([x]) => tf.cast(x, dtype), settings: dtype };
  },
  neg: unary(tf.neg, { dtypes: all }), sign: unary(tf.sign, { dtypes: numbers }), square: smallInts(tf.square), abs: smallInts(tf.abs),
  reciprocal: unary(tf.reciprocal), relu: unary(tf.relu, { dtypes: numbers }), relu6: unary(tf.relu6, {}, [-9, 9]),
  floor: unary(tf.floor), ceil: unary(tf.ceil), round: unary(tf.round), isNaN: unary(tf.isNaN), isInf: unary(tf.isInf), isFinite: unary(tf.isFinite),
  exp: unary(tf.exp, { relative: 4e-7, absolute: 3e-45 }, [-110, 95]), log: unary(tf.log, near, [0, 50]), sqrt: unary(tf.sqrt, near, [0, 50]),
  rsqrt: unary(tf.rsqrt, { relative: 1e-6, wildness: "special" }, [0, 50]), sigmoid: unary(tf.sigmoid, { relative: 1e-6 }, [-30, 30]),
  logSigmoid: unary(tf.logSigmoid, near, [-40, 40]), softplus: unary(tf.softplus, near, [-40, 40]), tanh: unary(tf.tanh, near, [-12, 12]),
  elu: unary(tf.elu, near), selu: unary(tf.selu, near), erf: unary(tf.erf, { absolute: 4e-7 }), log1p: unary(tf.log1p, near, [-1, 9]), expm1: unary(tf.expm1, near),
  sin: unary(tf.sin, { ...near, wildness: "special" }), cos: unary(tf.cos, { ...near, wildness: "special" }), tan: unary(tf.tan, { relative: 1e-5, absolute: 1e-6, wildness: "special" }),
  asin: unary(tf.asin, near, [-1, 1]), acos: unary(tf.acos, near, [-1, 1]), atan: unary(tf.atan, near), sinh: unary(tf.sinh, near), cosh: unary(tf.cosh, near),
  asinh: unary(tf.asinh, { relative: 1e-6, absolute: 1e-6, wildness: "special" }), acosh: unary(tf.acosh, { relative: 1e-6, absolute: 1e-6, wildness: "special" }, [1, 9]), atanh: unary(tf.atanh, near, [-1, 1]),
  leakyRelu: (chance) => settingOf(chance, (x, alpha) => tf.leakyRelu(x, alpha)),
  step: (chance) => settingOf(chance, (x, alpha) => tf.step(x, alpha)),
  clipByValue: (chance) => {
    const low = chance.int(-4, 2), high = low + chance.int(0, 5);
    const x = chance.isTrue(0.5) ? floats(chance, shapeOf(chance)) : ints(chance, shapeOf(chance), -9, 9, 0.1);
    return { inputs: [x], run: ([tensor]) => tf.clipByValue(tensor, low, high), settings: { low, high } };
  },
  zerosLike: unary(tf.zerosLike, { dtypes: all }), onesLike: unary(tf.onesLike, { dtypes: all }),
  fill: (chance) => {
    const shape = shapeOf(chance), dtype = chance.pick(all), value = dtype === "float32" ? chance.pick([1.5, NaN, -0]) : chance.int(0, 1);
    return { inputs: [], run: () => tf.fill(shape, value, dtype), settings: { shape, dtype, value } };
  },
};

function settingOf(chance: Chance, run: (x: tf.Tensor, alpha: number) => tf.Tensor): ReturnType<OpMaker> {
  const alpha = chance.pick([0, 0.2, 1, -0.5]);
  return { inputs: [floats(chance, shapeOf(chance))], run: ([x]) => run(x, alpha), settings: alpha };
}
