import type { HostArray } from "../../toolkit/backend/arrays.ts";
import { specialFloats, type Chance } from "./fuzz/chance.ts";

/** An array that a function writes; with `values`, one that it reads, too. */
export interface Output { readonly output: HostArray; readonly isRead: boolean }
/** A typed array that stays in the host's memory: layouts, settings. */
export interface Setting { readonly setting: HostArray | Float64Array }
/** Input arrays are plain typed arrays. */
export type Argument = number | boolean | null | HostArray | Output | Setting | readonly (HostArray | Output)[];

/** How far a function on the device may be from the host's, and random arguments for it. Integers have to be equal. */
export interface KernelCase {
  /** |device − host| ≤ error · (|host| + scale of the case), for float outputs */
  readonly error: number;
  readonly make: (chance: Chance) => Made;
  /** multiplies with tensor cores where the precision says so: then the error is that of the narrow type */
  readonly isProduct?: true;
}
export interface Made { readonly args: readonly Argument[]; readonly scale: number }

/** Around the sizes of warps, blocks and vectors. */
const sizes = [1, 2, 3, 4, 5, 7, 8, 16, 31, 32, 33, 64, 65, 127, 130, 256, 257, 1024, 1030];
const few = (chance: Chance, most = 12): number => (chance.isTrue(0.03) ? 0 : chance.int(1, most));
const size = (chance: Chance, most = 1030): number => (chance.isTrue(0.03) ? 0 : chance.pick(sizes.filter((one) => one <= most)));

const floats = (chance: Chance, length: number, low = -2, high = 2): Float32Array => Float32Array.from({ length }, () => low + (high - low) * chance.next());
const ties = (chance: Chance, length: number): Float32Array => Float32Array.from({ length }, () => chance.int(-4, 4) / 2);
/** Scores of experts or tokens: any, many of them equal, or with NaN, infinities and the like. */
const scores = (chance: Chance, length: number): Float32Array => {
  const values = chance.isTrue(0.5) ? floats(chance, length, -6, 6) : ties(chance, length);
  return chance.isTrue(0.7) ? values : values.map((value) => (chance.isTrue(0.05) ? chance.pick(specialFloats) : value));
};
const ints = (chance: Chance, length: number, low: number, high: number): Int32Array => Int32Array.from({ length }, () => chance.int(low, high));
const anyInts = (chance: Chance, length: number): Int32Array => Int32Array.from({ length }, () => (chance.isTrue(0.1) ? chance.pick([2 ** 31 - 1, -(2 ** 31), 0]) : chance.int(-(2 ** 20), 2 ** 20)));
const bools = (chance: Chance, length: number): Uint8Array => Uint8Array.from({ length }, () => chance.int(0, 1));
const halves = (chance: Chance, length: number): Uint16Array => Uint16Array.from({ length }, () => chance.int(0, 65535));
const anyOf = (chance: Chance): ((length: number) => HostArray) =>
  chance.pick([(length: number) => floats(chance, length), (length: number) => anyInts(chance, length), (length: number) => bools(chance, length)]);

const out = (length: number): Output => ({ output: new Float32Array(length), isRead: false });
const outInts = (length: number): Output => ({ output: new Int32Array(length), isRead: false });
const outBools = (length: number): Output => ({ output: new Uint8Array(length), isRead: false });
const outHalves = (length: number): Output => ({ output: new Uint16Array(length), isRead: false });
const outLike = (values: HostArray, length: number): Output => ({ output: new (values.constructor as new (length: number) => HostArray)(length), isRead: false });
const updated = (values: HostArray): Output => ({ output: values, isRead: true });
const setting = (values: HostArray | Float64Array): Setting => ({ setting: values });
const made = (args: readonly Argument[], scale = 1): Made => ({ args, scale });

type Values = (chance: Chance, length: number) => HostArray;

/** Two operands over a shape, each repeated along some of its dimensions. */
function broadcast(chance: Chance, values: Values, output: (length: number) => Output): Made {
  const rank = chance.int(1, 4);
  const shape = Array.from({ length: rank }, () => size(chance, rank < 3 ? 257 : 8));
  const operand = (): { strides: number[]; values: HostArray } => {
    let step = 1;
    const strides = shape.map(() => 0);
    for (let d = rank - 1; d >= 0; --d) {
      if (chance.isTrue(0.3)) continue;
      strides[d] = step;
      step *= shape[d];
    }
    return { strides, values: values(chance, Math.max(step, 1)) };
  };
  const [a, b] = [operand(), operand()];
  return made([rank, setting(Int32Array.from([...shape, ...a.strides, ...b.strides])), a.values, b.values, output(shape.reduce((x, y) => x * y, 1))]);
}

const all = (names: string, one: KernelCase): Record<string, KernelCase> => Object.fromEntries(names.split(" ").map((name) => [name, one]));
const exact = (make: KernelCase["make"]): KernelCase => ({ error: 0, make });
const near = (error: number, make: KernelCase["make"]): KernelCase => ({ error, make });
const floatPair = (low: number, high: number) => (chance: Chance): Made => broadcast(chance, (c, n) => floats(c, n, low, high), out);
const mapped = (values: Values, output: (length: number) => Output) => (chance: Chance): Made => {
  const n = size(chance) * chance.pick([1, 1, 9]);
  return made([n, values(chance, n), output(n)]);
};
const unary = (low: number, high: number) => (chance: Chance): Made => {
  const n = size(chance) * chance.pick([1, 1, 9]);
  return made([n, -0.5, 0.75, floats(chance, n, low, high), out(n)]);
};
const math = (low: number, high: number): KernelCase["make"] => mapped((chance, n) => floats(chance, n, low, high), out);

/** outer, length, inner and how many elements they are. */
function middle(chance: Chance, most = 600): { sizes: number[]; whole: number; reduced: number } {
  const inner = chance.pick([1, 1, 2, 33]);
  // a few long ones, which several blocks share
  const isLong = chance.isTrue(0.2), outer = isLong ? 1 : few(chance, 40), longest = isLong ? 20_000 : most;
  const length = chance.int(1, Math.max(1, Math.min(longest, Math.floor(20_000 / inner / Math.max(outer, 1)))));
  return { sizes: [outer, length, inner], whole: outer * length * inner, reduced: outer * inner };
}
const reduced = (values: Values, output: (length: number) => Output, ...settings: number[]) => (chance: Chance): Made => {
  const { sizes: given, whole, reduced: left } = middle(chance);
  return made([...given, ...settings, values(chance, whole), output(left)], Math.sqrt(given[1]) * 4);
};
const running = (values: Values, output: (length: number) => Output) => (chance: Chance): Made => {
  const { sizes: given, whole } = middle(chance);
  return made([...given, chance.isTrue(0.5), chance.isTrue(0.5), values(chance, whole), output(whole)], Math.sqrt(given[1]) * 4);
};

/** A plan as planDispatch makes one: each choice of an expert has a slot, in the order of experts, then tokens. */
interface Plan { offsets: Int32Array; slotToken: Int32Array; tokenSlot: Int32Array; ids: Int32Array }
function plan(chance: Chance, N: number, K: number, E: number): Plan {
  const ids = ints(chance, N * K, 0, E - 1);
  const offsets = new Int32Array(E + 1), slotToken = new Int32Array(N * K), tokenSlot = new Int32Array(N * K).fill(-1);
  let slot = 0;
  for (let e = 0; e < E; ++e) {
    for (let i = 0; i < N * K; ++i) {
      if (ids[i] !== e) continue;
      slotToken[slot] = Math.floor(i / K);
      tokenSlot[i] = slot++;
    }
    offsets[e + 1] = slot;
  }
  return { offsets, slotToken, tokenSlot, ids };
}

function offsetsOf(chance: Chance, groups: number, rows: number): Int32Array {
  const cuts = Array.from({ length: Math.max(groups - 1, 0) }, () => chance.int(0, rows)).sort((a, b) => a - b);
  return groups === 0 ? Int32Array.of(0) : Int32Array.from([0, ...cuts, rows]);
}

/** Sizes of a window that moves over an image, and those of the arrays. */
function windows(chance: Chance): { head: Argument[]; batch: number; channels: number; image: number; positions: number; filter: number } {
  const batch = chance.int(1, 3), channels = chance.pick([1, 2, 3, 8]);
  const axis = (): number[] => {
    const length = chance.int(1, 9), filter = chance.int(1, Math.min(3, length)), stride = chance.int(1, 2), dilation = chance.int(1, 2), padding = chance.int(0, 2);
    const made = Math.max(0, Math.floor((length + 2 * padding - (filter - 1) * dilation - 1) / stride) + 1);
    return [length, made, filter, stride, dilation, padding];
  };
  const [rows, columns] = [axis(), axis()];
  return { head: [batch, channels, setting(Int32Array.from([...rows, ...columns]))], batch, channels, image: batch * rows[0] * columns[0],
    positions: batch * rows[1] * columns[1], filter: rows[2] * columns[2] };
}

const attention = (chance: Chance, isBackward: boolean): Made => {
  const B = chance.int(1, 2), G = chance.int(1, 2), Q = G * chance.int(1, 2), D = chance.pick([8, 16, 32, 64]);
  const Tq = chance.pick([1, 3, 17, 40]), Tk = Tq + chance.pick([0, 0, 5, 30]);
  const [queries, keys] = [B * Tq * Q * D, B * Tk * G * D];
  const firstKey = chance.isTrue(0.5) ? null : Int32Array.from({ length: B * Tq }, (_, i) => chance.int(0, (i % Tq) + Tk - Tq));
  const inputs = [floats(chance, queries), floats(chance, keys), floats(chance, keys)];
  const head = [B, Tq, Tk, Q, G, D];
  if (!isBackward) return made([...head, ...inputs, out(queries), out(B * Q * Tq), firstKey]);
  return made([...head, ...inputs, floats(chance, queries), floats(chance, B * Q * Tq, 5, 7), floats(chance, queries), out(queries), out(keys), out(keys), firstKey], 16);
};

const experts = (chance: Chance, isBackward: boolean): Made => {
  const kind = chance.int(0, 7), N = chance.pick([1, 5, 40]), E = chance.pick([1, 3, 8]), K = chance.int(1, Math.min(E, 2)), C = chance.pick([4, 8, 36]), H = chance.pick([4, 16, 20]);
  const { offsets, slotToken, tokenSlot } = plan(chance, N, K, E), S = N * K, columns = kind <= 3 ? 2 * H : H;
  const head = [kind, N, K, C, H, E, S, offsets, slotToken, tokenSlot, floats(chance, N * C, -1, 1), floats(chance, N * K, 0, 1), floats(chance, E * C * columns, -1, 1), floats(chance, E * H * C, -1, 1)];
  if (!isBackward) return made([...head, out(S * columns), out(N * C)], 8);
  return made([...head, floats(chance, N * C, -1, 1), updated(floats(chance, S * columns, -1, 1)), out(N * C), out(N * K), out(E * C * columns), out(E * H * C)], 32);
};

const mask = (chance: Chance, N: number): Float32Array => Float32Array.from({ length: N }, () => chance.int(0, 1));

export const cases: Readonly<Record<string, KernelCase>> = {
  ...all("add subtract multiply divide maximum minimum squaredDifference prelu", near(1e-6, floatPair(-3, 3))),
  power: near(1e-5, floatPair(0.1, 3)), atan2: near(1e-6, floatPair(-3, 3)), modulo: near(1e-6, floatPair(0.5, 9)),
  ...all("addInts subtractInts multiplyInts maximumInts minimumInts squaredDifferenceInts floorDivideInts moduloInts", exact((chance) => broadcast(chance, anyInts, outInts))),
  ...all("equal notEqual greater greaterEqual less lessEqual", exact((chance) => broadcast(chance, ties, outBools))),
  ...all("equalInts notEqualInts greaterInts greaterEqualInts lessInts lessEqualInts", exact((chance) => broadcast(chance, (c, n) => ints(c, n, -2, 2), outBools))),
  ...all("logicalAnd logicalOr equalBytes notEqualBytes greaterBytes greaterEqualBytes lessBytes lessEqualBytes", exact((chance) => broadcast(chance, bools, outBools))),
  ...all("negate square relu relu6 elu leakyRelu abs step clip floor ceil reciprocal sqrt exp log rsqrt sigmoid tanh sin cos erf", near(2e-6, unary(-4, 4))),
  ...all("log1p expm1", near(2e-6, unary(-0.99, 3))),
  ...all("negateInts absInts squareInts signInts reluInts clipInts", exact((chance) => { const n = size(chance); return made([n, -5, 100, anyInts(chance, n), outInts(n)]); })),
  ...all("tan atan sinh cosh asinh softplus selu round sign", near(1e-5, math(-1.5, 1.5))),
  ...all("asin acos atanh", near(1e-5, math(-0.99, 0.99))), acosh: near(1e-5, math(1.01, 9)),
  ...all("isNaN isInf isFinite", exact(mapped((chance, n) => Float32Array.from({ length: n }, () => chance.pick([0, 1, NaN, Infinity, -Infinity])), outBools))),
  floatsToBytes: exact(mapped(ties, outBools)), intsToBytes: exact(mapped((chance, n) => ints(chance, n, -1, 1), outBools)), bytesToFloats: exact(mapped(bools, out)),
  bytesToInts: exact(mapped(bools, outInts)), intsToFloats: exact(mapped(anyInts, out)), floatsToInts: exact(mapped((chance, n) => floats(chance, n, -1e6, 1e6), outInts)), logicalNot: exact(mapped(bools, outBools)),
  ...all("toBfloat16 toFloat16", exact(mapped((chance, n) => floats(chance, n, -100, 100), outHalves))),
  ...all("fromBfloat16 fromFloat16", exact(mapped(halves, out))),
  select: exact((chance) => { const n = size(chance), values = anyOf(chance); const yes = values(n); let no = values(n); if (no.constructor !== yes.constructor) no = yes.slice(); return made([n, bools(chance, n), yes, no, outLike(yes, n)]); }),
  sum: near(1e-6, reduced(floats, out, 0.5)), product: near(1e-5, reduced((chance, n) => floats(chance, n, 0.9, 1.1), out, 1)),
  ...all("largest smallest", exact(reduced(floats, out, 1))),
  ...all("indexOfLargest indexOfSmallest", exact(reduced(ties, outInts))),
  ...all("sumInts productInts largestInts smallestInts", exact(reduced(anyInts, outInts))),
  ...all("indexOfLargestInts indexOfSmallestInts", exact(reduced((chance, n) => ints(chance, n, -3, 3), outInts))),
  ...all("all any", exact(reduced(bools, outBools))),
  cumulativeSum: near(1e-6, running(floats, out)), cumulativeProduct: near(1e-5, running((chance, n) => floats(chance, n, 0.95, 1.05), out)),
  ...all("cumulativeSumInts cumulativeProductInts", exact(running((chance, n) => ints(chance, n, -3, 3), outInts))),
  softmax: near(1e-6, (chance) => { const rows = few(chance, 40), columns = size(chance, 600); return made([rows, columns, floats(chance, rows * columns, -9, 9), out(rows * columns)]); }),
  topK: exact((chance) => { const rows = few(chance, 30), columns = chance.int(1, rows < 4 ? 5000 : 300), k = chance.int(1, Math.min(columns, 40)); return made([rows, columns, k, ties(chance, rows * columns), out(rows * k), outInts(rows * k)]); }),
  topKInts: exact((chance) => { const rows = few(chance, 30), columns = chance.int(1, rows < 4 ? 5000 : 300), k = chance.int(1, Math.min(columns, 40)); return made([rows, columns, k, ints(chance, rows * columns, -9, 9), outInts(rows * k), outInts(rows * k)]); }),
  copyBlock: exact((chance) => {
    const rank = chance.int(1, 4), shape = Array.from({ length: rank }, () => few(chance, rank < 3 ? 70 : 9)), whole = shape.reduce((x, y) => x * y, 1);
    const strides = (order: readonly number[]): number[] => { let step = 1; const of = shape.map(() => 0); for (const d of order) { of[d] = step; step *= Math.max(shape[d], 1); } return of; };
    const fromOffset = chance.int(0, 3), toOffset = chance.int(0, 3), from = anyOf(chance)(whole + fromOffset);
    const to = from.slice(0, 0).constructor as new (length: number) => HostArray;
    return made([rank, setting(Int32Array.from([...shape, ...strides(chance.order(rank)), ...strides(chance.order(rank))])), fromOffset, toOffset, from, updated(new to(whole + toOffset))]);
  }),
  gather: exact((chance) => {
    const batch = few(chance, 3), outer = few(chance, 4), length = chance.int(1, 30), slice = size(chance, 65), count = few(chance, 40);
    const x = anyOf(chance)(batch * outer * length * slice);
    return made([batch, outer, length, slice, count, ints(chance, batch * count, 0, length - 1), x, outLike(x, batch * outer * count * slice)]);
  }),
  scatterAdd: near(1e-6, (chance) => { const length = chance.int(1, 40), slice = size(chance, 130), count = few(chance, 200); return made([length, slice, count, ints(chance, count, 0, length - 1), floats(chance, count * slice), updated(floats(chance, length * slice))], 16); }),
  scatterAddInts: exact((chance) => { const length = chance.int(1, 40), slice = size(chance, 130), count = few(chance, 200); return made([length, slice, count, ints(chance, count, 0, length - 1), ints(chance, count * slice, -9, 9), updated(ints(chance, length * slice, -9, 9))]); }),
  matmul: { error: 1e-6, isProduct: true, make: (chance) => {
    const batch = chance.int(1, 3), [m, n, k] = [size(chance, 130), size(chance, 130), size(chance, 130)], aBatches = chance.pick([1, batch]), bBatches = chance.pick([1, batch]);
    return made([batch, m, n, k, chance.isTrue(0.5), chance.isTrue(0.5), aBatches, bBatches, floats(chance, aBatches * m * k), floats(chance, bBatches * k * n), out(batch * m * n)], 4 * Math.sqrt(k + 1));
  } },
  matmulGroups: { error: 1e-6, isProduct: true, make: (chance) => {
    const groups = chance.int(1, 6), rows = size(chance, 257), inner = size(chance, 65), columns = size(chance, 65);
    return made([groups, rows, inner, columns, chance.isTrue(0.5), offsetsOf(chance, groups, rows), floats(chance, rows * inner), floats(chance, groups * inner * columns), out(rows * columns)], 4 * Math.sqrt(inner + 1));
  } },
  matmulGroupsWeightGradient: { error: 1e-6, isProduct: true, make: (chance) => {
    const groups = chance.int(1, 6), rows = size(chance, 257), inner = size(chance, 65), columns = size(chance, 65);
    return made([groups, rows, inner, columns, offsetsOf(chance, groups, rows), floats(chance, rows * inner), floats(chance, rows * columns), out(groups * inner * columns)], 4 * Math.sqrt(rows + 1));
  } },
  convolve: near(1e-6, (chance) => { const w = windows(chance), O = chance.pick([1, 4, 9]); return made([...w.head, O, floats(chance, w.image * w.channels), floats(chance, w.filter * w.channels * O), out(w.positions * O)], 16); }),
  convolveInputGradient: near(1e-6, (chance) => { const w = windows(chance), O = chance.pick([1, 4, 9]); return made([...w.head, O, floats(chance, w.positions * O), floats(chance, w.filter * w.channels * O), out(w.image * w.channels)], 32); }),
  convolveFilterGradient: near(1e-6, (chance) => { const w = windows(chance), O = chance.pick([1, 4, 9]); return made([...w.head, O, floats(chance, w.image * w.channels), floats(chance, w.positions * O), out(w.filter * w.channels * O)], 32); }),
  convolveDepthwise: near(1e-6, (chance) => { const w = windows(chance), M = chance.int(1, 3); return made([...w.head, M, floats(chance, w.image * w.channels), floats(chance, w.filter * w.channels * M), out(w.positions * w.channels * M)], 16); }),
  depthwiseInputGradient: near(1e-6, (chance) => { const w = windows(chance), M = chance.int(1, 3); return made([...w.head, M, floats(chance, w.positions * w.channels * M), floats(chance, w.filter * w.channels * M), out(w.image * w.channels)], 16); }),
  depthwiseFilterGradient: near(1e-6, (chance) => { const w = windows(chance), M = chance.int(1, 3); return made([...w.head, M, floats(chance, w.image * w.channels), floats(chance, w.positions * w.channels * M), out(w.filter * w.channels * M)], 32); }),
  ...all("maxPool meanPool", near(1e-6, (chance) => { const w = windows(chance); return made([...w.head, floats(chance, w.image * w.channels), out(w.positions * w.channels)]); })),
  maxPoolGradient: near(1e-6, (chance) => { const w = windows(chance); return made([...w.head, ties(chance, w.image * w.channels), floats(chance, w.positions * w.channels), out(w.image * w.channels)], 8); }),
  meanPoolGradient: near(1e-6, (chance) => { const w = windows(chance); return made([...w.head, floats(chance, w.positions * w.channels), out(w.image * w.channels)], 8); }),
  rmsNormForward: near(2e-6, (chance) => { const rows = few(chance, 60), C = size(chance, 1030) || 1; return made([rows, C, 1e-5, floats(chance, rows * C), floats(chance, C), out(rows * C), out(rows)]); }),
  addRmsNormForward: near(2e-6, (chance) => { const rows = few(chance, 60), C = size(chance, 1030) || 1; return made([rows, C, 1e-5, floats(chance, rows * C), floats(chance, rows * C), floats(chance, C), out(rows * C), out(rows * C), out(rows)]); }),
  rmsNormBackward: near(2e-6, (chance) => { const rows = few(chance, 60), C = size(chance, 600) || 1; return made([rows, C, floats(chance, rows * C), floats(chance, C), floats(chance, rows, 0.5, 2), floats(chance, rows * C), chance.isTrue(0.5) ? null : floats(chance, rows * C), out(rows * C), out(C)], 16); }),
  layerNormForward: near(4e-6, (chance) => { const rows = few(chance, 60), C = size(chance, 1030) || 1; return made([rows, C, 1e-3, floats(chance, rows * C), floats(chance, C), floats(chance, C), out(rows * C), out(rows), out(rows)], 4); }),
  layerNormBackward: near(2e-6, (chance) => { const rows = few(chance, 60), C = size(chance, 600) || 1; return made([rows, C, floats(chance, rows * C), floats(chance, C), floats(chance, rows, -0.5, 0.5), floats(chance, rows, 0.5, 2), floats(chance, rows * C), out(rows * C), out(C), out(C)], 16); }),
  rotary: near(1e-6, (chance) => { const B = few(chance, 3), T = few(chance, 20), heads = few(chance, 4), D = 2 * chance.int(1, 40); return made([B, T, heads, D, chance.isTrue(0.5), floats(chance, B * T * heads * D), floats(chance, T * D / 2), floats(chance, T * D / 2), out(B * T * heads * D)]); }),
  queryKeyValueForward: { error: 1e-6, isProduct: true, make: (chance) => {
    const N = size(chance, 65), C = size(chance, 65), columns = [8, 4, 12]; // three matrices side by side
    return made([N, C, ...columns, floats(chance, N * C), ...columns.map((one) => floats(chance, C * one)), ...columns.map((one) => out(N * one))], 4 * Math.sqrt(C + 1));
  } },
  queryKeyValueBackward: { error: 1e-6, isProduct: true, make: (chance) => {
    const N = size(chance, 65), C = size(chance, 65), columns = [8, 4, 12];
    return made([N, C, ...columns, floats(chance, N * C), ...columns.map((one) => floats(chance, C * one)), ...columns.map((one) => floats(chance, N * one)), out(N * C), ...columns.map((one) => out(C * one))], 4 * Math.sqrt(N + 24));
  } },
  attentionForward: { error: 4e-6, isProduct: true, make: (chance) => attention(chance, false) },
  attentionBackward: { error: 1e-5, isProduct: true, make: (chance) => attention(chance, true) },
  routeTopKForward: near(2e-6, (chance) => { const N = few(chance, 200), E = chance.pick([1, 4, 8, 20, 32, 60, 64, 130, 300, 600]), K = chance.int(1, Math.min(E, 16)); return made([N, E, K, chance.isTrue(0.5), scores(chance, N * E), outInts(N * K), out(N * K), out(N * E)]); }),
  routeTopKBackward: near(4e-6, (chance) => {
    const N = few(chance, 200), E = chance.pick([4, 8, 20, 32, 60, 64, 130, 300, 600]), K = chance.int(1, 4);
    const ids = Int32Array.from(Array.from({ length: N }, () => chance.order(E).slice(0, K)).flat());
    return made([N, E, K, chance.isTrue(0.5), ids, floats(chance, N * K, 0.1, 1), floats(chance, N * E, 0.01, 1), floats(chance, N * K), floats(chance, N * E), out(N * E)], 4);
  }),
  selectExperts: exact((chance) => {
    const groups = chance.pick([0, 0, 4]), E = chance.pick([4, 8, 64, 300]), N = few(chance, 100), perToken = groups === 0 ? 0 : chance.int(1, 4);
    const K = chance.int(1, groups === 0 ? Math.min(E, 8) : E / 4);
    return made([N, E, K, groups, perToken, E / 4 < 2 ? 1 : chance.int(1, 2), scores(chance, N * E), chance.isTrue(0.5) ? null : ties(chance, E), outInts(N * K)]);
  }),
  chosenScores: exact((chance) => { const N = few(chance, 100), E = chance.int(1, 64), K = chance.int(1, 4); return made([N, E, K, floats(chance, N * E), ints(chance, N * K, -1, E - 1), out(N * K)]); }),
  chosenScoresBackward: near(1e-6, (chance) => { const N = few(chance, 100), E = chance.int(4, 64), K = chance.int(1, 4); return made([N, E, K, Int32Array.from(Array.from({ length: N }, () => chance.order(E).slice(0, K)).flat()), floats(chance, N * K), out(N * E)]); }),
  countChoices: near(1e-6, (chance) => { const B = few(chance, 4), T = few(chance, chance.pick([60, 700])), K = chance.int(1, 4), E = chance.pick([1, 8, 130]); return made([B, T, K, E, ints(chance, B * T * K, -1, E - 1), chance.isTrue(0.5) ? null : mask(chance, B * T), out(B * E)]); }),
  limitChoices: exact((chance) => { const count = few(chance, chance.pick([400, 9000])), E = chance.pick([1, 8, 60]); return made([count, E, chance.int(0, 40), ints(chance, count, -1, E - 1), chance.isTrue(0.5) ? null : scores(chance, count), outInts(count)]); }),
  gatherRows: exact((chance) => { const rows = chance.int(1, 60), count = few(chance, 200), C = size(chance, 130); return made([rows, count, C, floats(chance, rows * C), ints(chance, count, 0, rows - 1), out(count * C)]); }),
  gatherRowsBackward: near(1e-6, (chance) => { const rows = chance.pick([1, 5, 60, 5000]), count = few(chance, chance.pick([300, 3000])), C = size(chance, count > 300 ? 4 : 130); return made([rows, count, C, ints(chance, count, 0, rows - 1), floats(chance, count * C), out(rows * C)], 8); }),
  planDispatch: exact((chance) => { const N = few(chance, chance.pick([300, 4000])), K = chance.int(1, 4), E = chance.pick([1, 8, 130, 512, 3000]); return made([N, K, E, ints(chance, N * K, -1, E - 1), outInts(E + 1), outInts(N * K), outInts(N * K)]); }),
  combineRows: near(1e-6, (chance) => { const N = few(chance, 60), K = chance.int(1, 4), C = size(chance, 130), { tokenSlot } = plan(chance, N, K, 4); return made([N, K, N * K, C, floats(chance, N * K * C), chance.isTrue(0.3) ? null : floats(chance, N * K), tokenSlot, out(N * C)], 4); }),
  combineRowsBackward: near(1e-6, (chance) => { const N = few(chance, 60), K = chance.int(1, 4), C = size(chance, 130), { tokenSlot } = plan(chance, N, K, 4); return made([N, K, N * K, C, floats(chance, N * K * C), floats(chance, N * K), tokenSlot, floats(chance, N * C), out(N * K * C), out(N * K)], 16); }),
  expertFeedForward: { error: 2e-6, isProduct: true, make: (chance) => experts(chance, false) },
  expertFeedForwardBackward: { error: 4e-6, isProduct: true, make: (chance) => experts(chance, true) },
  crossEntropyForward: near(2e-6, (chance) => { const N = few(chance, 60), V = chance.isTrue(0.2) ? 5003 : size(chance, 600) || 1; return made([N, V, scores(chance, N * V), ints(chance, N, 0, V - 1), mask(chance, N), out(N), out(1)], 8); }),
  crossEntropyBackward: near(4e-6, (chance) => { const N = few(chance, 60), V = chance.isTrue(0.2) ? 5003 : size(chance, 600) || 1; return made([N, V, floats(chance, 1), floats(chance, N * V, -2, 2), ints(chance, N, 0, V - 1), mask(chance, N), Float32Array.from({ length: N }, () => Math.log(V) + chance.next()), out(N * V)]); }),
  balanceLossForward: near(4e-6, (chance) => { const N = few(chance, chance.pick([100, 900])), K = chance.int(1, 4), E = chance.pick([1, 8, 130]); return made([N, K, E, ints(chance, N * K, -1, E - 1), floats(chance, N * E, 0, 1), mask(chance, N), out(E), out(1)]); }),
  balanceLossBackward: near(4e-6, (chance) => { const N = few(chance, 100), E = chance.pick([1, 8, 130]); return made([N, E, floats(chance, 1), floats(chance, E, 0, 1), mask(chance, N), out(N * E)]); }),
  zLossForward: near(4e-6, (chance) => { const N = few(chance, 100), E = chance.pick([1, 8, 130]); return made([N, E, scores(chance, N * E), mask(chance, N), out(1)]); }),
  zLossBackward: near(4e-6, (chance) => { const N = few(chance, 100), E = chance.pick([1, 8, 130]); return made([N, E, floats(chance, 1), floats(chance, N * E), mask(chance, N), out(N * E)]); }),
  adamwUpdate: near(4e-6, (chance) => {
    const lengths = Array.from({ length: chance.pick([1, 3, 5, 5, 600]) }, (_, i) => (i < 5 ? chance.pick([size(chance), 5000]) : 3));
    return made([0.9, 0.999, 1.5, 2.5, 1e-8, 0.01, lengths.map((n) => floats(chance, n)), lengths.map((n) => updated(floats(chance, n))), lengths.map((n) => updated(floats(chance, n))),
      lengths.map((n) => updated(floats(chance, n, 0, 1))), setting(floats(chance, lengths.length, 0, 0.1)), Float32Array.of(chance.pick([1, 0.5, 1, NaN]))]);
  }),
  globalNorm: near(2e-6, (chance) => made([chance.pick([0.5, 1e9]), Array.from({ length: chance.pick([0, 1, 3, 5, 600]) }, (_, i) => floats(chance, i < 5 ? chance.pick([size(chance), 40_000]) : 3)), out(1), out(1)])),
};
