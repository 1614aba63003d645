/** Compares our decoder with HuggingFace's transformers: logits, gradients and number of weights. Runs with PEERS=1. */
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as tf from "@tensorflow/tfjs-core";
import { beforeAll, describe, expect, test } from "vitest";
import { chooseBackend } from "../../toolkit/backend/choose.ts";
import { writeSafetensors, type NamedArray } from "../../toolkit/export/safetensors.ts";
import { transformerConfig, type TransformerSettings } from "../../toolkit/models/config.ts";
import { modelSize } from "../../toolkit/models/count.ts";
import { preset } from "../../toolkit/models/presets.ts";
import { Transformer } from "../../toolkit/models/transformer.ts";
import { crossEntropy } from "../../toolkit/ops/crossEntropy.ts";
import { RandomSource } from "../../toolkit/random.ts";
import { TRANSFORMERS_RELEASE, transformersPython } from "./transformersPython.ts";

const script = join(import.meta.dirname, "architectures.py");
const found = transformersPython();
const problem = "problem" in found ? found.problem : undefined;
if (problem !== undefined) console.warn(`tests/peers/architectures.test.ts is SKIPPED, so parity of Mixtral, OLMoE and Qwen3-MoE is unchecked: ${problem}`);

function runPython(args: readonly string[], input?: string): unknown {
  if (!("python" in found)) throw new Error(found.problem);
  return JSON.parse(execFileSync(found.python, [script, ...args], { input, stdio: [input === undefined ? "ignore" : "pipe", "pipe", "pipe"] }).toString("utf8"));
}

const layouts = ["mixtral", "olmoe", "qwen3Moe"] as const;
type Layout = (typeof layouts)[number] | "qwen2Moe";

interface ParityCase {
  readonly layout: Layout;
  readonly settings: TransformerSettings;
  /** PyTorch's attention: "eager" forms all scores, "sdpa" is scaled_dot_product_attention */
  readonly attention: "eager" | "sdpa";
  /** tell PyTorch which keys each query sees, instead of leaving the mask to transformers */
  readonly explicitMask: boolean;
  /** lengths of the documents in each row, where rows are packed */
  readonly documents?: readonly (readonly number[])[];
}

const [B, T] = [2, 37];
const outer = { vocabSize: 61, numLayers: 3, width: 48, numHeads: 6, headSize: 8, contextLength: 64, normEpsilon: 1e-5, tiedEmbeddings: false } as const;
const experts = { numExperts: 8, expertsPerToken: 3, expertWidth: 20 };
const raw = { kind: "topK", renormalize: false } as const;
const renormalized = { kind: "topK", renormalize: true } as const;
const causal = { attention: "eager", explicitMask: false } as const;
const grouped = { ...outer, numKeyValueHeads: 2 };

const cases: readonly (readonly [string, ParityCase])[] = [
  ["Mixtral: grouped heads, untied head", { ...causal, layout: "mixtral", settings: { ...grouped, ropeBase: 1e6, moe: { ...experts, router: renormalized } } }],
  ["Mixtral with tied embeddings, one key/value head and heads wider than the model", {
    ...causal, layout: "mixtral", settings: { ...outer, headSize: 12, numKeyValueHeads: 1, tiedEmbeddings: true, moe: { ...experts, router: renormalized } } }],
  ["Mixtral with a sliding window, by transformers' own mask", { ...causal, layout: "mixtral", settings: { ...grouped, slidingWindow: 9, moe: { ...experts, router: renormalized } } }],
  ["Mixtral with a sliding window, by SDPA with an explicit mask", {
    layout: "mixtral", attention: "sdpa", explicitMask: true, settings: { ...grouped, slidingWindow: 9, moe: { ...experts, router: renormalized } } }],
  ["OLMoE: one norm over all heads of queries and of keys, raw weights", { ...causal, layout: "olmoe", settings: { ...outer, qkNorm: "whole", moe: { ...experts, router: raw } } }],
  ["OLMoE with grouped heads and renormalised weights", { ...causal, layout: "olmoe", settings: { ...grouped, qkNorm: "whole", moe: { ...experts, router: renormalized } } }],
  ["Qwen3-MoE: a norm of each head, grouped heads, renormalised weights", {
    ...causal, layout: "qwen3Moe", settings: { ...grouped, headSize: 16, qkNorm: "head", ropeBase: 1e6, normEpsilon: 1e-6, moe: { ...experts, router: renormalized } } }],
  ["Qwen3-MoE with raw weights, biases and every second layer dense", {
    ...causal, layout: "qwen3Moe", settings: { ...grouped, numLayers: 4, qkNorm: "head", attentionBias: true, moeEvery: 2, denseWidth: 52, moe: { ...experts, router: raw } } }],
  ["Qwen3-MoE with dense first layers", {
    ...causal, layout: "qwen3Moe", settings: { ...grouped, numLayers: 4, qkNorm: "head", firstDenseLayers: 2, denseWidth: 33, moe: { ...experts, router: renormalized } } }],
  ["Qwen2-MoE: a gated shared expert beside the others, biases of queries, keys and values", {
    ...causal, layout: "qwen2Moe", settings: { ...grouped, attentionBias: true, denseWidth: 40, moe: { ...experts, router: raw, sharedExperts: { count: 2, width: 14, isGated: true } } } }],
  ["Mixtral on rows of packed documents, by SDPA with an explicit mask", {
    layout: "mixtral", attention: "sdpa", explicitMask: true, settings: { ...grouped, moe: { ...experts, router: renormalized } }, documents: [[5, 20, 1, 11], [37]] }],
  ["OLMoE on packed documents with a sliding window, by SDPA with an explicit mask", {
    layout: "olmoe", attention: "sdpa", explicitMask: true, settings: { ...outer, qkNorm: "whole", slidingWindow: 6, moe: { ...experts, router: raw } }, documents: [[30, 7], [2, 2, 33]] }],
];

/** A model whose every weight matters: fresh ones are near zero, and gains all 1. */
function modelOf(settings: TransformerSettings): Transformer {
  const model = new Transformer(transformerConfig(settings), { seed: 11 });
  const random = new RandomSource(12);
  for (const [name, weight] of model.parameters()) {
    const noise = tf.tensor(Float32Array.from({ length: weight.size }, () => 0.3 * random.normal()), weight.shape);
    weight.assign(weight.rank === 1 ? tf.add(weight, noise) : tf.mul(weight, name === "embedding" ? 40 : 8));
  }
  return model;
}

function documentStarts(documents: ParityCase["documents"]): Int32Array | undefined {
  return documents && Int32Array.from(documents.flatMap((lengths) => {
    let start = 0;
    return lengths.flatMap((length) => { start += length; return new Array<number>(length).fill(start - length); });
  }));
}

/** Inputs, weights, logits and gradients of a case, as architectures.py reads them. */
function referenceOf({ layout, settings, attention, explicitMask, documents }: ParityCase): { file: Uint8Array; names: string[] } {
  const model = modelOf(settings), { vocabSize } = model.config;
  const random = new RandomSource(13);
  const tokens = (): Int32Array => Int32Array.from({ length: B * T }, () => Math.floor(random.next() * vocabSize));
  const [ids, targets, starts] = [tokens(), tokens(), documentStarts(documents)];
  const arrays = new Map<string, NamedArray>([["ids", tokenArray(ids)], ["targets", tokenArray(targets)]]);
  if (starts) arrays.set("documentStart", tokenArray(starts));
  const names = [...model.parameters().keys()];
  tf.tidy(() => {
    const forward = () => model.forward(tf.tensor2d(ids, [B, T], "int32"), { documentStart: starts && tf.tensor1d(starts, "int32") }).logits;
    const { grads } = tf.variableGrads(() => crossEntropy(forward(), tf.tensor1d(targets, "int32")));
    arrays.set("expected.logits", arrayOf(forward()));
    for (const [name, weight] of model.parameters()) {
      arrays.set(`weight.${name}`, arrayOf(weight));
      arrays.set(`expected.gradient.${name}`, arrayOf(grads[weight.name]));
    }
  });
  const file = writeSafetensors(arrays, { settings: JSON.stringify({ layout, attention, explicitMask, config: model.config }) });
  model.dispose();
  return { file, names };
}

function tokenArray(data: Int32Array): NamedArray {
  return { dtype: "int32", shape: [B, T], data };
}

function arrayOf(tensor: tf.Tensor): NamedArray {
  return { dtype: "float32", shape: tensor.shape, data: tensor.dataSync<"float32">().slice() };
}

describe.skipIf(problem !== undefined)(`transformers ${TRANSFORMERS_RELEASE}${problem === undefined ? "" : ` (SKIPPED: ${problem})`}`, () => {
  /** of each case: what is compared, and how far apart the two sides are */
  let results: { readonly names: readonly string[]; readonly distances: Readonly<Record<string, number>> }[] = [];

  beforeAll(async () => {
    await chooseBackend();
    const folder = mkdtempSync(join(tmpdir(), "moe-lab-architectures-"));
    try {
      const references = cases.map(([, parityCase], i) => ({ path: join(folder, `${i}.safetensors`), ...referenceOf(parityCase) }));
      references.forEach(({ path, file }) => { writeFileSync(path, file); });
      const distances = runPython(references.map(({ path }) => path)) as Record<string, number>[];
      results = references.map(({ names }, i) => ({ names, distances: distances[i] }));
    } finally {
      rmSync(folder, { recursive: true });
    }
  }, 600_000);

  test.each(cases.map(([name], i) => [name, i] as const))("%s: the same logits and gradients to 1e-4 of the largest", (_, i) => {
    const { names, distances } = results[i];
    expect(Object.keys(distances).sort()).toEqual(["logits", ...names].sort());
    expect(Object.entries(distances).filter(([, distance]) => !(distance <= 1e-4))).toEqual([]);
  });

  test("the published presets of these layouts have as many weights as transformers' models", () => {
    const configs = Object.fromEntries(layouts.map((layout) => [layout, preset(layout)]));
    expect(runPython(["--sizes"], JSON.stringify(configs))).toEqual(Object.fromEntries(layouts.map((layout) => [layout, modelSize(configs[layout]).totalParameters])));
  }, 300_000);
});
