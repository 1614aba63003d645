import * as tf from "@tensorflow/tfjs-core";
import { beforeAll, describe, expect, test } from "vitest";
import type { MoeSettings } from "../../toolkit/moe/config.ts";
import type { RoutingDecision } from "../../toolkit/moe/router.ts";
import { RandomSource } from "../../toolkit/random.ts";
import { backends } from "../ops/backends.ts";
import {
  plainExpertChoice, plainNoisyTopK, plainReMoe, plainSigmoid, plainSinkhornRouter, plainSwitch, plainTopK, type PlainDecision, type PlainRouter,
} from "./plainRouters.ts";
import { benchOf, chosenIds, chosenWeights, contextOf, distance, identity, randomRows, toRows, training, type Bench } from "./routerBench.ts";

/** N tokens with x the identity: the gate's rows are the logits. */
const N = 12, E = 6;

interface Case {
  readonly name: string;
  readonly settings: Omit<MoeSettings, "expertWidth" | "numExperts">;
  readonly plain: PlainRouter;
  readonly isTraining: boolean;
  /** weights and buffers beside the gate, as values */
  readonly state?: Readonly<Record<string, number[][]>>;
  /** Noise is drawn by place: a token in another place gets other noise. */
  readonly drawsPerPlace?: boolean;
}

const bias = [[0.3, -0.2, 0.1, -0.4, 0.2, 0]].map((row) => row.map(Math.fround));
const cases: readonly Case[] = [
  { name: "topK, renormalized", settings: { expertsPerToken: 2 }, plain: plainTopK, isTraining: false },
  { name: "topK, as it is", settings: { expertsPerToken: 3, router: { kind: "topK", renormalize: false } }, plain: plainTopK, isTraining: false },
  { name: "topK in groups", settings: { expertsPerToken: 2, router: { kind: "topK", groupLimit: { numGroups: 3, groupsPerToken: 1 } } }, plain: plainTopK, isTraining: false },
  { name: "switch", settings: { expertsPerToken: 1, router: { kind: "switch" } }, plain: plainSwitch, isTraining: false },
  { name: "switch with jitter", settings: { expertsPerToken: 1, router: { kind: "switch", jitter: 0.3 } }, plain: plainSwitch, isTraining: true, drawsPerPlace: true },
  { name: "noisyTopK", settings: { expertsPerToken: 2, router: { kind: "noisyTopK" } }, plain: plainNoisyTopK, isTraining: false, state: { noise: randomRows(N, E, 7) } },
  { name: "noisyTopK with noise", settings: { expertsPerToken: 2, router: { kind: "noisyTopK", importanceLossWeight: 0.7, loadLossWeight: 0.4 } }, plain: plainNoisyTopK, isTraining: true, state: { noise: randomRows(N, E, 7) }, drawsPerPlace: true },
  { name: "sigmoid with a bias", settings: { expertsPerToken: 2, router: { kind: "sigmoid", routedScalingFactor: 2.5 } }, plain: plainSigmoid, isTraining: true, state: { bias } },
  { name: "sigmoid without a bias", settings: { expertsPerToken: 1, router: { kind: "sigmoid", biasUpdateRate: 0 } }, plain: plainSigmoid, isTraining: false },
  { name: "sigmoid in groups", settings: { expertsPerToken: 3, router: { kind: "sigmoid", groupLimit: { numGroups: 2, groupsPerToken: 1 } } }, plain: plainSigmoid, isTraining: false, state: { bias } },
  { name: "expertChoice", settings: { expertsPerToken: 2, router: { kind: "expertChoice" } }, plain: plainExpertChoice, isTraining: true },
  { name: "sinkhorn, softmax", settings: { expertsPerToken: 2, router: { kind: "sinkhorn" } }, plain: plainSinkhornRouter, isTraining: true },
  { name: "sinkhorn, sigmoid", settings: { expertsPerToken: 1, router: { kind: "sinkhorn" } }, plain: plainSinkhornRouter, isTraining: true },
  { name: "sinkhorn outside of training", settings: { expertsPerToken: 2, router: { kind: "sinkhorn" } }, plain: plainSinkhornRouter, isTraining: false },
  { name: "reMoE", settings: { expertsPerToken: 2, router: { kind: "reMoE", initialCoefficient: 0.5 } }, plain: plainReMoe, isTraining: true },
];

interface Prepared extends Bench {
  readonly logits: number[][];
  readonly route: () => RoutingDecision;
}

function prepare({ settings, state = {}, isTraining }: Case, logits = randomRows(N, E, 3, 1.5)): Prepared {
  const bench = benchOf(N, { numExperts: E, ...settings });
  for (const [name, rows] of Object.entries({ gate: logits, ...state })) bench.assign(name, rows);
  return { ...bench, logits, route: () => bench.router.route(identity(N), contextOf(N, isTraining ? training() : {})) };
}

const plainOf = ({ plain, isTraining }: Case, { config, state }: Prepared, logits: number[][], change: (name: string) => number[][] = state): PlainDecision =>
  plain({ logits, config, state: change, ...(isTraining && { random: new RandomSource(5) }) });

/** Fixed factors that make one number of outputs. */
const factor = (n: number, e: number, output: number): number => Math.sin(1 + n * 1.7 + e * 0.9 + output * 2.3);

const plainTotal = ({ ids, weights, probabilities, ownLoss = 0 }: PlainDecision): number => ownLoss
  + weights.reduce((total, row, n) => total + row.reduce((part, w, k) => part + w * factor(n, ids[n][k], 0), 0), 0)
  + probabilities.reduce((total, row, n) => total + row.reduce((part, p, e) => part + p * factor(n, e, 1), 0), 0);

function total({ ids, weights, probabilities, ownLoss }: RoutingDecision): tf.Scalar {
  const byChoice = tf.tensor2d(toRows(ids).map((row, n) => row.map((e) => (e < 0 ? 0 : factor(n, e, 0)))));
  const byExpert = tf.tensor2d(Array.from({ length: N }, (_, n) => Array.from({ length: E }, (_unused, e) => factor(n, e, 1))));
  return tf.addN([tf.sum(tf.mul(weights, byChoice)), tf.sum(tf.mul(probabilities, byExpert)), ...(ownLoss ? [ownLoss] : [])]);
}

/** Gradient of plainTotal in each value of `rows` by central differences in double. */
function differences(rows: number[][], totalOf: () => number): number[][] {
  const step = 1e-5;
  return rows.map((row) => row.map((value, e) => {
    row[e] = value + step;
    const above = totalOf();
    row[e] = value - step;
    const below = totalOf();
    row[e] = value;
    return (above - below) / (2 * step);
  }));
}

describe.each(backends)("on %s, the router", (backend) => {
  beforeAll(async () => { await tf.setBackend(backend); });

  describe.each(cases)("$name", (one) => {
    test("decides what its definition says, computed in double with plain loops", () => {
      const prepared = prepare(one), decision = prepared.route(), expected = plainOf(one, prepared, prepared.logits);
      expect(chosenIds(decision.ids)).toEqual(expected.ids);
      expect(distance(chosenWeights(decision.ids, decision.weights), expected.weights)).toBeLessThan(3e-6);
      expect(distance(toRows(decision.probabilities), expected.probabilities)).toBeLessThan(1e-6);
      expect(decision.ownLoss === undefined).toBe(expected.ownLoss === undefined);
      if (decision.ownLoss) expect(decision.ownLoss.dataSync()[0]).toBeCloseTo(expected.ownLoss ?? Number.NaN, 5);
    });

    test("has the gradients of its definition, by central differences", () => {
      const prepared = prepare(one), { weights } = prepared.variables;
      const { grads } = tf.variableGrads(() => total(prepared.route()), [...weights.values()]);
      for (const [name, variable] of weights) {
        const values = prepared.state(name).map((row) => [...row]);
        const totalOf = (): number => plainTotal(plainOf(one, prepared, name === "gate" ? values : prepared.logits, (asked) => (asked === name ? values : prepared.state(asked))));
        // Without noise, its weights have no part in the outputs.
        if (!(variable.name in grads)) { expect(name).toBe("noise"); expect(one.isTraining).toBe(false); continue; }
        expect(distance(toRows(grads[variable.name]), differences(values, totalOf))).toBeLessThan(1e-4);
      }
    });

    if (one.drawsPerPlace) return;

    test("decides for tokens in another order the same", () => {
      const order = [...new RandomSource(9).permutation(N)];
      const logits = randomRows(N, E, 3, 1.5), state = Object.fromEntries(Object.entries(one.state ?? {}).map(([name, rows]) => [name, rows.length === N ? order.map((n) => rows[n]) : rows]));
      const before = prepare(one, logits).route(), after = prepare({ ...one, state }, order.map((n) => logits[n])).route();
      expect(chosenIds(after.ids)).toEqual(order.map((n) => chosenIds(before.ids)[n]));
      expect(distance(chosenWeights(after.ids, after.weights), order.map((n) => chosenWeights(before.ids, before.weights)[n]))).toBeLessThan(1e-6);
    });

    if (/groups/.test(one.name)) return; // they hold neighbours

    test("chooses the same experts under other numbers", () => {
      const order = [...new RandomSource(8).permutation(E)];
      const renumbered = (rows: number[][]): number[][] => rows.map((row) => (row.length === E ? order.map((e) => row[e]) : row));
      const logits = randomRows(N, E, 3, 1.5), state = Object.fromEntries(Object.entries(one.state ?? {}).map(([name, rows]) => [name, renumbered(rows)]));
      const before = prepare(one, logits).route(), after = prepare({ ...one, state }, renumbered(logits)).route();
      expect(chosenIds(after.ids).map((row) => row.map((place) => order[place]))).toEqual(chosenIds(before.ids));
    });
  });
});
