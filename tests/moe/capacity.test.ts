import * as tf from "@tensorflow/tfjs-core";
import { beforeAll, describe, expect, test } from "vitest";
import { chooseBackend } from "../../toolkit/backend/choose.ts";
import { assignExperts, dropRates, expertCapacity } from "../../toolkit/moe/capacity.ts";
import { moeConfig, type MoeSettings } from "../../toolkit/moe/config.ts";
import type { RoutingDecision } from "../../toolkit/moe/router.ts";
import { limitChoices } from "../../toolkit/ops/limitChoices.ts";
import { RandomSource } from "../../toolkit/random.ts";
import { contextOf, toRows, training } from "./routerBench.ts";

beforeAll(async () => { await chooseBackend(); });

/** A decision with these ids and weights. */
function decisionOf(ids: number[][], weights: number[][], E: number): RoutingDecision {
  return { ids: tf.tensor2d(ids, undefined, "int32"), weights: tf.tensor2d(weights), probabilities: tf.fill([ids.length, E], 1 / E), logits: tf.zeros([ids.length, E]) };
}

const configOf = (capacity: MoeSettings["capacity"], numExperts = 2, expertsPerToken = 1) =>
  moeConfig({ numExperts, expertsPerToken, expertWidth: 4, ...(capacity && { capacity }), router: { kind: "topK", renormalize: false } });

const ratesOf = (routing: Parameters<typeof dropRates>[0]): number[] => { const { dropRate, fullyDroppedRate } = dropRates(routing); return [dropRate, fullyDroppedRate].map((rate) => rate.dataSync()[0]); };

const sameExpert = decisionOf([[0], [0], [0], [1]], [[0.6], [0.9], [0.7], [0.8]], 2);

describe("capacity", () => {
  test("is ceil(N·K·factor/E)", () => {
    expect(expertCapacity(10, { numExperts: 4, expertsPerToken: 2 }, { factor: 1.25 })).toBe(7); // 6.25
    expect(expertCapacity(8, { numExperts: 4, expertsPerToken: 1 }, { factor: 1 })).toBe(2);
    expect(expertCapacity(1, { numExperts: 64, expertsPerToken: 1 }, { factor: 1 })).toBe(1);
  });

  test("by position an expert keeps its first tokens, by weight its largest weights", () => {
    const assigned = (dropOrder: "position" | "weight") => toRows(assignExperts(sameExpert, contextOf(4), configOf({ kind: "factor", factor: 1, dropOrder })).assigned).flat();
    expect(assigned("position")).toEqual([0, 0, -1, 1]);
    expect(assigned("weight")).toEqual([-1, 0, 0, 1]);
  });

  test("of equal weights the earlier token stays", () => {
    expect([...limitChoices(tf.zeros([3, 1], "int32"), 1, 2, tf.fill([3, 1], 0.5)).dataSync()]).toEqual([0, 0, -1]);
  });

  test("drop rates count choices, and tokens that lost all of theirs", () => {
    // Capacity ceil(4·2·0.5/3) = 2: expert 0 has four choices, expert 1 three, expert 2 one.
    const decision = decisionOf([[0, 1], [0, 1], [0, 1], [0, 2]], Array.from({ length: 4 }, () => [0.5, 0.4]), 3);
    const routing = assignExperts(decision, contextOf(4), configOf({ kind: "factor", factor: 0.5 }, 3, 2));
    expect(toRows(routing.assigned)).toEqual([[0, 1], [0, 1], [-1, -1], [-1, 2]]);
    expect(ratesOf(routing)).toEqual([3 / 8, 1 / 4]);
    expect(toRows(routing.ids)).toEqual(toRows(decision.ids));
  });

  test("is never exceeded, and nothing is dropped that had room", () => {
    const random = new RandomSource(3), N = 50, K = 3, E = 7;
    for (const factor of [0.3, 1, 1.5]) {
      const ids = Array.from({ length: N }, () => [...random.permutation(E)].slice(0, K));
      const weights = ids.map((row) => row.map(() => random.next()));
      for (const dropOrder of ["position", "weight"] as const) {
        const routing = assignExperts(decisionOf(ids, weights, E), contextOf(N), configOf({ kind: "factor", factor, dropOrder }, E, K));
        const assigned = toRows(routing.assigned).flat(), capacity = Math.ceil((N * K * factor) / E);
        let dropped = 0;
        for (let e = 0; e < E; e++) {
          const asked = ids.flat().filter((id) => id === e).length, kept = assigned.filter((id) => id === e).length;
          expect(kept).toBe(Math.min(asked, capacity));
          dropped += asked - kept;
        }
        expect(ratesOf(routing)[0]).toBeCloseTo(dropped / (N * K), 6);
      }
    }
  });

  test("padding tokens have no expert, take no place and count in no rate", () => {
    const context = contextOf(4, { tokenMask: tf.tensor1d([0, 1, 1, 1]) });
    // Three tokens: capacity ceil(3·1·1/2) = 2.
    const routing = assignExperts(sameExpert, context, configOf({ kind: "factor", factor: 1 }));
    expect(toRows(routing.ids).flat()).toEqual([-1, 0, 0, 1]);
    expect(toRows(routing.assigned).flat()).toEqual([-1, 0, 0, 1]);
    expect(ratesOf(routing)[0]).toBe(0);
    expect(toRows(assignExperts(sameExpert, context, configOf(undefined)).assigned).flat()).toEqual([-1, 0, 0, 1]);
  });

  test("applyInEvaluation false drops in training only", () => {
    const config = configOf({ kind: "factor", factor: 1, applyInEvaluation: false });
    expect(ratesOf(assignExperts(sameExpert, contextOf(4), config))[0]).toBe(0);
    expect(ratesOf(assignExperts(sameExpert, contextOf(4, training()), config))[0]).toBe(1 / 4);
  });

  test("dropless makes no tensor and drops nothing", () => {
    const before = tf.memory().numTensors;
    const routing = assignExperts(sameExpert, contextOf(0), configOf({ kind: "dropless" }));
    expect(routing.assigned).toBe(sameExpert.ids);
    expect(tf.memory().numTensors - before).toBe(1); // the ids of the context
    expect(ratesOf(routing)).toEqual([0, 0]);
  });
});
