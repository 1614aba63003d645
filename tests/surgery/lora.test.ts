import * as tf from "@tensorflow/tfjs-core";
import { beforeAll, describe, expect, test } from "vitest";
import { withActivationStorage } from "../../toolkit/backend/activationStorage.ts";
import { transformerConfig } from "../../toolkit/models/config.ts";
import { Transformer } from "../../toolkit/models/transformer.ts";
import type { LoraConfig } from "../../toolkit/nn/lora.ts";
import { WeightScope } from "../../toolkit/nn/module.ts";
import { crossEntropy } from "../../toolkit/ops/crossEntropy.ts";
import { RandomSource } from "../../toolkit/random.ts";
import { addLora, mergeLora } from "../../toolkit/surgery/lora.ts";
import { backends, errorCode } from "../ops/backends.ts";
import { B, T, distance, logitsOf, randomModel, small, tokens, V, valuesOf, weightOf } from "./smallModels.ts";

const everywhere: LoraConfig = { rank: 2, alpha: 3, targets: ["layers.*.attention.*", "layers.*.moe.experts.*"] };

/** Gives A and B random values, so that the adapters change something. */
function fillAdapters(model: Transformer): void {
  const random = new RandomSource(4);
  for (const [name, variable] of model.parameters()) {
    if (/lora[AB]$/.test(name)) tf.tidy(() => { variable.assign(tf.tensor(Float32Array.from({ length: variable.size }, () => 0.3 * random.normal()), variable.shape)); });
  }
}

/** alpha/rank · A·B by loops in double, for [I, O] and for stacks [E, I, O]. */
function changeOf(model: Transformer, name: string): Float64Array {
  const { rank, alpha = rank } = model.config.lora as LoraConfig;
  const a = valuesOf(model, `${name}.loraA`), b = valuesOf(model, `${name}.loraB`);
  const [I, O] = weightOf(model, name).shape.slice(-2);
  return Float64Array.from({ length: weightOf(model, name).size }, (_, at) => {
    const e = Math.floor(at / (I * O)), i = Math.floor(at / O) % I, o = at % O;
    let sum = 0;
    for (let r = 0; r < rank; r++) sum += a[(e * I + i) * rank + r] * b[(e * rank + r) * O + o];
    return (alpha / rank) * sum;
  });
}

/** A model without adapters whose weights are W + change, by loops. */
function plainlyMerged(model: Transformer, adapted: readonly string[]): Transformer {
  const plain = randomModel({ ...model.config, lora: undefined });
  for (const [name, variable] of plain.state()) {
    const values = valuesOf(model, name);
    if (adapted.includes(name)) changeOf(model, name).forEach((change, i) => { values[i] += change; });
    tf.tidy(() => { variable.assign(tf.tensor(values, variable.shape)); });
  }
  return plain;
}

function gradients(model: Transformer): { [name: string]: tf.Tensor | undefined } {
  const targets = tf.tensor1d(Int32Array.from({ length: B * T }, (_, i) => (i * 5 + 1) % V), "int32");
  const { grads } = tf.variableGrads(() => crossEntropy(model.forward(tokens()).logits, targets), [...model.parameters().values()]);
  return Object.fromEntries([...model.parameters()].map(([name, variable]) => [name, grads[variable.name]]));
}

describe.each(backends)("on %s, adapters", (backend) => {
  beforeAll(async () => { await tf.setBackend(backend); });

  test("change nothing at first, and leave the model they were added to alone", () => {
    const model = randomModel(small);
    const before = logitsOf(model);
    const { model: adapted } = addLora(model, everywhere, { seed: 1 });
    expect([...logitsOf(adapted)]).toEqual([...before]);
    fillAdapters(adapted);
    tf.tidy(() => { weightOf(adapted, "finalNorm").assign(tf.zeros([8])); });
    expect([...logitsOf(model)]).toEqual([...before]);
  });

  test("add alpha/rank · A·B to matrices of attention and of every expert", () => {
    const { model, adapted } = addLora(randomModel(small), everywhere, { seed: 1 });
    fillAdapters(model);
    expect(adapted).toEqual([0, 1].flatMap((layer) => [...["query", "key", "value", "output"].map((name) => `layers.${layer}.attention.${name}`), `layers.${layer}.moe.experts.gateUp`, `layers.${layer}.moe.experts.down`]));
    const wanted = logitsOf(plainlyMerged(model, adapted));
    expect(distance(logitsOf(model), wanted)).toBeLessThan(1e-5);
    expect(distance(logitsOf(addLora(randomModel(small), everywhere).model), wanted)).toBeGreaterThan(0.01);
  });

  test("reach fused expert weights: each expert has an A and a B of its own", () => {
    const { model } = addLora(randomModel(small), { rank: 3, targets: ["**.experts.gateUp"] });
    expect(weightOf(model, "layers.0.moe.experts.gateUp.loraA").shape).toEqual([4, 8, 3]);
    expect(weightOf(model, "layers.0.moe.experts.gateUp.loraB").shape).toEqual([4, 3, 12]);
    expect(weightOf(model, "layers.0.moe.experts.gateUp").shape).toEqual([4, 8, 12]);
  });

  test("are all that is trained, with the gradients that the chain rule makes of those of the whole weights", () => {
    const { model, adapted } = addLora(randomModel(small), everywhere, { seed: 1 });
    fillAdapters(model);
    const got = gradients(model);
    const trained = Object.keys(got).filter((name) => got[name]);
    expect(trained.sort()).toEqual(adapted.flatMap((name) => [`${name}.loraA`, `${name}.loraB`]).sort());

    const whole = gradients(plainlyMerged(model, adapted));
    for (const name of adapted) {
      const [I, O] = weightOf(model, name).shape.slice(-2), rank = 2, scale = 3 / 2;
      const dW = whole[name]?.dataSync() ?? new Float32Array(0), a = valuesOf(model, `${name}.loraA`), b = valuesOf(model, `${name}.loraB`);
      const dA = new Float32Array(a.length), dB = new Float32Array(b.length);
      dW.forEach((d, at) => {
        const e = Math.floor(at / (I * O)), i = Math.floor(at / O) % I, o = at % O;
        for (let r = 0; r < rank; r++) {
          dA[(e * I + i) * rank + r] += scale * d * b[(e * rank + r) * O + o];
          dB[(e * rank + r) * O + o] += scale * d * a[(e * I + i) * rank + r];
        }
      });
      expect(distance(got[`${name}.loraA`]?.dataSync() as Float32Array, dA), name).toBeLessThan(1e-4);
      expect(distance(got[`${name}.loraB`]?.dataSync() as Float32Array, dB), name).toBeLessThan(1e-4);
    }
  });

  test("merge into plain weights that compute the same", () => {
    const { model } = addLora(randomModel(small), everywhere, { seed: 1 });
    fillAdapters(model);
    const merged = mergeLora(model);
    expect(merged.config.lora).toBeUndefined();
    expect([...merged.parameters().keys()]).toEqual([...randomModel(small).parameters().keys()]);
    expect(distance(logitsOf(merged), logitsOf(model))).toBeLessThan(1e-6);
  });
});

describe("adapters", () => {
  test("are part of the config: a model built from it has the same weights by name, and the same are trained", () => {
    const { model } = addLora(randomModel(small), { ...everywhere, train: ["**.router.*"] });
    const again = new Transformer(JSON.parse(JSON.stringify(model.config)) as Transformer["config"]);
    const describeWeights = (of: Transformer): unknown[] => [...of.parameters()].map(([name, { shape, trainable }]) => [name, shape, trainable]);
    expect(describeWeights(again)).toEqual(describeWeights(model));
  });

  test("leave weights named by `train` trained", () => {
    const { model } = addLora(randomModel(small), { rank: 1, targets: ["**.query"], train: ["**.router.*", "finalNorm"] });
    const trained = [...model.parameters()].filter(([, { trainable }]) => trainable).map(([name]) => name);
    expect(trained).toEqual([0, 1].flatMap((layer) => [`layers.${layer}.attention.query.loraA`, `layers.${layer}.attention.query.loraB`, `layers.${layer}.moe.router.gate`]).concat("finalNorm"));
  });

  test("reach shared experts, the dense branch, mixed kinds and dense layers too", () => {
    const experts = { kind: "mixed", groups: [{ count: 2, expert: { kind: "geglu" } }, { count: 2, expert: { kind: "lora", rank: 2 } }] } as const;
    const model = randomModel({ ...small, firstDenseLayers: 1, moe: { ...small.moe, experts, sharedExperts: { count: 1 }, residual: {} } });
    const { adapted } = addLora(model, { rank: 1, targets: ["**.down"] });
    expect(adapted).toEqual(["layers.0.feedForward.down", "layers.1.moe.experts.0.down", "layers.1.moe.experts.1.base.down", "layers.1.moe.sharedExperts.down", "layers.1.moe.residual.down"]);
  });

  test("name every weight that a target fits and that can have none", () => {
    const { adapted, skipped } = addLora(randomModel(small), { rank: 1, targets: ["layers.0.**"] });
    expect(adapted).toHaveLength(6);
    expect([...skipped].sort()).toEqual(["layers.0.attentionNorm", "layers.0.moe.router.gate", "layers.0.moeNorm"]);
  });

  test.each<[string, LoraConfig, string]>([
    ["a target that fits nothing", { rank: 2, targets: ["**.query", "layers.*.mlp.*"] }, "E_WEIGHT_PATTERN"],
    ["a target that fits only what can have no adapter", { rank: 2, targets: ["**.query", "**.router.*"] }, "E_LORA_TARGET"],
    ["a `train` that fits nothing", { rank: 2, targets: ["**.query"], train: ["gate"] }, "E_WEIGHT_PATTERN"],
    ["no targets", { rank: 2, targets: [] }, "E_CONFIG_LORA"],
    ["a rank of 0", { rank: 0, targets: ["**.query"] }, "E_CONFIG_LORA"],
    ["an alpha of 0", { rank: 1, alpha: 0, targets: ["**.query"] }, "E_CONFIG_LORA"],
  ])("%s is refused, and no weight is left behind", (_, lora, code) => {
    const model = randomModel(small);
    const before = tf.memory().numTensors;
    expect(errorCode(() => addLora(model, lora))).toBe(code);
    expect(tf.memory().numTensors).toBe(before);
  });

  test("are added once and merged once", () => {
    const model = randomModel(small);
    const { model: adapted } = addLora(model, everywhere);
    expect(errorCode(() => addLora(adapted, everywhere))).toBe("E_LORA_PRESENT");
    expect(errorCode(() => mergeLora(model))).toBe("E_LORA_MISSING");
  });

  test("cost nothing where there are none: a layer reads the variable itself", () => {
    const weight = new WeightScope({ weights: new Map(), buffers: new Map() }, new RandomSource(1)).matrix<tf.Rank.R2>("query", [2, 2], 1);
    expect(weight.value()).toBe(weight.variable);
  });

  test.runIf(backends.includes("native"))("keep adapted weights in float32, however activations are kept", async () => {
    await tf.setBackend("native");
    const lora: LoraConfig = { rank: 1, targets: ["query"] };
    const variables = { weights: new Map<string, tf.Variable>(), buffers: new Map<string, tf.Variable>() };
    const weight = new WeightScope(variables, new RandomSource(1), "", lora).matrix<tf.Rank.R2>("query", [64, 64], 1);
    const exact = weight.variable.dataSync().slice();
    expect([...withActivationStorage("bfloat16", () => weight.value()).dataSync()]).toEqual([...exact]);
  });

  test("the same seed gives the same adapters", () => {
    const values = (seed: number): Float32Array => valuesOf(addLora(randomModel(small), everywhere, { seed }).model, "layers.0.attention.query.loraA");
    expect([...values(1)]).toEqual([...values(1)]);
    expect([...values(1)]).not.toEqual([...values(2)]);
  });
});

test("a config with adapters is checked as a whole", () => {
  expect(errorCode(() => transformerConfig({ ...small, lora: { rank: 1.5, targets: ["**.query"] } }))).toBe("E_CONFIG_LORA");
});
