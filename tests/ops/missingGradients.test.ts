import * as tf from "@tensorflow/tfjs-core";
import { beforeAll, describe, expect, test } from "vitest";
import "../../toolkit/ops/missingGradients.ts";
import { floats, sizeOf, type SampleInput } from "../../toolkit/ops/opSample.ts";
import { stopGradient } from "../../toolkit/ops/stopGradient.ts";
import { backends, errorCode } from "./backends.ts";
import { cotangent, excess } from "./compare.ts";

/** Sums of at most a few dozen products in float32. */
const bound = { absolute: 2e-6, relative: 2e-6 };
/** Step of the central differences in double; every op here is linear in each input, so it adds no error of its own. */
const step = 1e-3;

type Definition = (inputs: readonly Float64Array[]) => ArrayLike<number>;

/** Checks values and gradients of Σ cotangent · run(inputs) against the definition. */
function expectDefinition(inputs: readonly SampleInput[], run: (tensors: readonly tf.Tensor[]) => tf.Tensor, definition: Definition): void {
  const tensors = (): tf.Tensor[] => inputs.map(({ shape, values }) => tf.tensor(values.slice(), [...shape]));
  const values = inputs.map((input) => Float64Array.from(input.values));
  tf.tidy(() => { expect(excess(run(tensors()).dataSync(), definition(values), bound), "values").toBeLessThanOrEqual(1); });

  const total = (): number => {
    const output = definition(values);
    const factors = cotangent(output.length, 0);
    return factors.reduce((sum, factor, i) => sum + factor * output[i], 0);
  };
  const gradients = tf.tidy(() => tf.grads((...xs: tf.Tensor[]) => {
    const output = run(xs);
    return tf.sum(tf.mul(output, tf.tensor(cotangent(output.size, 0), output.shape)));
  })(tensors()).map((gradient) => gradient.dataSync().slice()));
  gradients.forEach((gradient, k) => {
    const wanted = values[k].map((value, i) => {
      values[k][i] = value + step;
      const above = total();
      values[k][i] = value - step;
      const below = total();
      values[k][i] = value;
      return (above - below) / (2 * step);
    });
    expect(excess(gradient, wanted, bound), `gradient of input ${k}`).toBeLessThanOrEqual(1);
  });
}

/** Where the slice that `place` names begins, and how many elements it has. */
function sliceAt(shape: readonly number[], place: readonly number[]): { start: number; length: number } {
  const length = sizeOf(shape.slice(place.length));
  return { start: place.reduce((flat, index, d) => flat * shape[d] + index, 0) * length, length };
}

/** All combinations of one element of each list, the last list fastest. */
function combinations(lists: readonly (readonly number[])[]): number[][] {
  return lists.reduce<number[][]>((all, list) => all.flatMap((start) => list.map((next) => [...start, next])), [[]]);
}

const upTo = (length: number): number[] => Array.from({ length }, (_, i) => i);

describe.each(backends)("on %s", (backend) => {
  beforeAll(async () => { await tf.setBackend(backend); });

  describe("the gradient of topk", () => {
    test.each([[[7], 3], [[3, 5], 2], [[2, 3, 4], 4], [[4, 6], 1]])("of the largest of x %j, k = %d, goes to where they were", (shape, k) => {
      expectDefinition([floats(shape, 1)], ([x]) => tf.topk(x, k).values, ([x]) => {
        const columns = shape[shape.length - 1];
        return upTo(x.length / columns).flatMap((row) => [...x.subarray(row * columns, (row + 1) * columns)].sort((a, b) => b - a).slice(0, k));
      });
    });

    test("among equal values goes to those with the lower index, which topk returns", () => {
      const gradient = tf.grad((x: tf.Tensor) => tf.sum(tf.mul(tf.topk(x, 2).values, [10, 1])))(tf.tensor1d([1, 5, 5, 5]));
      expect([...gradient.dataSync()]).toEqual([0, 10, 1, 0]);
    });

    test("is zero through the indices", () => {
      const x = tf.tensor1d([3, 1, 2]);
      const gradient = tf.grad((y: tf.Tensor) => tf.sum(tf.gatherND(tf.square(y), tf.reshape(tf.topk(y, 2).indices, [2, 1]))))(x);
      expect([...gradient.dataSync()]).toEqual([6, 0, 4]);
    });

    test("of no values at all is zero", () => {
      expect([...tf.grad((x: tf.Tensor) => tf.add(tf.sum(tf.topk(x, 0).values), tf.sum(x)))(tf.tensor1d([1, 2])).dataSync()]).toEqual([1, 1]);
    });
  });

  describe("the gradient of gather", () => {
    /** x, indices and attributes; [batch, outer, length, inner] is what x is seen as. */
    const cases: [title: string, shape: number[], indices: number[] | number[][], axis: number, batchDims: number, seen: [number, number, number, number]][] = [
      ["rows, some of them twice", [4, 3], [2, 0, 2, 2], 0, 0, [1, 1, 4, 3]],
      ["columns", [2, 5], [4, 4, 1], 1, 0, [1, 2, 5, 1]],
      ["the middle of three dimensions by a matrix of indices", [2, 3, 2], [[2, 0], [1, 2]], 1, 0, [1, 2, 3, 2]],
      ["counted from the end", [2, 3], [1, 0, 1, 1], -1, 0, [1, 2, 3, 1]],
      ["each batch by indices of its own", [2, 4, 3], [[3, 3, 0], [1, 2, 1]], 1, 1, [2, 1, 4, 3]],
      ["each batch, a dimension behind the first", [2, 2, 3], [[2, 0], [1, 1]], 2, 1, [2, 2, 3, 1]],
    ];
    test.each(cases)("of %s is the sum over each place's readers", (_, shape, indices, axis, batchDims, [batch, outer, length, inner]) => {
      const ids = indices.flat();
      const count = ids.length / (batchDims === 0 ? 1 : batch);
      expectDefinition([floats(shape, 21)], ([x]) => tf.gather(x, tf.tensor(indices, undefined, "int32"), axis, batchDims), ([x]) =>
        upTo(batch).flatMap((b) => upTo(outer).flatMap((o) => upTo(count).flatMap((i) => {
          const row = ids[(batchDims === 0 ? 0 : b * count) + i];
          const start = ((b * outer + o) * length + row) * inner;
          return [...x.subarray(start, start + inner)];
        }))));
    });

    test("is zero through the indices, where tfjs itself throws", () => {
      const gradient = tf.grad((x: tf.Tensor) => tf.sum(tf.gather(tf.square(x), tf.topk(x, 2).indices)))(tf.tensor1d([3, 1, 2]));
      expect([...gradient.dataSync()]).toEqual([6, 0, 4]);
    });

    test("of nothing is zero", () => {
      const gradient = tf.grad((x: tf.Tensor) => tf.add(tf.sum(tf.gather(x, tf.tensor1d([], "int32"))), tf.sum(x)))(tf.tensor1d([1, 2]));
      expect([...gradient.dataSync()]).toEqual([1, 1]);
    });
  });

  const places: [title: string, shape: number[], indices: number[][]][] = [
    ["rows", [4, 3], [[2], [0]]],
    ["elements", [3, 2], [[2, 1], [0, 0], [1, 0]]],
    ["the same place several times", [4, 2], [[1], [3], [1], [1]]],
    ["matrices of three dimensions", [2, 3, 2], [[1], [0], [1]]],
    ["vectors of three dimensions", [2, 3, 2], [[1, 2], [0, 0], [1, 2]]],
  ];

  describe("the gradient of gatherND", () => {
    test.each(places)("reading %s is the sum over each place's readers", (_, shape, indices) => {
      expectDefinition([floats(shape, 2)], ([x]) => tf.gatherND(x, tf.tensor2d(indices, undefined, "int32")), ([x]) =>
        indices.flatMap((place) => {
          const { start, length } = sliceAt(shape, place);
          return [...x.subarray(start, start + length)];
        }));
    });

    test("reading one place by indices of rank 1, or through indices of rank 3", () => {
      expectDefinition([floats([3, 2, 2], 3)], ([x]) => tf.gatherND(x, tf.tensor1d([2, 1], "int32")), ([x]) => x.subarray(10, 12));
      expectDefinition([floats([3, 2], 4)], ([x]) => tf.gatherND(x, tf.tensor3d([[[2], [1]], [[2], [2]]], undefined, "int32")), ([x]) =>
        [2, 1, 2, 2].flatMap((row) => [...x.subarray(2 * row, 2 * row + 2)]));
    });
  });

  describe("the gradient of scatterND", () => {
    test.each(places)("writing %s is what the output has at each place", (_, shape, indices) => {
      const updates = [indices.length, ...shape.slice(indices[0].length)];
      expectDefinition([floats(updates, 5)], ([x]) => tf.scatterND(tf.tensor2d(indices, undefined, "int32"), x, shape), ([x]) => {
        const out = new Float64Array(sizeOf(shape));
        indices.forEach((place, i) => {
          const { start, length } = sliceAt(shape, place);
          for (let e = 0; e < length; e++) out[start + e] += x[i * length + e];
        });
        return out;
      });
    });

    test("with indices of rank 1 is that of rows", () => {
      expectDefinition([floats([2], 6)], ([x]) => tf.scatterND(tf.tensor1d([3, 1], "int32"), x, [4]), ([x]) => [0, x[1], 0, x[0]]);
    });
  });

  describe("the gradient of tensorScatterUpdate", () => {
    test.each(places)("replacing %s goes to the last update of a place and to what wasn't replaced", (_, shape, indices) => {
      const updates = [indices.length, ...shape.slice(indices[0].length)];
      const run = ([x, y]: readonly tf.Tensor[]): tf.Tensor =>
        // tfjs's cpu kernel overwrites its input: give it one of its own
        tf.tensorScatterUpdate(tf.add(x, 0), tf.tensor2d(indices, undefined, "int32"), y);
      expectDefinition([floats(shape, 7), floats(updates, 8)], run, ([x, y]) => {
        const out = x.slice();
        indices.forEach((place, i) => {
          const { start, length } = sliceAt(shape, place);
          out.set(y.subarray(i * length, (i + 1) * length), start);
        });
        return out;
      });
    });

    test("leaves the output's gradient as it was", () => {
      const dy = tf.tensor1d([1, 2, 3]);
      const update = (x: tf.Tensor): tf.Tensor => tf.tensorScatterUpdate(tf.add(x, 0), tf.tensor2d([[1]], undefined, "int32"), tf.tensor1d([9]));
      expect([...tf.grad(update)(tf.zeros([3]), dy).dataSync()]).toEqual([1, 0, 3]);
      expect([...dy.dataSync()]).toEqual([1, 2, 3]);
    });
  });

  type EinsumCase = [equation: string, shapes: number[][]];
  // tfjs's cpu kernel refuses them or sums wrongly: a letter of one of two operands is summed away.
  const nativeEquations: EinsumCase[] = [["ij,jk->", [[2, 3], [3, 2]]], ["ij,kl->jl", [[2, 3], [2, 4]]], ["ij,k->ki", [[2, 3], [2]]]];

  describe("the gradient of einsum", () => {
    test.each<EinsumCase>([
      ...(backend === "native" ? nativeEquations : []),
      ["ij->ji", [[2, 3]]],
      ["ij->", [[2, 3]]],
      ["ijk->j", [[2, 3, 4]]],
      ["i,i->", [[4], [4]]],
      ["i,j->ij", [[2], [3]]],
      ["i,j->ji", [[2], [3]]],
      ["ij,ij->ij", [[2, 3], [2, 3]]],
      ["ij,jk->ik", [[2, 3], [3, 4]]],
      ["ij,kj->ki", [[2, 3], [4, 3]]],
      ["bij,bjk->bik", [[2, 3, 4], [2, 4, 2]]],
      ["bhid,bhjd->bhij", [[2, 2, 3, 2], [2, 2, 2, 2]]],
      ["ij,jk->i", [[2, 3], [3, 2]]],
      ["ij,j -> i", [[2, 3], [3]]],
      [",i->i", [[], [3]]],
    ])("%s is that of its sum of products", (equation, shapes) => {
      const [inputs, output] = equation.replaceAll(" ", "").split("->");
      const terms = inputs.split(",").map((term) => [...term]);
      const letters = [...new Set([...output, ...terms.flat()])];
      const sizeOfLetter = Object.fromEntries(terms.flatMap((term, i) => term.map((letter, d) => [letter, shapes[i][d]])));
      const flatIndex = (term: readonly string[], at: Readonly<Record<string, number>>): number =>
        term.reduce((flat, letter) => flat * sizeOfLetter[letter] + at[letter], 0);
      expectDefinition(shapes.map((shape, i) => floats(shape, 9 + i)), (tensors) => tf.einsum(equation, ...tensors), (operands) => {
        const out = new Float64Array(sizeOf([...output].map((letter) => sizeOfLetter[letter])));
        for (const indices of combinations(letters.map((letter) => upTo(sizeOfLetter[letter])))) {
          const at = Object.fromEntries(letters.map((letter, i) => [letter, indices[i]]));
          out[flatIndex([...output], at)] += terms.reduce((value, term, i) => value * operands[i][flatIndex(term, at)], 1);
        }
        return out;
      });
    });

    test("with a letter twice in the output is refused", () => {
      expect(errorCode(() => tf.grad((x: tf.Tensor) => tf.sum(tf.einsum("i->ii", x)))(tf.ones([2])))).toBe("E_EINSUM_OUTPUT");
    });
  });

  interface SliceCase {
    readonly title: string;
    readonly shape: readonly number[];
    readonly slice: (x: tf.Tensor) => tf.Tensor;
    /** elements taken of each dimension of x */
    readonly taken: readonly (readonly number[])[];
    readonly outShape: readonly number[];
  }
  const slices: readonly SliceCase[] = [
    { title: "x[1:6:2]", shape: [7], slice: (x) => tf.stridedSlice(x, [1], [6], [2]), taken: [[1, 3, 5]], outShape: [3] },
    { title: "x[5:0:-2]", shape: [7], slice: (x) => tf.stridedSlice(x, [5], [0], [-2]), taken: [[5, 3, 1]], outShape: [3] },
    { title: "x[-3:-1]", shape: [5], slice: (x) => tf.stridedSlice(x, [-3], [-1], [1]), taken: [[2, 3]], outShape: [2] },
    { title: "x[::-1, ::3], begin and end masked", shape: [3, 5], slice: (x) => tf.stridedSlice(x, [9, 9], [9, 9], [-1, 3], 3, 3), taken: [[2, 1, 0], [0, 3]], outShape: [3, 2] },
    { title: "x[:2, 1:], one of each masked", shape: [3, 4], slice: (x) => tf.stridedSlice(x, [2, 1], [2, 2], [1, 1], 1, 2), taken: [[0, 1], [1, 2, 3]], outShape: [2, 3] },
    { title: "x[..., 1:3] by an ellipsis", shape: [2, 3, 4], slice: (x) => tf.stridedSlice(x, [0, 1], [0, 3], [1, 1], 0, 0, 1), taken: [[0, 1], [0, 1, 2], [1, 2]], outShape: [2, 3, 2] },
    { title: "x[1, ..., ::2] by shrinking the first dimension only", shape: [3, 4], slice: (x) => tf.stridedSlice(x, [1, 0], [2, 4], [1, 1], 0, 0, 0, 0, 1), taken: [[1], [0, 1, 2, 3]], outShape: [4] },
    { title: "x[:, -1], the last dimension dropped", shape: [3, 4], slice: (x) => tf.stridedSlice(x, [0, -1], [0, 0], [1, 1], 1, 1, 0, 0, 2), taken: [[0, 1, 2], [3]], outShape: [3] },
    { title: "x[newAxis, 1:]", shape: [3, 2], slice: (x) => tf.stridedSlice(x, [0, 1], [0, 3], [1, 1], 0, 0, 0, 1), taken: [[1, 2], [0, 1]], outShape: [1, 2, 2] },
    { title: "all of x", shape: [2, 3], slice: (x) => tf.stridedSlice(x, [0, 0], [2, 3], [1, 1]), taken: [[0, 1], [0, 1, 2]], outShape: [2, 3] },
  ];
  // tfjs's cpu kernel fails or reads wrong elements when it drops a dimension beside one with a stride.
  const nativeSlices: readonly SliceCase[] = [
    { title: "x[1, ::2, :]", shape: [2, 3, 4], slice: (x) => tf.stridedSlice(x, [1, 0, 0], [2, 3, 4], [1, 2, 1], 0, 0, 0, 0, 1), taken: [[1], [0, 2], [0, 1, 2, 3]], outShape: [2, 4] },
    { title: "x[::-2, newAxis, 2]", shape: [4, 3], slice: (x) => tf.stridedSlice(x, [3, 0, 2], [0, 0, 3], [-2, 1, 1], 0, 0, 0, 2, 4), taken: [[3, 1], [2]], outShape: [2, 1] },
  ];

  describe("the gradient of stridedSlice", () => {
    test.each(backend === "native" ? [...slices, ...nativeSlices] : slices)("$title goes to the elements taken", ({ shape, slice, taken, outShape }) => {
      expect(tf.tidy(() => slice(tf.zeros([...shape])).shape)).toEqual(outShape);
      expectDefinition([floats(shape, 11)], ([x]) => slice(x), ([x]) =>
        combinations(taken).map((place) => x[place.reduce((flat, index, d) => flat * shape[d] + index, 0)]));
    });

    test("that takes nothing is zero", () => {
      const gradient = tf.grad((x: tf.Tensor) => tf.add(tf.sum(tf.stridedSlice(x, [2], [2], [1])), tf.sum(x)))(tf.ones([3]));
      expect([...gradient.dataSync()]).toEqual([1, 1, 1]);
    });
  });

  test("gradients of gradients exist", () => {
    const x = tf.tensor1d([3, -1, 2]);
    const cube = (op: (y: tf.Tensor) => tf.Tensor) => (y: tf.Tensor): tf.Tensor => tf.sum(op(tf.pow(y, 3)));
    const second = (op: (y: tf.Tensor) => tf.Tensor): number[] =>
      [...tf.grad((y: tf.Tensor) => tf.sum(tf.grad(cube(op))(y)))(x).dataSync()].map((v) => Math.round(v * 1e4) / 1e4 + 0);
    expect(second((y) => tf.topk(y, 2).values)).toEqual([18, 0, 12]);
    expect(second((y) => tf.gatherND(y, tf.tensor2d([[1], [1]], undefined, "int32")))).toEqual([0, -12, 0]);
    expect(second((y) => tf.gather(y, tf.tensor1d([1, 1], "int32")))).toEqual([0, -12, 0]);
    expect(second((y) => tf.stridedSlice(y, [2], [0], [-1]))).toEqual([0, -6, 12]);
    expect(second((y) => tf.einsum("i,j->", y, tf.tensor1d([2])))).toEqual([36, -12, 24]);
  });

  test("no gradient leaves tensors behind", () => {
    const before = tf.memory().numTensors;
    expectDefinition([floats([4, 3], 12)], ([x]) => tf.einsum("ij->i", tf.stridedSlice(tf.topk(x, 2).values, [0, 0], [4, 2], [2, 1])), ([x]) =>
      [0, 2].map((row) => [...x.subarray(3 * row, 3 * row + 3)].sort((a, b) => b - a).slice(0, 2).reduce((a, b) => a + b)));
    expect(tf.memory().numTensors).toBe(before);
  });
});

describe.each(backends)("stopGradient on %s", (backend) => {
  beforeAll(async () => { await tf.setBackend(backend); });

  test("returns the values, shape and dtype it got", () => {
    const x = tf.tensor2d([[1, 2], [3, 4]], undefined, "int32");
    const y = stopGradient(x);
    expect([y.shape, y.dtype, [...y.dataSync()]]).toEqual([[2, 2], "int32", [1, 2, 3, 4]]);
  });

  test("is a constant to the gradient: that of x · stopGradient(x) is x", () => {
    expect([...tf.grad((x: tf.Tensor) => tf.sum(tf.mul(x, stopGradient(x))))(tf.tensor1d([2, -3])).dataSync()]).toEqual([2, -3]);
  });

  test("alone has a gradient of zeros, for variables too", () => {
    expect([...tf.grad((x: tf.Tensor) => tf.sum(stopGradient(x)))(tf.tensor1d([2, -3])).dataSync()]).toEqual([0, 0]);
    const weight = tf.variable(tf.tensor1d([2]));
    const { grads } = tf.variableGrads(() => tf.sum(stopGradient(tf.square(weight))), [weight]);
    expect(Object.values(grads).map((gradient) => gradient.dataSync()[0])).toEqual([0]);
  });

  test("disposing of its result leaves x alone", () => {
    const x = tf.tensor1d([1]);
    stopGradient(x).dispose();
    expect([...x.dataSync()]).toEqual([1]);
  });
});
