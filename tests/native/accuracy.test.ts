import { describe, expect, test } from "vitest";
import { nativeBinding } from "../../toolkit/backend/binding.ts";

const native = nativeBinding();

/** Every so many-th of all float32 bit patterns, infinities and NaN among them; odd, so that all lanes meet all kinds. */
const STEP = 2053;
const SMALLEST_NORMAL = 2 ** -126;

const bits = Uint32Array.from({ length: Math.floor(2 ** 32 / STEP) }, (_, i) => i * STEP);
const everyKind = new Float32Array(bits.buffer);

/** Distance to the next larger float32 of the same size: a unit in the last place. */
function unitOf(value: number): number {
  return 2 ** (Math.max(Math.floor(Math.log2(Math.abs(value))), -126) - 23);
}

interface Worst {
  readonly units: number;
  readonly at: number;
}

/** Largest error in units in the last place where the result is in the normal range; below it, the result must be as small;
 *  infinite, zero and NaN results must be just that. */
function worstError(name: "exp" | "log" | "sigmoid" | "tanh" | "expm1" | "log1p" | "sin" | "cos", definition: (x: number) => number): Worst {
  const out = new Float32Array(everyKind.length);
  native[name](everyKind.length, 0, 0, everyKind, out);
  let worst: Worst = { units: 0, at: NaN };
  everyKind.forEach((x, i) => {
    const wanted = definition(x), rounded = Math.fround(wanted);
    const isSpecial = Number.isNaN(wanted) || !Number.isFinite(rounded) || rounded === 0;
    const units = isSpecial
      ? Object.is(out[i], rounded) || out[i] === rounded || Math.abs(out[i] - rounded) < SMALLEST_NORMAL ? 0 : Infinity
      : Math.abs(rounded) < SMALLEST_NORMAL ? (Math.abs(out[i]) <= SMALLEST_NORMAL ? 0 : Infinity) : Math.abs(out[i] - wanted) / unitOf(wanted);
    if (!(units <= worst.units)) worst = { units, at: x };
  });
  return worst;
}

describe("functions of all kinds of numbers stay within the units in the last place that simd.h and unaryMath.h state", () => {
  test.each([
    ["exp", 2, Math.exp],
    ["log", 2, (x: number) => (x < 0 ? NaN : Math.log(x))],
    ["sigmoid", 3, (x: number) => 1 / (1 + Math.exp(-x))],
    ["tanh", 3, Math.tanh],
    ["sin", 2, Math.sin],
    ["cos", 2, Math.cos],
    ["expm1", 6, Math.expm1],
    ["log1p", 6, (x: number) => (x < -1 ? NaN : Math.log1p(x))],
  ] as const)("%s: %d", (name, bound, definition) => {
    const { units, at } = worstError(name, definition);
    expect(units, `at ${at}`).toBeLessThanOrEqual(bound);
  });

  test("e⁰ is exactly 1", () => {
    const out = new Float32Array(2);
    native.exp(2, 0, 0, Float32Array.of(0, -0), out);
    expect([...out]).toEqual([1, 1]);
  });
});
