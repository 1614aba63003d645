import * as tf from "@tensorflow/tfjs-core";
import { execFileSync } from "node:child_process";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { chooseBackend } from "../../toolkit/backend/choose.ts";
import { hashExperts } from "../../toolkit/moe/routers/hash.ts";
import { sinkhorn } from "../../toolkit/moe/routers/sinkhorn.ts";
import { benchOf, chosenIds, contextOf, identity, randomRows, toRows, training } from "./routerBench.ts";

beforeAll(async () => { await chooseBackend(); });

describe("sinkhorn", () => {
  const N = 40, E = 5, logits = randomRows(N, E, 3, 3).map((row) => row.map((x, e) => x + e)).flat();

  test("rows sum to 1/N and columns to 1/E within the tolerance", () => {
    const matrix = sinkhorn(logits, N, E, { tolerance: 1e-4 });
    for (let n = 0; n < N; n++) expect(matrix.subarray(n * E, (n + 1) * E).reduce((a, b) => a + b)).toBeCloseTo(1 / N, 12);
    for (let e = 0; e < E; e++) expect(Math.abs(matrix.reduce((total, value, i) => (i % E === e ? total + value : total), 0) * E - 1)).toBeLessThanOrEqual(1e-4);
  });

  test("keeps the ratios of each pair of rows and columns: only rows and columns were scaled", () => {
    const matrix = sinkhorn(logits, N, E, { tolerance: 1e-6 });
    for (let n = 1; n < N; n++) for (let e = 1; e < E; e++) {
      const got = Math.log(matrix[n * E + e] * matrix[0]) - Math.log(matrix[n * E] * matrix[e]);
      expect(got).toBeCloseTo(logits[n * E + e] + logits[0] - logits[n * E] - logits[e], 8);
    }
  });

  test("padding rows and left-out experts take no part", () => {
    const tokenMask = Float32Array.from({ length: N }, (_, n) => Number(n % 3 !== 0)), leftOut = [0, 1, 0, 0, 0];
    const matrix = sinkhorn(logits, N, E, { tolerance: 1e-4, tokenMask, leftOut }), rows = tokenMask.filter((value) => value === 1).length;
    for (let n = 0; n < N; n++) for (let e = 0; e < E; e++) if (e === 1 || n % 3 === 0) expect(matrix[n * E + e]).toBe(e === 1 ? -Infinity : 0);
    const columns = [0, 2, 3, 4].map((e) => matrix.reduce((total, value, i) => (i % E === e ? total + value : total), 0));
    columns.forEach((total) => expect(total * 4).toBeCloseTo(1, 3));
    expect(matrix.subarray(E, E + 1)[0] + [2, 3, 4].reduce((total, e) => total + matrix[E + e], 0)).toBeCloseTo(1 / rows, 12);
  });

  test("logits hundreds apart give numbers, not NaN", () => {
    expect(sinkhorn([900, 0, -900, 900, 0, -900], 2, 3, { tolerance: 1e-4 }).every(Number.isFinite)).toBe(true);
  });

  test("loads are nearly even in training where plain top-1 sends most tokens to one expert", () => {
    const bench = benchOf(N, { numExperts: E, expertsPerToken: 1, router: { kind: "sinkhorn" } });
    bench.assign("gate", randomRows(N, E, 3).map((row) => row.map((x, e) => x + (e === 2 ? 4 : 0))));
    const largest = (isTraining: boolean) => {
      const ids = chosenIds(bench.router.route(identity(N), contextOf(N, isTraining ? training() : {})).ids).flat();
      return Math.max(...Array.from({ length: E }, (_, e) => ids.filter((id) => id === e).length));
    };
    expect(largest(false)).toBeGreaterThan(N * 0.8);
    expect(largest(true)).toBeLessThan((N / E) * 1.8);
  });
});

describe("hash", () => {
  test("the experts of a token id are fixed numbers, the same in every process", () => {
    const expression = `import { hashExperts } from ${JSON.stringify(join(import.meta.dirname, "../../toolkit/moe/routers/hash.ts"))}; console.log(JSON.stringify([0, 1, 50256].map((id) => hashExperts(id, 64, 2, 7))))`;
    const here = [0, 1, 50256].map((id) => hashExperts(id, 64, 2, 7));
    const npx = join(import.meta.dirname, "../../node_modules/.bin/esbuild");
    const code = execFileSync(npx, ["--bundle", "--platform=node", "--format=esm", "--external:@tensorflow/tfjs-core"], { input: expression, cwd: import.meta.dirname, encoding: "utf8" });
    const other = execFileSync(process.execPath, ["--input-type=module"], { input: code, cwd: join(import.meta.dirname, "../.."), encoding: "utf8" });
    expect(JSON.parse(other)).toEqual(here);
  });

  test("a token goes to K different experts with weights 1/K", () => {
    const bench = benchOf(4, { numExperts: 5, expertsPerToken: 3, router: { kind: "hash", seed: 2 } });
    const { ids, weights, probabilities } = bench.router.route(tf.zeros([4, 4]), contextOf(4, { ids: tf.tensor1d([3, 9, 3, 123_456], "int32") }));
    const chosen = chosenIds(ids);
    for (const row of chosen) expect(new Set(row).size).toBe(3);
    expect(chosen[0]).toEqual(chosen[2]);
    expect(toRows(weights).flat().every((w) => w === Math.fround(1 / 3))).toBe(true);
    toRows(probabilities).forEach((row, n) => row.forEach((p, e) => expect(p).toBe(chosen[n].includes(e) ? Math.fround(1 / 3) : 0)));
    expect(bench.variables.weights.size).toBe(0);
  });

  test("ids spread evenly over the experts: chi² of 20000 ids stays below its 99.9 % bound", () => {
    for (const seed of [0, 1]) {
      const E = 16, counts = new Float64Array(E), ids = 20_000;
      for (let id = 0; id < ids; id++) for (const e of hashExperts(id, E, 2, seed)) counts[e] += 1;
      const mean = (2 * ids) / E;
      expect(counts.reduce((total, count) => total + (count - mean) ** 2 / mean, 0)).toBeLessThan(37.7); // χ²₁₅ at 0.999
    }
  });

  test("another seed gives other experts", () => {
    const experts = (seed: number) => Array.from({ length: 100 }, (_, id) => hashExperts(id, 8, 1, seed)[0]);
    expect(experts(1)).not.toEqual(experts(2));
  });
});

describe("ReMoE", () => {
  test("the L1 coefficient grows where too many experts are active and shrinks where too few are", () => {
    const bench = benchOf(4, { numExperts: 4, expertsPerToken: 2, router: { kind: "reMoE", initialCoefficient: 1, coefficientFactor: 1.5 } });
    const after = (rows: number[][]): number => {
      bench.assign("gate", rows);
      bench.router.route(identity(4), contextOf(4, training()));
      bench.router.afterStep?.(new Float64Array(4));
      return bench.state("l1Coefficient")[0][0];
    };
    expect(after(Array.from({ length: 4 }, () => [1, 1, 1, -1]))).toBeCloseTo(1.5, 6);
    expect(after(Array.from({ length: 4 }, () => [1, -1, -1, -1]))).toBeCloseTo(1, 6);
    expect(after(Array.from({ length: 4 }, () => [1, 1, -1, -1]))).toBeCloseTo(1, 6);
  });

  test("the L1 coefficient stays within bounds however long the target is out of reach", () => {
    const bench = benchOf(1, { numExperts: 2, expertsPerToken: 1, router: { kind: "reMoE", initialCoefficient: 1, coefficientFactor: 1e3 } });
    const steps = (row: number[]): number => {
      bench.assign("gate", [row]);
      for (let step = 0; step < 20; step++) {
        bench.router.route(identity(1), contextOf(1, training()));
        bench.router.afterStep?.(new Float64Array(2));
      }
      return bench.state("l1Coefficient")[0][0];
    };
    expect(steps([1, 1])).toBeLessThan(1e5);
    expect(steps([-1, -1])).toBeGreaterThan(0);
  });

  test("padding tokens don't count as inactive or active", () => {
    const bench = benchOf(3, { numExperts: 2, expertsPerToken: 1, router: { kind: "reMoE", initialCoefficient: 1, coefficientFactor: 2 } });
    bench.assign("gate", [[1, -1], [1, 1], [1, 1]]);
    const { ownLoss } = bench.router.route(identity(3), contextOf(3, { ...training(), tokenMask: tf.tensor1d([1, 0, 0]) }));
    expect(ownLoss?.dataSync()[0]).toBeCloseTo(2 * 1, 6); // f = E/(K·1)·1 = 2 for expert 0
    bench.router.afterStep?.(new Float64Array(2));
    expect(bench.state("l1Coefficient")[0][0]).toBe(1);
  });

  test("over steps of gradient descent on its own loss the share of active experts approaches K/E", () => {
    const N = 128, C = 16, E = 8, K = 2;
    const bench = benchOf(C, { numExperts: E, expertsPerToken: K, router: { kind: "reMoE", initialCoefficient: 1e-3 } });
    bench.assign("gate", randomRows(C, E, 3, 0.3));
    const gate = [...bench.variables.weights.values()];
    // A channel that is the same for all tokens, as hidden states have them: without it half of all logits is above 0.
    const x = tf.tensor2d(randomRows(N, C, 5).map((row) => [2, ...row.slice(1)]));
    const target = tf.relu(tf.matMul(x, tf.tensor2d(randomRows(C, E, 4, 0.3)))); // what the task wants: half of the experts
    const active = (): number => chosenIds(bench.router.route(x, contextOf(N)).ids).flat().length / (N * E);
    expect(active()).toBeGreaterThan(0.4);
    let last: number[] = [];
    for (let step = 0; step < 200; step++) {
      tf.tidy(() => {
        const { grads } = tf.variableGrads(() => {
          const decision = bench.router.route(x, contextOf(N, training()));
          const task = tf.mean(tf.square(tf.sub(tf.relu(decision.logits), target)));
          return tf.add(task, decision.ownLoss ?? tf.scalar(0));
        }, gate);
        for (const weight of gate) weight.assign(tf.sub(weight, tf.mul(grads[weight.name], 0.5)));
      });
      bench.router.afterStep?.(new Float64Array(E));
      last = [...last.slice(-19), active()];
    }
    const mean = last.reduce((a, b) => a + b) / last.length;
    expect(Math.abs(mean - K / E)).toBeLessThan(0.03);
  });
});
