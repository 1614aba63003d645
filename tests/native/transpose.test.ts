import { describe, expect, test } from "vitest";
import { nativeBinding } from "../../toolkit/backend/binding.ts";

const native = nativeBinding();

/** An array of `size` that begins so many elements behind a cache line, as far as the system lets us say. */
function arrayAt(offset: number, size: number): Float32Array {
  const memory = new Uint8Array(4 * (size + offset) + 64);
  return new Float32Array(memory.buffer, native.prepareMemory(memory) + 4 * offset, size);
}

describe("transposing matrices that no cache holds", () => {
  // 1024 columns fill whole cache lines of the result, 1030 don't; an offset of 0 lets stores go past the caches.
  test.each([[1024, 1040, 0], [1024, 1040, 3], [1040, 1030, 0], [1025, 1031, 5]])("[%d, %d], beginning %d elements behind a cache line, is whole", (rows, columns, offset) => {
    const from = arrayAt(offset, rows * columns), to = arrayAt(offset, rows * columns);
    from.forEach((_, i) => { from[i] = i; });
    native.copyBlock(2, Int32Array.of(columns, rows, 1, columns, rows, 1), 0, 0, from, to);
    let wrong = 0;
    for (let j = 0; j < columns; j += 1) for (let i = 0; i < rows; i += 1) if (to[j * rows + i] !== i * columns + j) wrong += 1;
    expect(wrong).toBe(0);
  });

  test("several matrices in one call, each [1056, 1024]", () => {
    const [count, rows, columns] = [2, 1056, 1024], size = rows * columns;
    const from = arrayAt(0, count * size), to = arrayAt(0, count * size);
    from.forEach((_, i) => { from[i] = i; });
    native.copyBlock(3, Int32Array.of(count, columns, rows, size, 1, columns, size, rows, 1), 0, 0, from, to);
    let wrong = 0;
    for (let m = 0; m < count; m += 1)
      for (let j = 0; j < columns; j += 1) for (let i = 0; i < rows; i += 1) if (to[m * size + j * rows + i] !== m * size + i * columns + j) wrong += 1;
    expect(wrong).toBe(0);
  });
});
