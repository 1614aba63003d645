import { mkdtempSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { nativeBinding, type NativeBinding } from "../../toolkit/backend/binding.ts";
import { RandomSource } from "../../toolkit/random.ts";
import { formats, nearestBits } from "./narrowFormats.ts";

type Build = (options: { isa: string; output: string }) => Promise<{ status: string; path: string; detail: string }>;

const best = nativeBinding().instructionSet();
/** Sets that every machine with the best one also has. */
const others = { avx512: ["avx2", "baseline"], avx2: ["baseline"] }[best] ?? [];
const folder = mkdtempSync(join(tmpdir(), "moe-lab-narrow-"));
const addons = new Map<string, NativeBinding>([[best, nativeBinding()]]);

beforeAll(async () => {
  const { buildAddon } = await import(join(import.meta.dirname, "../../toolkit/native/build.mjs")) as { buildAddon: Build };
  for (const isa of others) {
    const { status, path, detail } = await buildAddon({ isa, output: join(folder, isa) });
    expect(status, detail).toBe("built");
    addons.set(isa, createRequire(import.meta.url)(path) as NativeBinding);
  }
}, 300_000);
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const everyPattern = Uint16Array.from({ length: 65_536 }, (_, bits) => bits);
const wordsOf = (values: Float32Array): Uint32Array => new Uint32Array(values.buffer, values.byteOffset, values.length);
const valuesOf = (words: readonly number[]): Float32Array => new Float32Array(Uint32Array.from(words).buffer);

describe.each([best, ...others])("instruction set %s", (isa) => {
  const addon = (): NativeBinding => addons.get(isa) ?? nativeBinding();

  describe.each(formats)("$name", (format) => {
    const narrow = (values: Float32Array): Uint16Array => {
      const bits = new Uint16Array(values.length);
      addon()[format.narrow](values.length, values, bits);
      return bits;
    };
    const widen = (bits: Uint16Array): Float32Array => {
      const values = new Float32Array(bits.length);
      addon()[format.widen](bits.length, bits, values);
      return values;
    };

    test("every pattern widens to the value it stands for", () => {
      expectSame(widen(everyPattern), Float32Array.from(everyPattern, (bits) => format.value(bits)));
    });

    test("every pattern comes back from its widened value; NaN comes back quiet, with its sign", () => {
      const quiet = Uint16Array.from(everyPattern, (bits) => (Number.isNaN(format.value(bits)) ? bits | format.quietBit : bits));
      expectSame(narrow(widen(everyPattern)), quiet);
    });

    test("a value half way between two patterns goes to the even one, its neighbours to the nearer one", () => {
      const middles: number[] = [], expected: number[] = [];
      for (let bits = 0; bits < format.infinity; bits += 1) {
        const next = bits + 1 === format.infinity ? format.overflow : format.value(bits + 1);
        const middle = wordsOf(Float32Array.of((format.value(bits) + next) / 2))[0];
        // The middle and both its float32 neighbours lie between the two patterns.
        middles.push(middle - 1, middle, middle + 1);
        expected.push(bits, bits + (bits % 2), bits + 1);
      }
      const negative = middles.map((word) => word + 0x80000000);
      expectSame(narrow(valuesOf(middles)), Uint16Array.from(expected));
      expectSame(narrow(valuesOf(negative)), Uint16Array.from(expected, (bits) => bits + 0x8000));
    });

    test("any other float32 goes to the nearest value, NaN to NaN", () => {
      const random = new RandomSource(7);
      const words = Uint32Array.from({ length: 300_000 }, () => Math.floor(random.next() * 2 ** 32));
      const values = new Float32Array(words.buffer);
      const bits = narrow(values);
      const wrong = words.findIndex((_, i) => (Number.isNaN(values[i]) ? !Number.isNaN(format.value(bits[i])) : bits[i] !== nearestBits(format, values[i])));
      expect(wrong === -1 ? "none" : `${values[wrong]} became ${format.value(bits[wrong])}`).toBe("none");
    });

    test("values over the range become infinity, zeros and infinities keep their sign", () => {
      const sign = 0x8000, infinity = format.infinity;
      const bits = narrow(Float32Array.of(3.4028235e38, -3.4028235e38, Infinity, -Infinity, 0, -0, 1e-45, -1e-45));
      expect(Array.from(bits)).toEqual([infinity, infinity + sign, infinity, infinity + sign, 0, sign, 0, sign]);
    });

    test("arrays of any length and place are converted to their end and not beyond", () => {
      for (let length = 0; length <= 40; length += 1) {
        const values = Float32Array.from({ length: 44 }, (_, i) => (i - 20) / 4).subarray(1, 1 + length);
        const bits = new Uint16Array(48).fill(0xabcd), back = new Float32Array(48).fill(77);
        addon()[format.narrow](length, values, bits.subarray(3));
        addon()[format.widen](length, bits.subarray(3), back.subarray(5));
        expect(Array.from(back.subarray(5, 5 + length))).toEqual(Array.from(values));
        expect(bits.every((word, i) => (i >= 3 && i < 3 + length) || word === 0xabcd)).toBe(true);
        expect(back.every((value, i) => (i >= 5 && i < 5 + length) || value === 77)).toBe(true);
      }
    });

    test("all instruction sets and numbers of threads give the same bits", () => {
      const random = new RandomSource(8);
      const values = new Float32Array(Uint32Array.from({ length: 200_003 }, () => Math.floor(random.next() * 2 ** 32)).buffer);
      const threads = addon().threads();
      addon().setThreads(3);
      const bits = narrow(values), back = wordsOf(widen(bits));
      addon().setThreads(threads);
      const reference = nativeBinding(), expected = new Uint16Array(values.length), expectedBack = new Float32Array(values.length);
      reference[format.narrow](values.length, values, expected);
      reference[format.widen](values.length, expected, expectedBack);
      expectSame(bits, expected);
      expectSame(back, wordsOf(expectedBack));
    });
  });
});

test("arrays of another kind or too short are refused", () => {
  const native = nativeBinding();
  expect(() => native.toBfloat16(4, new Float32Array(4), new Uint16Array(3))).toThrow(/argument 3, out.*at least 4/);
  expect(() => native.fromFloat16(4, new Uint16Array(3), new Float32Array(4))).toThrow(/argument 2, x.*at least 4/);
  expect(() => (native.toFloat16 as (...args: unknown[]) => void)(1, new Float32Array(1), new Int16Array(1))).toThrow(/Uint16Array/);
});

type Numbers = Float32Array | Uint16Array | Uint32Array;

/** toEqual on hundreds of thousands of numbers takes seconds; this names the first difference. */
function expectSame(actual: Numbers, expected: Numbers): void {
  expect(actual.length).toBe(expected.length);
  const wrong = actual.findIndex((value, i) => !Object.is(value, expected[i]));
  expect(wrong === -1 ? "equal" : `[${wrong}] is ${actual[wrong]}, expected ${expected[wrong]}`).toBe("equal");
}

