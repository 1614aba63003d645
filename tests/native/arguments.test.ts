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
    expect(errorOf(() => native.add(1, Int32Array.of(-3, 1, 1), floats(4), floats(4), floats(4))).code).toBe("E_NATIVE_ARGUMENT");
  });

  test("groups that go backwards or past the rows", () => {
    for (const offsets of [Int32Array.of(0, 3, 2), Int32Array.of(0, 1, 9), Int32Array.of(-1, 1, 2)])
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
