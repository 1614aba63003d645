import { describe, expect, test } from "vitest";
import { ConfigError, DataError } from "../../toolkit/errors.ts";
import { sequentialBatches, TokenBatches, type DataCursor } from "../../toolkit/data/batches.ts";

/** ids[i] = i, so that a value tells its place. */
function counting(length: number): Int32Array {
  return Int32Array.from({ length }, (_, i) => i);
}

/** The first input of each row: where its window starts. */
function windowStarts(batches: TokenBatches, count: number): number[] {
  return Array.from({ length: count }, () => batches.next()).flatMap(({ inputs, batchSize, contextLength }) =>
    Array.from({ length: batchSize }, (_, row) => inputs[row * contextLength]));
}

describe("TokenBatches", () => {
  test("rows are windows of following tokens, targets the tokens after them", () => {
    const batches = new TokenBatches(counting(1000), { batchSize: 3, contextLength: 8, seed: 1 });
    for (let i = 0; i < 50; i++) {
      const { inputs, targets, batchSize, contextLength } = batches.next();
      expect([batchSize, contextLength, inputs.length, targets.length]).toEqual([3, 8, 24, 24]);
      for (let row = 0; row < 3; row++) {
        for (let t = 0; t < 8; t++) {
          expect(inputs[row * 8 + t]).toBe(inputs[row * 8] + t);
          expect(targets[row * 8 + t]).toBe(inputs[row * 8 + t] + 1);
        }
      }
    }
  });

  test("each epoch gives each of its windows once, without overlap or gap", () => {
    // 12 windows of 7 fit behind any start below 7: 1 + 6 + 12 · 7 = 91 tokens.
    const batches = new TokenBatches(counting(91), { batchSize: 4, contextLength: 7, seed: 5 });
    const orders = Array.from({ length: 6 }, () => windowStarts(batches, 3));
    for (const order of orders) {
      const sorted = [...order].sort((a, b) => a - b);
      expect(sorted[0]).toBeLessThan(7);
      expect(sorted).toEqual(Array.from({ length: 12 }, (_, i) => sorted[0] + 7 * i));
      expect(order).not.toEqual(sorted);
    }
    expect(new Set(orders.map(String)).size).toBe(6);
    expect(new Set(orders.map((order) => Math.min(...order))).size).toBeGreaterThan(1);
  });

  test("a batch may reach into the next epoch, so no window is left out", () => {
    const batches = new TokenBatches(counting(91), { batchSize: 5, contextLength: 7, seed: 5 });
    const inFives = windowStarts(batches, 12);
    const inFours = windowStarts(new TokenBatches(counting(91), { batchSize: 4, contextLength: 7, seed: 5 }), 15);
    expect(inFives).toEqual(inFours);
  });

  test("the same seed gives the same batches, another seed others", () => {
    const starts = (seed: number) => windowStarts(new TokenBatches(counting(5000), { batchSize: 8, contextLength: 16, seed }), 40);
    expect(starts(3)).toEqual(starts(3));
    expect(starts(3)).not.toEqual(starts(4));
  });

  test("batches after restore equal those of an uninterrupted run, wherever the cursor was taken", () => {
    const options = { batchSize: 5, contextLength: 7, seed: 9 };
    const whole = new TokenBatches(counting(91), options);
    for (let taken = 0; taken < 12; taken++) {
      const cursor = JSON.parse(JSON.stringify(whole.cursor())) as DataCursor;
      const resumed = new TokenBatches(counting(91), options);
      resumed.next();
      resumed.restore(cursor);
      const ahead = new TokenBatches(counting(91), options);
      ahead.restore(cursor);
      expect(windowStarts(resumed, 8)).toEqual(windowStarts(ahead, 8));
      const next = new TokenBatches(counting(91), options);
      next.restore(cursor);
      expect(next.next()).toEqual(whole.next());
      expect(next.cursor()).toEqual(whole.cursor());
    }
  });

  test("data of exactly one window is given again and again", () => {
    const batches = new TokenBatches(counting(5), { batchSize: 2, contextLength: 4, seed: 0 });
    expect(Array.from(batches.next().inputs)).toEqual([0, 1, 2, 3, 0, 1, 2, 3]);
    expect(Array.from(batches.next().targets)).toEqual([1, 2, 3, 4, 1, 2, 3, 4]);
  });

  test("batches are the caller's own: writing to one changes neither the data nor the next", () => {
    const ids = counting(5);
    const batches = new TokenBatches(ids, { batchSize: 1, contextLength: 4, seed: 0 });
    batches.next().inputs.fill(99);
    expect(ids).toEqual(counting(5));
    expect(Array.from(batches.next().inputs)).toEqual([0, 1, 2, 3]);
  });

  test("too few tokens are E_TOO_FEW_TOKENS, impossible shapes E_BATCH_SHAPE, impossible seeds E_SEED", () => {
    expect(() => new TokenBatches(counting(4), { batchSize: 1, contextLength: 4, seed: 0 })).toThrow(DataError);
    expect(() => new TokenBatches(counting(4), { batchSize: 1, contextLength: 4, seed: 0 })).toThrow(/E_TOO_FEW_TOKENS/);
    expect(() => new TokenBatches(counting(9), { batchSize: 0, contextLength: 4, seed: 0 })).toThrow(ConfigError);
    expect(() => new TokenBatches(counting(9), { batchSize: 1, contextLength: 1.5, seed: 0 })).toThrow(/E_BATCH_SHAPE/);
    expect(() => new TokenBatches(counting(9), { batchSize: 1, contextLength: 4, seed: -1 })).toThrow(/E_SEED/);
  });

  test.each<[string, Partial<DataCursor>]>([
    ["another seed", { seed: 2 }],
    ["another contextLength", { contextLength: 8 }],
    ["other data", { tokens: 90 }],
    ["other data of the same length", { sha256: "0".repeat(64) }],
    ["a window beyond the epoch", { index: 13 }],
    ["a negative window", { index: -1 }],
    ["half an epoch", { epoch: 0.5 }],
  ])("a cursor with %s is E_DATA_CURSOR and changes nothing", (_, change) => {
    const batches = new TokenBatches(counting(91), { batchSize: 4, contextLength: 7, seed: 1 });
    batches.next();
    const before = batches.cursor();
    expect(() => batches.restore({ ...before, ...change })).toThrow(/E_DATA_CURSOR/);
    expect(batches.cursor()).toEqual(before);
  });

  test.each([[null], [[]], ["cursor"], [{}]])("%j is not a cursor: E_DATA_CURSOR", (cursor) => {
    const batches = new TokenBatches(counting(91), { batchSize: 4, contextLength: 7, seed: 1 });
    expect(() => batches.restore(cursor)).toThrow(/E_DATA_CURSOR/);
  });

  test("a cursor is refused by data that differs in one token", () => {
    const options = { batchSize: 4, contextLength: 7, seed: 1 };
    const cursor = new TokenBatches(counting(91), options).cursor();
    const other = counting(91);
    other[40] = 7;
    expect(() => new TokenBatches(other, options).restore(cursor)).toThrow(/E_DATA_CURSOR/);
  });
});

describe("sequentialBatches", () => {
  test.each([[2, 2, 3], [25, 2, 3], [24, 2, 3], [13, 2, 3], [14, 2, 3], [100, 4, 1], [7, 1, 100]])(
    "%d tokens in batches of %d × %d give each target once, in order", (length, batchSize, contextLength) => {
      const seen: number[] = [];
      for (const batch of sequentialBatches(counting(length), { batchSize, contextLength })) {
        expect([batch.batchSize, batch.contextLength]).toEqual([batchSize, contextLength]);
        expect([batch.inputs.length, batch.targets.length, batch.lossMask.length]).toEqual(new Array(3).fill(batchSize * contextLength));
        batch.lossMask.forEach((mask, i) => {
          expect([0, 1]).toContain(mask);
          if (mask === 0) return;
          expect(batch.targets[i]).toBe(batch.inputs[i] + 1);
          seen.push(batch.targets[i]);
        });
      }
      expect(seen).toEqual(Array.from({ length: length - 1 }, (_, i) => i + 1));
    });

  test("only the last batch is padded, with token 0", () => {
    const batches = [...sequentialBatches(counting(9), { batchSize: 2, contextLength: 3 })];
    expect(batches.map(({ lossMask }) => Array.from(lossMask))).toEqual([[1, 1, 1, 1, 1, 1], [1, 1, 0, 0, 0, 0]]);
    expect(Array.from(batches[1].inputs)).toEqual([6, 7, 0, 0, 0, 0]);
    expect(Array.from(batches[1].targets)).toEqual([7, 8, 0, 0, 0, 0]);
  });

  test("one token has no target: E_TOO_FEW_TOKENS", () => {
    expect(() => [...sequentialBatches(counting(1), { batchSize: 1, contextLength: 1 })]).toThrow(/E_TOO_FEW_TOKENS/);
  });
});
