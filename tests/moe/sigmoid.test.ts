import { beforeAll, describe, expect, test } from "vitest";
import { chooseBackend } from "../../toolkit/backend/choose.ts";
import { benchOf, chosenIds, chosenWeights, contextOf, distance, identity, randomRows, toRows, training } from "./routerBench.ts";

beforeAll(async () => { await chooseBackend(); });

const N = 8, E = 4;
const benchWith = (biasUpdateRate = 0.25) => {
  const bench = benchOf(N, { numExperts: E, expertsPerToken: 2, router: { kind: "sigmoid", biasUpdateRate } });
  bench.assign("gate", randomRows(N, E, 3));
  return bench;
};

describe("the loss-free bias", () => {
  test("rises by the rate for experts below the mean count and falls for those above it", () => {
    const bench = benchWith();
    bench.router.afterStep?.(Float64Array.of(1, 4, 7, 4));
    expect(bench.state("bias")).toEqual([[0.25, 0, -0.25, 0]]);
    bench.router.afterStep?.(Float64Array.of(0, 0, 0, 16));
    expect(bench.state("bias")).toEqual([[0.5, 0.25, 0, -0.25]]);
  });

  test("changes who is chosen and never the weight of a chosen expert's score", () => {
    const bench = benchWith(), route = () => bench.router.route(identity(N), contextOf(N));
    const before = route();
    bench.assign("bias", [[5, 0, 0, 5]]);
    const after = route();
    expect(chosenIds(after.ids).every((ids) => ids.includes(0) && ids.includes(3))).toBe(true);
    expect(chosenIds(before.ids)).not.toEqual(chosenIds(after.ids));
    const scores = bench.state("gate").map((row) => row.map((x) => 1 / (1 + Math.exp(-x))));
    const expected = chosenIds(after.ids).map((ids, n) => ids.map((e) => scores[n][e] / (scores[n][0] + scores[n][3])));
    expect(distance(chosenWeights(after.ids, after.weights), expected)).toBeLessThan(1e-6);
    expect(toRows(after.probabilities)).toEqual(toRows(before.probabilities));
  });

  test("evens out the loads over steps on the same tokens", () => {
    const bench = benchWith(0.02);
    bench.assign("gate", randomRows(N, E, 3).map((row) => row.map((x, e) => Math.fround(x * 0.2 + (e === 0 ? 3 : 0)))));
    const countsOf = () => chosenIds(bench.router.route(identity(N), contextOf(N, training())).ids).flat().reduce((counts, e) => { counts[e] += 1; return counts; }, new Float64Array(E));
    expect(countsOf()[0]).toBe(N);
    for (let step = 0; step < 100; step++) bench.router.afterStep?.(countsOf());
    expect(Math.max(...countsOf())).toBeLessThanOrEqual(N * 2 / E + 1);
  });

  test("is left out of the model where its rate is 0", () => {
    expect([...benchWith(0).variables.buffers.keys()]).toEqual([]);
    expect([...benchWith().variables.buffers.keys()]).toEqual(["bias"]);
    expect(benchWith().variables.buffers.get("bias")?.trainable).toBe(false);
  });
});
