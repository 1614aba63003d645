import { describe, expect, test } from "vitest";
import { nativeBinding } from "../../toolkit/backend/binding.ts";
import { BackendError } from "../../toolkit/errors.ts";

const native = nativeBinding();
const floats = (length: number): Float32Array => new Float32Array(length);

function errorOf(call: () => unknown): BackendError {
  try {
    call();
  } catch (error) {
    if (error instanceof BackendError) return error;
    throw error;
  }
  throw new Error("nothing was thrown");
}

/** Calls from untyped code: what TypeScript would refuse. */
const untyped = native as unknown as Record<string, (...args: unknown[]) => unknown>;

describe("wrong arguments become a BackendError that names the argument", () => {
  test("an array of another kind", () => {
    const error = errorOf(() => untyped.negate(4, 0, 0, new Float64Array(4), floats(4)));
    expect(error).toMatchObject({ code: "E_NATIVE_ARGUMENT" });
    expect(error.message).toMatch(/negate.*argument 4, x.*Float32Array/);
  });

  test("an array that is too short", () => {
    expect(errorOf(() => native.negate(5, 0, 0, floats(4), floats(5))).message).toMatch(/4 elements.*at least 5/);
    expect(errorOf(() => native.negate(5, 0, 0, floats(5), floats(4))).message).toMatch(/argument 5, out/);
    expect(errorOf(() => native.matmul(1, 2, 2, 2, false, false, 1, 1, floats(3), floats(4), floats(4))).message).toMatch(/argument 9, a/);
  });

  test("sizes too large for any array", () => {
    expect(errorOf(() => native.matmul(2 ** 32, 2 ** 32, 2 ** 32, 2, false, false, 1, 1, floats(3), floats(4), floats(4))).code).toBe("E_NATIVE_ARGUMENT");
  });

  test("something that is no number, a fraction, a negative size, NaN", () => {
    for (const wrong of ["4", null, undefined, {}, 1.5, -1, NaN, Infinity, 2 ** 60])
      expect(errorOf(() => untyped.negate(wrong, 0, 0, floats(4), floats(4)))).toMatchObject({ code: "E_NATIVE_ARGUMENT" });
  });

  test("nothing at all", () => {
    for (const name of ["add", "matmul", "sum", "copyBlock", "gather", "setThreads", "topK", "select"])
      expect(errorOf(() => untyped[name]())).toMatchObject({ code: "E_NATIVE_ARGUMENT" });
  });

  test("a strided copy that would leave its arrays", () => {
    expect(errorOf(() => native.copyBlock(1, Int32Array.of(4, 1, 1), 1, 0, floats(4), floats(4))).code).toBe("E_NATIVE_RANGE");
    expect(errorOf(() => native.copyBlock(1, Int32Array.of(4, -1, 1), 2, 0, floats(4), floats(4))).code).toBe("E_NATIVE_RANGE");
    expect(errorOf(() => native.copyBlock(1, Int32Array.of(4, 1, 2), 0, 0, floats(4), floats(4))).code).toBe("E_NATIVE_RANGE");
    expect(errorOf(() => native.copyBlock(1, Int32Array.of(4, 1, 1), 0, 0, floats(4), new Uint8Array(4))).code).toBe("E_NATIVE_SHAPE");
  });

  test("an elementwise layout that would leave its arrays", () => {
    expect(errorOf(() => native.add(2, Int32Array.of(3, 4, 0, 1, 4, 1), floats(4), floats(11), floats(12))).message).toMatch(/argument 4, b/);
    expect(errorOf(() => native.add(1, Int32Array.of(-3, 1, 1), floats(4), floats(4), floats(4))).code).toBe("E_NATIVE_RANGE");
    expect(errorOf(() => native.add(1, Int32Array.of(3, 1, -1), floats(4), floats(4), floats(4))).code).toBe("E_NATIVE_RANGE");
    expect(errorOf(() => native.add(1, Int32Array.of(3, 1, 2), floats(4), floats(9), floats(4))).what).toMatch(/stride of the last dimension = 2/);
  });

  test("sizes and strides whose products leave 64 bits", () => {
    const large = 2 ** 16;
    for (const layout of [Int32Array.of(large, large, large, large, 0, 0, 0, 0, 0, 0, 0, 0), Int32Array.of(large, large, large, large, 2 ** 30, 2 ** 30, 2 ** 30, 1, 0, 0, 0, 0)]) {
      expect(errorOf(() => native.add(4, layout, floats(1), floats(1), floats(1))).code).toBe("E_NATIVE_ARGUMENT");
      expect(errorOf(() => native.copyBlock(4, layout, 0, 0, floats(1), floats(1))).code).toBe("E_NATIVE_RANGE");
    }
    expect(errorOf(() => native.add(1, Float64Array.of(2 ** 53, 1, 1), floats(1), floats(1), floats(1))).code).toBe("E_NATIVE_ARGUMENT");
    expect(errorOf(() => native.add(1, Float64Array.of(0.5, 1, 1), floats(1), floats(1), floats(1))).code).toBe("E_NATIVE_ARGUMENT");
    expect(errorOf(() => native.sum(2 ** 33, 2 ** 33, 2 ** 33, 1, floats(1), floats(1))).code).toBe("E_NATIVE_ARGUMENT");
  });

  test("4 GiB and more that no array has", () => {
    for (const count of [2 ** 30, 2 ** 31, 2 ** 32, 2 ** 33]) {
      expect(errorOf(() => native.negate(count, 0, 0, floats(4), floats(4))).message).toMatch(new RegExp(`at least ${count} elements`));
      expect(errorOf(() => native.add(1, Float64Array.of(count, 1, 0), floats(4), floats(4), floats(4))).message).toMatch(new RegExp(`at least ${count} elements`));
    }
  });

  test("huge sizes beside a size of 0 are no work at all", () => {
    const huge = 2 ** 33;
    native.gather(1, huge, huge, 0, 1, Int32Array.of(0), floats(0), floats(0));
    native.rotary(huge, huge, huge, 0, false, floats(0), floats(0), floats(0), floats(0));
    native.gatherRowsBackward(huge, 0, 0, new Int32Array(0), floats(0), floats(0));
    native.matmul(huge, 0, huge, 0, false, false, huge, huge, floats(0), floats(0), floats(0));
    native.sum(0, huge, huge, 1, floats(0), floats(0));
    native.softmax(huge, 0, floats(0), floats(0));
    native.meanPoolGradient(1, 1, Int32Array.of(0, 2 ** 30, 2 ** 30, 1, 1, 0, 2 ** 30, 0, 2 ** 30, 1, 1, 0), floats(0), floats(0));
  });

  test("places that a copy would write twice", () => {
    for (const strides of [[0, 1], [1, 1], [1, 0], [-4, 1]])
      expect(errorOf(() => native.copyBlock(2, Int32Array.of(2, 3, 3, 1, ...strides), 0, 4, floats(9), floats(9))).code).toBe("E_NATIVE_RANGE");
    native.copyBlock(2, Int32Array.of(2, 3, 3, 1, 1, 2), 0, 0, floats(6), floats(6)); // transposed: each place once
  });

  test("an output in the memory of another argument, unless the function works in place on just that", () => {
    const memory = floats(20);
    expect(errorOf(() => native.softmax(2, 3, memory, memory)).code).toBe("E_NATIVE_OVERLAP");
    expect(errorOf(() => native.negate(9, 0, 0, memory, memory.subarray(1))).code).toBe("E_NATIVE_OVERLAP");
    expect(errorOf(() => native.topK(1, 3, 2, floats(3), memory.subarray(0, 2), new Int32Array(memory.buffer, 4, 2))).message).toMatch(/topK got indices in the memory of values/);
    expect(errorOf(() => native.add(1, Int32Array.of(4, 1, 0), memory.subarray(4), memory, memory)).code).toBe("E_NATIVE_OVERLAP"); // b is repeated
    native.negate(9, 0, 0, memory, memory);
    native.add(1, Int32Array.of(4, 1, 1), memory, memory.subarray(8), memory);
    native.softmax(2, 3, memory, memory.subarray(6));
  });

  test("indices that another thread could change after they were checked", () => {
    const shared = new Int32Array(new SharedArrayBuffer(8));
    expect(errorOf(() => native.gather(1, 1, 3, 1, 2, shared, floats(3), floats(2))).message).toMatch(/shared memory for argument 6, indices/);
    native.negate(2, 0, 0, new Float32Array(new SharedArrayBuffer(8)), floats(2)); // values may be shared
  });

  test("an array whose memory is gone", () => {
    const memory = new ArrayBuffer(16);
    const gone = new Float32Array(memory);
    structuredClone(memory, { transfer: [memory] });
    expect(errorOf(() => native.negate(4, 0, 0, gone, floats(4))).message).toMatch(/0 elements/);
  });

  test("lists of arrays that don't fit each other, and lists that run code while they are read", () => {
    const update = (...lists: unknown[]): unknown => untyped.adamwUpdate(0.9, 0.9, 1, 1, 1e-8, 0.1, ...lists, floats(1), floats(1));
    expect(errorOf(() => update([floats(2)], [floats(2)], [floats(2)], [floats(3)])).message).toMatch(/3 elements in array 0/);
    expect(errorOf(() => update([floats(2)], [floats(2)], [], [floats(2)])).code).toBe("E_NATIVE_ARGUMENT");
    const same = floats(2);
    expect(errorOf(() => update([floats(2)], [same], [same], [floats(2)])).code).toBe("E_NATIVE_OVERLAP");
    const memory = new ArrayBuffer(8);
    const taking = [floats(2)];
    Object.defineProperty(taking, 0, { get: () => { structuredClone(memory, { transfer: [memory] }); return floats(2); } });
    expect(errorOf(() => update([floats(2)], [new Float32Array(memory)], [floats(2)], taking)).message).toMatch(/0 elements in array 0/);
    const endless: unknown[] = [];
    endless.length = 2 ** 32 - 1;
    expect(errorOf(() => untyped.globalNorm(1, endless, floats(1), floats(1))).code).toBe("E_NATIVE_ARGUMENT");
  });

  test("something that isn't a class for its errors", () => {
    for (const wrong of [undefined, 5, {}, "BackendError"]) expect(errorOf(() => { native.setErrorClass(wrong); })).toMatchObject({ code: "E_NATIVE_ARGUMENT" });
  });

  test("groups that go backwards or don't divide the rows", () => {
    for (const offsets of [Int32Array.of(0, 3, 2), Int32Array.of(0, 1, 9), Int32Array.of(-1, 1, 2), Int32Array.of(1, 2, 3), Int32Array.of(0, 1, 2)])
      expect(errorOf(() => native.matmulGroups(2, 3, 2, 2, false, offsets, floats(6), floats(8), floats(6))).code).toBe("E_NATIVE_RANGE");
  });

  test("more of the largest than there are values", () => {
    const error = errorOf(() => native.topK(1, 3, 4, floats(3), floats(4), new Int32Array(4)));
    expect(error).toMatchObject({ code: "E_NATIVE_RANGE", what: "native topK got k = 4", why: "k must be from 1 to 3" });
  });

  test("an index outside what is gathered", () => {
    expect(errorOf(() => native.gather(1, 1, 3, 1, 1, Int32Array.of(3), floats(3), floats(1))).code).toBe("E_NATIVE_RANGE");
  });

  test("a number of threads that can't be", () => {
    for (const threads of [0, -1, 257, 1.5]) expect(errorOf(() => native.setThreads(threads)).code).toBe("E_NATIVE_ARGUMENT");
  });
});
