import * as tf from "@tensorflow/tfjs-core";
import { beforeAll, describe, expect, test } from "vitest";
import { chooseBackend } from "../../toolkit/backend/choose.ts";
import { TokenBatches } from "../../toolkit/data/batches.ts";
import { transformerConfig } from "../../toolkit/models/config.ts";
import { Transformer } from "../../toolkit/models/transformer.ts";
import type { MoeSettings } from "../../toolkit/moe/config.ts";
import { registerRouter, type CustomDecision } from "../../toolkit/moe/routers/custom.ts";
import { batchLoss } from "../../toolkit/train/loss.ts";
import { errorCode } from "../ops/backends.ts";
import { benchOf, chosenIds, chosenWeights, contextOf, distance, identity, randomRows, toRows } from "./routerBench.ts";

beforeAll(async () => { await chooseBackend(); });

const N = 6, E = 4;

/** A router that always gives this. */
function fixed(decision: () => CustomDecision, change: Partial<MoeSettings> = {}) {
  registerRouter("fixedOfTests", () => ({ fromHidden: decision }));
  return benchOf(N, { numExperts: E, expertsPerToken: 2, router: { kind: "custom", name: "fixedOfTests" }, ...change });
}
const ids = (rows: number[][]): tf.Tensor2D => tf.tensor2d(rows, undefined, "int32");
const everyToken = <T>(value: T): T[] => Array.from({ length: N }, () => value);

describe("a router of the user's own", () => {
  test("from logits equals the built-in router of the same definition", () => {
    registerRouter("softmaxOfTests", (shape) => ({
      fromLogits: (logits) => {
        const { values, indices } = tf.topk(logits, shape.expertsPerToken);
        return { ids: indices, weights: tf.gather(tf.softmax(values), tf.range(0, N, 1, "int32")) };
      },
    }));
    const gate = randomRows(N, E, 3), [own, builtIn] = [{ kind: "custom", name: "softmaxOfTests" } as const, { kind: "topK" } as const].map((router) => {
      const bench = benchOf(N, { numExperts: E, expertsPerToken: 2, router });
      bench.assign("gate", gate);
      return bench.router.route(identity(N), contextOf(N));
    });
    expect(toRows(own.ids)).toEqual(toRows(builtIn.ids));
    expect(distance(toRows(own.weights), toRows(builtIn.weights))).toBeLessThan(1e-6);
    expect(distance(toRows(own.probabilities), toRows(builtIn.probabilities))).toBeLessThan(1e-6);
    expect(toRows(own.logits)).toEqual(toRows(builtIn.logits));
  });

  test("may give a weight for every expert: the K largest above 0 are taken", () => {
    const dense = [[0.5, 0, 0.2, 0.3], [0, 0, 0.1, -1], [0, 0, 0, 0], [1, 1, 1, 1], [-1, 2, 3, 4], [0.1, 0.2, 0, 0]].map((row) => row.map(Math.fround));
    const { ids: chosen, weights, probabilities } = fixed(() => ({ denseWeights: tf.tensor2d(dense) })).router.route(identity(N), contextOf(N));
    expect(chosenIds(chosen)).toEqual([[0, 3], [2], [], [0, 1], [3, 2], [1, 0]]);
    expect(chosenWeights(chosen, weights)).toEqual([[dense[0][0], dense[0][3]], [dense[1][2]], [], [1, 1], [4, 3], [dense[5][1], dense[5][0]]]);
    expect(toRows(probabilities)[4]).toEqual([0, 0, 3, 4].map((w) => Math.fround(w / 7)));
  });

  test("from hidden states, with weights, a buffer and settings of its own, is trained like the others", () => {
    registerRouter("distanceOfTests", ({ width, numExperts, settings }, weights) => {
      const centres = weights.normal<tf.Rank.R2>("centres", [numExperts, width], 0.5);
      const steps = weights.buffer<tf.Rank.R1>("steps", [1]);
      const sharpness = Number(settings.sharpness);
      return {
        fromHidden: (x) => {
          const squares = tf.add(tf.sum(tf.square(x), 1, true), tf.sub(tf.reshape(tf.sum(tf.square(centres), 1), [1, numExperts]), tf.mul(tf.matMul(x, centres, false, true), 2)));
          return { denseWeights: tf.softmax(tf.mul(squares, -sharpness)), logits: tf.mul(squares, -sharpness) };
        },
        afterStep: () => { tf.tidy(() => { steps.assign(tf.add(steps, 1)); }); },
      };
    });
    const T = 12;
    const model = new Transformer(transformerConfig({
      vocabSize: 23, numLayers: 2, width: 16, numHeads: 2, contextLength: T,
      moe: { numExperts: E, expertsPerToken: 2, expertWidth: 16, balanceLossWeight: 0.01, zLossWeight: 0.001, router: { kind: "custom", name: "distanceOfTests", settings: { sharpness: 0.3 } } },
    }), { seed: 1 });
    expect([...model.buffers().keys()]).toEqual(["layers.0.moe.router.steps", "layers.1.moe.router.steps"]);
    const batch = new TokenBatches(Int32Array.from({ length: 400 }, (_, i) => (i * 7) % 23), { batchSize: 4, contextLength: T, seed: 1 }).next();
    const losses: number[] = [], weights = [...model.parameters().values()];
    for (let step = 0; step < 20; step++) {
      tf.tidy(() => {
        const { value, grads } = tf.variableGrads(() => batchLoss(model, batch).total, weights);
        const centres = model.parameters().get("layers.0.moe.router.centres");
        expect(tf.max(tf.abs(grads[centres?.name ?? ""])).dataSync()[0]).toBeGreaterThan(0);
        losses.push(value.dataSync()[0]);
        for (const weight of weights) weight.assign(tf.sub(weight, tf.mul(grads[weight.name], 0.3)));
      });
      model.afterStep([new Float64Array(E), new Float64Array(E)]);
    }
    expect(losses[19]).toBeLessThan(losses[0] - 0.2);
    expect(model.buffers().get("layers.1.moe.router.steps")?.dataSync()[0]).toBe(20);
  });

  test("that isn't registered is refused with the call that registers it", () => {
    const build = () => benchOf(N, { numExperts: E, expertsPerToken: 2, router: { kind: "custom", name: "unknown" } });
    expect(errorCode(build)).toBe("E_ROUTER_NOT_REGISTERED");
    expect(build).toThrow(/registerRouter\("unknown"/);
  });

  test("can be registered again: models built later have the new one", () => {
    const first = fixed(() => ({ ids: ids(everyToken([0])), weights: tf.ones([N, 1]) }));
    const second = fixed(() => ({ ids: ids(everyToken([1])), weights: tf.ones([N, 1]) }));
    expect([first, second].map(({ router }) => toRows(router.route(identity(N), contextOf(N)).ids)[0])).toEqual([[0], [1]]);
  });

  test.each<[string, () => CustomDecision, Partial<MoeSettings>, string]>([
    ["an expert that isn't there", () => ({ ids: ids(everyToken([0, 4])), weights: tf.ones([N, 2]) }), {}, "E_ROUTER_IDS"],
    ["an expert twice for a token", () => ({ ids: ids(everyToken([1, 1])), weights: tf.ones([N, 2]) }), {}, "E_ROUTER_IDS"],
    ["ids below −1", () => ({ ids: ids(everyToken([1, -2])), weights: tf.ones([N, 2]) }), {}, "E_ROUTER_IDS"],
    ["too few rows", () => ({ ids: ids([[0]]), weights: tf.ones([1, 1]) }), {}, "E_ROUTER_SHAPE"],
    ["ids that aren't int32", () => ({ ids: tf.zeros([N, 1]), weights: tf.ones([N, 1]) }), {}, "E_ROUTER_SHAPE"],
    ["weights of another shape", () => ({ ids: ids(everyToken([0])), weights: tf.ones([N, 2]) }), {}, "E_ROUTER_SHAPE"],
    ["dense weights of too few experts", () => ({ denseWeights: tf.ones([N, 3]) }), {}, "E_ROUTER_SHAPE"],
    ["no logits for the z-loss", () => ({ denseWeights: tf.ones([N, E]) }), { zLossWeight: 0.001 }, "E_ROUTER_LOSS"],
    ["no probabilities for the balance loss", () => ({ denseWeights: tf.ones([N, E]) }), { balanceLossWeight: 0.01 }, "E_ROUTER_LOSS"],
  ])("that gives %s is refused", (_, decision, change, code) => {
    expect(errorCode(() => fixed(decision, change).router.route(identity(N), contextOf(N)))).toBe(code);
  });

  test("choices of −1 reach no expert", () => {
    const rows = [[0, -1], [-1, -1], [2, 3], [-1, 1], [0, 1], [3, -1]];
    expect(toRows(fixed(() => ({ ids: ids(rows), weights: tf.ones([N, 2]) })).router.route(identity(N), contextOf(N)).ids)).toEqual(rows);
  });
});
