/** "Mistakes seen in other libraries" of the project's page of definitions, each as a test. */
import * as tf from "@tensorflow/tfjs-core";
import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { withActivationStorage } from "../../toolkit/backend/activationStorage.ts";
import { chooseBackend } from "../../toolkit/backend/choose.ts";
import { TokenBatches, type Batch } from "../../toolkit/data/batches.ts";
import { transformerConfig } from "../../toolkit/models/config.ts";
import { Transformer } from "../../toolkit/models/transformer.ts";
import { routerLosses } from "../../toolkit/moe/balance.ts";
import { dropRates } from "../../toolkit/moe/capacity.ts";
import { moeConfig, type MoeSettings } from "../../toolkit/moe/config.ts";
import { MoeLayer } from "../../toolkit/moe/layer.ts";
import type { RouterSettings } from "../../toolkit/moe/routerConfig.ts";
import { registerRouter } from "../../toolkit/moe/routers/custom.ts";
import { WeightScope, type ModelVariables } from "../../toolkit/nn/module.ts";
import { RandomSource } from "../../toolkit/random.ts";
import { addLora } from "../../toolkit/surgery/lora.ts";
import { batchLoss } from "../../toolkit/train/loss.ts";
import { train } from "../../toolkit/train/trainer.ts";
import { softmax, sum } from "./plainRouters.ts";
import { benchOf, chosenIds, contextOf, distance, identity, randomRows, toRows, training } from "./routerBench.ts";

beforeAll(async () => { await chooseBackend(); });

const T = 8, V = 19, E = 4;
function modelWith(moe: Partial<MoeSettings>, seed = 1): Transformer {
  const model = new Transformer(transformerConfig({ vocabSize: V, numLayers: 2, width: 16, numHeads: 2, contextLength: T, moe: { numExperts: E, expertsPerToken: 2, expertWidth: 12, ...moe } }), { seed });
  for (const weight of model.parameters().values()) if (weight.rank > 1) weight.assign(tf.mul(weight, 6));
  return model;
}

function layerWith(moe: Partial<MoeSettings>, C: number) {
  const variables: ModelVariables = { weights: new Map(), buffers: new Map() };
  const config = moeConfig({ numExperts: E, expertsPerToken: 2, expertWidth: 8, ...moe });
  const layer = new MoeLayer({ width: C, numLayers: 1 }, config, new WeightScope(variables, new RandomSource(1)));
  const gate = variables.weights.get("router.gate");
  gate?.assign(tf.tensor2d(randomRows(C, E, 3)));
  return { layer, variables, config, gate };
}

registerRouter("halvesOfTests", () => ({ fromLogits: (logits) => ({ denseWeights: tf.mul(tf.softmax(tf.sub(tf.mul(logits, 0.5), 0.1)), 1.5) }) }));
const everyRouter: readonly [string, RouterSettings, Partial<MoeSettings>][] = [
  ["topK", { kind: "topK" }, {}], ["topK in groups", { kind: "topK", groupLimit: { numGroups: 2, groupsPerToken: 1 } }, {}],
  ["switch", { kind: "switch" }, { expertsPerToken: 1 }], ["noisyTopK", { kind: "noisyTopK" }, {}], ["sigmoid", { kind: "sigmoid" }, {}],
  ["expertChoice", { kind: "expertChoice" }, {}], ["sinkhorn", { kind: "sinkhorn" }, {}], ["hash", { kind: "hash" }, {}], ["reMoE", { kind: "reMoE" }, {}],
  ["custom", { kind: "custom", name: "halvesOfTests" }, {}],
];

describe("mistake 1: an auxiliary loss without gradient, or with gradient through the counts", () => {
  test("the balance loss moves the gate by E·Σ fᵢ·dPᵢ with f held fixed", () => {
    const N = 10, { layer, gate } = layerWith({}, N);
    const logits = toRows(gate as tf.Variable);
    let ids: number[][] = [];
    const { grads } = tf.variableGrads(() => {
      const { routing } = layer.forward(identity(N), contextOf(N));
      ids = toRows(routing.ids);
      return routerLosses([routing], { balanceLossWeight: 1, balanceScope: "local", sequenceBalanceLossWeight: 0, zLossWeight: 0 }).balance;
    }, [gate as tf.Variable]);
    const share = Array.from({ length: E }, (_, e) => ids.flat().filter((id) => id === e).length / ids.flat().length);
    const expected = logits.map((row) => {
      const p = softmax(row), mean = sum(p.map((value, e) => value * share[e]));
      return p.map((value, e) => (E / N) * value * (share[e] - mean)); // softmax's derivative of Σ f·p
    });
    expect(distance(toRows(grads[(gate as tf.Variable).name]), expected)).toBeLessThan(1e-6);
    expect(Math.max(...expected.flat())).toBeGreaterThan(1e-3);
  });

  test.each(everyRouter.filter(([name]) => !["expertChoice", "hash", "custom"].includes(name)))("with %s the balance, sequence-wise and z-loss all reach the router", (_, router, moe) => {
    for (const weights of [{ balanceLossWeight: 1 }, { sequenceBalanceLossWeight: 1 }, { zLossWeight: 1 }]) {
      const off = { balanceLossWeight: 0, sequenceBalanceLossWeight: 0, zLossWeight: 0, ...weights };
      const N = 10, { layer, gate, config } = layerWith({ router, ...moe, ...off }, N);
      const { grads } = tf.variableGrads(() => routerLosses([{ ...layer.forward(identity(N), contextOf(N, training())).routing, ownLoss: tf.scalar(0) }], config).weighted ?? tf.scalar(0), [gate as tf.Variable]);
      expect(tf.max(tf.abs(grads[(gate as tf.Variable).name])).dataSync()[0]).toBeGreaterThan(1e-5);
    }
  });
});

describe("mistake 2: padding counted", () => {
  test.each(everyRouter.filter(([name]) => name !== "noisyTopK" && name !== "switch"))("with %s padding reaches no expert and changes no loss, count or real token", (_, router, moe) => {
    const model = modelWith({ router, ...moe, balanceLossWeight: 0, zLossWeight: 0, capacity: { kind: "factor", factor: 0.8 } });
    const source = new TokenBatches(Int32Array.from({ length: 200 }, (_unused, i) => (i * i) % V), { batchSize: 3, contextLength: T, seed: 1 });
    const batch = source.next(), real = Float64Array.from({ length: 3 * T }, (_unused, i) => Number(i % T < 5));
    const withPadding = (filler: number): Batch => ({ ...batch, inputs: batch.inputs.map((id, i) => (real[i] ? id : filler)), tokenMask: Float32Array.from(real), lossMask: Float32Array.from(real) });
    const short: Batch = { ...batch, contextLength: 5, inputs: batch.inputs.filter((_id, i) => real[i] === 1), targets: batch.targets.filter((_id, i) => real[i] === 1) };
    const seen = (one: Batch) => tf.tidy(() => {
      const { total, balance, z, routing } = batchLoss(model, one, { random: new RandomSource(4) });
      return {
        losses: [total, balance, z].map((loss) => loss.dataSync()[0]), dropped: routing.map((record) => Object.values(dropRates(record)).map((rate) => rate.dataSync()[0])),
        ids: routing.map((record) => chosenIds(record.assigned)), counts: routing.map((record) => Array.from({ length: E }, (_unused, e) => toRows(record.ids).flat().filter((id) => id === e).length)),
      };
    });
    const [first, second, alone] = [seen(withPadding(0)), seen(withPadding(7)), seen(short)];
    expect(distance([first.losses], [second.losses])).toBe(0);
    expect(distance([first.losses], [alone.losses])).toBeLessThan(3e-5);
    expect(first.counts).toEqual(alone.counts);
    expect(distance(first.dropped, alone.dropped)).toBeLessThan(1e-12);
    first.ids.forEach((rows) => rows.forEach((row, n) => { if (!real[n]) expect(row).toEqual([]); }));
    expect(first.ids.map((rows) => rows.filter((_row, n) => real[n] === 1))).toEqual(alone.ids);
  });

  test("tokens whose target doesn't count in the language loss, e.g. of a prompt, do count in the router losses", () => {
    const model = modelWith({}), batch = new TokenBatches(Int32Array.from({ length: 200 }, (_, i) => (i * i) % V), { batchSize: 2, contextLength: T, seed: 1 }).next();
    const balance = (lossMask?: Float32Array) => tf.tidy(() => batchLoss(model, { ...batch, ...(lossMask && { lossMask }) }).balance.dataSync()[0]);
    expect(balance(Float32Array.from({ length: 2 * T }, (_, i) => Number(i < 3)))).toBe(balance());
  });
});

describe("mistake 3: a router that computes in 16 bits", () => {
  test.each(everyRouter)("%s decides the same, bit for bit, however activations are kept", (_, router, moe) => {
    const N = 512, C = 16, { layer } = layerWith({ router, ...moe }, C), x = tf.tensor2d(randomRows(N, C, 5));
    const routing = (storage: "float32" | "bfloat16") => withActivationStorage(storage, () => layer.forward(x, contextOf(N, training())).routing);
    const [exact, rounded] = [routing("float32"), routing("bfloat16")];
    for (const part of ["ids", "weights", "probabilities", "logits"] as const) expect(Array.from(rounded[part].dataSync())).toEqual(Array.from(exact[part].dataSync()));
    expect(rounded.ownLoss?.dataSync()).toEqual(exact.ownLoss?.dataSync());
  });
});

describe("mistake 4: an auxiliary loss scaled differently from cross-entropy under accumulation", () => {
  test("three equal micro-batches have the loss and gradients of one, router losses included", () => {
    const model = modelWith({ balanceLossWeight: 0.3, zLossWeight: 0.2, sequenceBalanceLossWeight: 0.1 }), weights = [...model.parameters().values()];
    const batch = new TokenBatches(Int32Array.from({ length: 200 }, (_, i) => (i * i) % V), { batchSize: 2, contextLength: T, seed: 1 }).next();
    const gradientsOf = (share: number) => {
      const { value, grads } = tf.variableGrads(() => batchLoss(model, batch, { lossShare: share, tokenShare: share }).total, weights);
      return [value, ...weights.map(({ name }) => grads[name])].map((tensor) => Array.from(tensor.dataSync()));
    };
    const [whole, third] = [gradientsOf(1), gradientsOf(1 / 3)];
    expect(distance(third.map((values) => values.map((value) => value * 3)), whole)).toBeLessThan(2e-6);
  });
});

describe("mistake 5: loads counted twice when activations are computed again", () => {
  test.each<[string, RouterSettings, string]>([
    ["sigmoid", { kind: "sigmoid" }, "router.bias"], ["reMoE", { kind: "reMoE", initialCoefficient: 0.1 }, "router.l1Coefficient"],
    ["expertChoice", { kind: "expertChoice", inference: "threshold" }, "router.threshold"],
  ])("with %s a second forward pass of the same batch changes nothing of what a step learns", (_, router, name) => {
    const stateAfter = (passes: number): number[][] => {
      const N = 10, { layer, variables } = layerWith({ router }, N);
      let counts = new Float64Array(E);
      for (let pass = 0; pass < passes; pass++) {
        const { routing } = layer.forward(identity(N), contextOf(N, training()));
        counts = toRows(routing.ids).flat().filter((id) => id >= 0).reduce((list, id) => { list[id] += 1; return list; }, new Float64Array(E));
      }
      const before = toRows(variables.buffers.get(name) as tf.Variable);
      layer.afterStep(counts);
      const after = toRows(variables.buffers.get(name) as tf.Variable);
      expect(after).not.toEqual(before);
      return after;
    };
    expect(stateAfter(2)).toEqual(stateAfter(1));
  });
});

describe("mistake 6: capacity by position where by weight was asked", () => {
  test("by weight a full expert computes its largest weights, by position its first tokens", () => {
    const N = 10;
    for (const dropOrder of ["weight", "position"] as const) {
      const { layer, gate } = layerWith({ expertsPerToken: 1, router: { kind: "topK", renormalize: false }, capacity: { kind: "factor", factor: 0.8, dropOrder } }, N);
      gate?.assign(tf.tensor2d(randomRows(N, E, 3).map(([a, ...row]) => [Math.abs(a) + 4, ...row])));
      const { y, routing } = layer.forward(identity(N), contextOf(N));
      const weights = toRows(routing.weights).map(([w]) => w);
      const order = dropOrder === "position" ? [...weights.keys()] : [...weights.keys()].sort((a, b) => weights[b] - weights[a]);
      const kept = order.slice(0, 2).sort((a, b) => a - b); // ceil(10·1·0.8/4)
      expect(toRows(routing.assigned).flatMap(([id], n) => (id === 0 ? [n] : []))).toEqual(kept);
      expect(toRows(y).flatMap((row, n) => (row.some((value) => value !== 0) ? [n] : []))).toEqual(kept);
      for (const rate of Object.values(dropRates(routing))) expect(rate.dataSync()[0]).toBe(Math.fround(0.8));
    }
  });
});

describe("mistake 7: the loss-free bias in the combine weights", () => {
  test("a bias that leaves the choice as it is changes no output, bit for bit", () => {
    const N = 10, { layer, variables } = layerWith({ router: { kind: "sigmoid" } }, N), x = identity(N);
    const before = layer.forward(x, contextOf(N));
    variables.buffers.get("router.bias")?.assign(tf.fill([E], 0.25));
    const after = layer.forward(x, contextOf(N));
    expect(toRows(after.routing.ids)).toEqual(toRows(before.routing.ids));
    expect(toRows(after.y)).toEqual(toRows(before.y));
  });

  test("no gradient reaches the bias", () => {
    const bench = benchOf(4, { numExperts: E, expertsPerToken: 2, router: { kind: "sigmoid" } });
    expect(bench.variables.buffers.get("bias")?.trainable).toBe(false);
    expect([...bench.variables.weights.keys()]).toEqual(["gate"]);
  });
});

describe("mistake 8: a layer that replaces the residual block, and no causal mask", () => {
  const logitsOf = (model: Transformer, ids: readonly number[]): number[] => Array.from(model.forward(tf.tensor2d([...ids], [1, ids.length], "int32")).logits.dataSync());

  test("experts and attention that give 0 leave the embedding, normed, as the last layer sees it", () => {
    const model = modelWith({}), ids = [4, 11, 2];
    for (const [name, weight] of model.parameters()) if (/(down|output)$/.test(name)) weight.assign(tf.zerosLike(weight));
    const embedding = toRows(model.parameters().get("embedding") as tf.Tensor2D), { normEpsilon } = model.config;
    const expected = ids.flatMap((id) => {
      const root = Math.sqrt(sum(embedding[id].map((x) => x * x)) / 16 + normEpsilon);
      return embedding.map((row) => sum(row.map((x, c) => x * embedding[id][c])) / root);
    });
    logitsOf(model, ids).forEach((logit, i) => { expect(logit).toBeCloseTo(expected[i], 4); });
  });

  test("every earlier token and no later one reaches a score", () => {
    const model = modelWith({}), ids = [4, 11, 2, 9, 17], changed = 2;
    const before = logitsOf(model, ids), after = logitsOf(model, ids.map((id, t) => (t === changed ? 5 : id)));
    const moves = ids.map((_, t) => before.slice(t * V, (t + 1) * V).some((logit, v) => logit !== after[t * V + v]));
    expect(moves).toEqual([false, false, true, true, true]);
  });
});

describe("mistake 9: optimizer, random numbers and the place in the data missing from checkpoints", () => {
  // tests/train/killedRun.test.ts compares whole runs bit for bit, whenever they are killed.
  const corpus = Int32Array.from({ length: 400 }, (_, i) => (i * 7) % V);
  test("a run with noise and dropout that is stopped and resumed has the losses of one that wasn't", async () => {
    const folder = (name: string): string => join(mkdtempSync(join(tmpdir(), "moe-lab-resume-")), name);
    const recipe = { steps: 6, batchSize: 2, contextLength: T, warmupSteps: 2, checkpointEvery: 3, seed: 4 };
    const make = (): Transformer => modelWith({ router: { kind: "noisyTopK" }, expertDropout: 0.2 });
    const lossesOf = async (path: string, halfway: boolean): Promise<number[]> => {
      const losses: number[] = [], stop = new AbortController();
      const onStep = ({ step, lossNats }: { step: number; lossNats: number }): void => { losses.push(lossNats); if (halfway && step === 3) stop.abort(); };
      await train(make(), { train: corpus, validation: corpus.slice(0, 64) }, recipe, { runFolder: path, onStep, signal: stop.signal });
      if (halfway) await train(make(), { train: corpus, validation: corpus.slice(0, 64) }, recipe, { runFolder: path, ifExists: "resume", onStep: ({ lossNats }) => { losses.push(lossNats); } });
      return losses;
    };
    expect(await lossesOf(folder("stopped"), true)).toEqual(await lossesOf(folder("whole"), false));
  });
});

describe("mistake 10: low-rank adapters that skip the experts' fused weights", () => {
  test("every expert of a stacked weight gets an adapter, trained by a gradient of its own", () => {
    const { model } = addLora(modelWith({}), { rank: 2, targets: ["layers.*.moe.experts.*"] });
    const adapters = [...model.parameters()].filter(([name]) => /experts\.(gateUp|down)\.loraB$/.test(name));
    expect(adapters.map(([, weight]) => weight.shape[0])).toEqual([E, E, E, E]);
    const ids = tf.tensor2d(Array.from({ length: 2 * T }, (_, i) => (i * 5) % V), [2, T], "int32");
    const { grads } = tf.variableGrads(() => tf.sum<tf.Scalar>(tf.square(model.forward(ids).logits)), adapters.map(([, weight]) => weight));
    for (const [name, weight] of adapters) {
      const sizes = Array.from(tf.sum(tf.abs(grads[weight.name]), [1, 2]).dataSync());
      expect(sizes.filter((size) => size > 0).length, name).toBe(E);
    }
  });
});
