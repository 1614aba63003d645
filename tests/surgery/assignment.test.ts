import { expect, test } from "vitest";
import { RandomSource } from "../../toolkit/random.ts";
import { assign } from "../../toolkit/surgery/assignment.ts";

function* orders(n: number, used: number[] = []): Generator<number[]> {
  if (used.length === n) yield used;
  for (let j = 0; j < n; j++) if (!used.includes(j)) yield* orders(n, [...used, j]);
}

test.each([1, 2, 3, 5, 6])("the pairs of %d rows and columns have the smallest cost of all orders", (n) => {
  const random = new RandomSource(n);
  for (let round = 0; round < 20; round++) {
    const costs = Float64Array.from({ length: n * n }, () => random.normal());
    const cost = (columns: ArrayLike<number>): number => Array.from(columns).reduce((sum, j, i) => sum + costs[i * n + j], 0);
    const columns = assign(costs, n);
    expect([...columns].sort((a, b) => a - b)).toEqual([...Array(n).keys()]);
    expect(cost(columns)).toBeCloseTo(Math.min(...[...orders(n)].map(cost)), 10);
  }
});

test("a hidden order of 60 rows is found", () => {
  const n = 60, order = new RandomSource(1).permutation(n);
  const costs = new Float64Array(n * n).fill(1);
  order.forEach((j, i) => { costs[i * n + j] = 0; });
  expect([...assign(costs, n)]).toEqual([...order]);
});
