import type { MoeConfig, MoeSettings } from "../moe/config.ts";
import { transformerConfig, type TransformerConfig, type TransformerSettings } from "./config.ts";

/** Published architectures as settings of one config. Loss weights are the published ones where the source names them. */
interface Preset {
  readonly published: TransformerSettings;
  /** What a small one has otherwise; the ratios of widths, heads and experts stay. */
  readonly tiny: Partial<Omit<TransformerSettings, "moe">> & { readonly moe: Partial<MoeConfig> };
}

const raw = { kind: "topK", renormalize: false } as const;
const renormalized = { kind: "topK", renormalize: true } as const;
const withoutZLoss = { zLossWeight: 0 } as const;
const tinyOuter = { vocabSize: 512, width: 64, numLayers: 4, numHeads: 4, numKeyValueHeads: 4, headSize: 16, contextLength: 128 } as const;

/** Mixtral 8x7B. Sources: arXiv:2401.04088 table 1; config.json of mistralai/Mixtral-8x7B-v0.1. A sliding window of 4096 tokens,
 *  as Mistral 7B has (arXiv:2310.06825), is set by slidingWindow: 4096. */
const mixtral: Preset = {
  published: {
    vocabSize: 32_000, numLayers: 32, width: 4096, numHeads: 32, numKeyValueHeads: 8, headSize: 128, contextLength: 32_768,
    ropeBase: 1e6, normEpsilon: 1e-5, tiedEmbeddings: false,
    moe: { numExperts: 8, expertsPerToken: 2, expertWidth: 14_336, router: renormalized, ...withoutZLoss },
  },
  tiny: { ...tinyOuter, numKeyValueHeads: 1, moe: { expertWidth: 224 } },
};

/** Decoder of the shape of Switch-Base: experts in every second layer, one for each token. Source: arXiv:2101.03961 table 9 and
 *  §2. Switch is an encoder and a decoder with relative position biases; this is a decoder with rotary positions, so it has
 *  about half of the published 7 B weights. */
const switchBase: Preset = {
  published: {
    vocabSize: 32_128, numLayers: 12, width: 768, numHeads: 12, headSize: 64, contextLength: 512, normEpsilon: 1e-6, tiedEmbeddings: false,
    moeEvery: 2, denseWidth: 2048, denseExpert: { kind: "geglu" },
    moe: {
      numExperts: 128, expertsPerToken: 1, expertWidth: 2048, experts: { kind: "geglu" }, router: { kind: "switch", jitter: 0.01 },
      capacity: { kind: "factor", factor: 1.25, dropOrder: "position", applyInEvaluation: true }, balanceLossWeight: 0.01, ...withoutZLoss,
    },
  },
  tiny: { ...tinyOuter, denseWidth: 168, moe: { numExperts: 16, expertWidth: 168 } },
};

/** GLaM (64B/64E): experts of two matrices in every second layer, dense layers with a GELU gate. Source: arXiv:2112.06905 §4 and
 *  table 4. GLaM has relative position biases; this has rotary positions. Its capacity is not set here: dropless. */
const glam: Preset = {
  published: {
    vocabSize: 256_000, numLayers: 64, width: 8192, numHeads: 128, headSize: 128, contextLength: 1024, tiedEmbeddings: true,
    moeEvery: 2, denseWidth: 32_768, denseExpert: { kind: "geglu" },
    moe: { numExperts: 64, expertsPerToken: 2, expertWidth: 32_768, experts: { kind: "gelu" }, router: renormalized, balanceLossWeight: 0.01, ...withoutZLoss },
  },
  tiny: { ...tinyOuter, numHeads: 8, numKeyValueHeads: 8, denseWidth: 256, moe: { numExperts: 16, expertWidth: 256 } },
};

/** OLMoE-1B-7B. Sources: arXiv:2409.02060; config.json of allenai/OLMoE-1B-7B-0924 */
const olmoe: Preset = {
  published: {
    vocabSize: 50_304, numLayers: 16, width: 2048, numHeads: 16, headSize: 128, contextLength: 4096, qkNorm: "whole",
    normEpsilon: 1e-5, tiedEmbeddings: false,
    moe: { numExperts: 64, expertsPerToken: 8, expertWidth: 1024, router: raw, balanceLossWeight: 0.01, zLossWeight: 0.001 },
  },
  tiny: { ...tinyOuter, moe: { numExperts: 16, expertsPerToken: 2, expertWidth: 32 } },
};

/** Qwen3-30B-A3B. Sources: arXiv:2505.09388; config.json of Qwen/Qwen3-30B-A3B */
const qwen3Moe: Preset = {
  published: {
    vocabSize: 151_936, numLayers: 48, width: 2048, numHeads: 32, numKeyValueHeads: 4, headSize: 128, contextLength: 40_960,
    ropeBase: 1e6, qkNorm: "head", normEpsilon: 1e-6, tiedEmbeddings: false,
    moe: { numExperts: 128, expertsPerToken: 8, expertWidth: 768, router: renormalized, balanceScope: "global", ...withoutZLoss },
  },
  tiny: { ...tinyOuter, numHeads: 8, numKeyValueHeads: 1, moe: { numExperts: 32, expertsPerToken: 2, expertWidth: 24 } },
};

/** DeepSeekMoE 16B: narrow experts, two shared ones, the first layer dense. Sources: arXiv:2401.06066 §5.1; config.json of
 *  deepseek-ai/deepseek-moe-16b-base */
const deepseekMoe: Preset = {
  published: {
    vocabSize: 102_400, numLayers: 28, width: 2048, numHeads: 16, headSize: 128, contextLength: 4096, normEpsilon: 1e-6,
    tiedEmbeddings: false, firstDenseLayers: 1, denseWidth: 10_944,
    moe: {
      numExperts: 64, expertsPerToken: 6, expertWidth: 1408, sharedExperts: { count: 2 }, router: raw, balanceLossWeight: 0.001, ...withoutZLoss,
    },
  },
  tiny: { ...tinyOuter, denseWidth: 342, moe: { numExperts: 32, expertsPerToken: 3, expertWidth: 44, sharedExperts: { count: 1 } } },
};

/** DeepSeek-V3: sigmoid scores with a bias, groups of experts. Sources: arXiv:2412.19437 §4.2; config.json of
 *  deepseek-ai/DeepSeek-V3. Its multi-head latent attention is not built: this has plain attention with 128 heads of 128, and so
 *  17 B more weights than the published 671 B. The module that predicts a second token is not built either. */
const deepseekV3: Preset = {
  published: {
    vocabSize: 129_280, numLayers: 61, width: 7168, numHeads: 128, headSize: 128, contextLength: 4096, normEpsilon: 1e-6,
    tiedEmbeddings: false, firstDenseLayers: 3, denseWidth: 18_432,
    moe: {
      numExperts: 256, expertsPerToken: 8, expertWidth: 2048, sharedExperts: { count: 1 },
      router: { kind: "sigmoid", biasUpdateRate: 0.001, renormalize: true, routedScalingFactor: 2.5, groupLimit: { numGroups: 8, groupsPerToken: 4 } },
      balanceLossWeight: 0, sequenceBalanceLossWeight: 1e-4, ...withoutZLoss,
    },
  },
  tiny: {
    ...tinyOuter, numHeads: 8, numKeyValueHeads: 8, firstDenseLayers: 1, denseWidth: 165,
    moe: {
      numExperts: 32, expertsPerToken: 4, expertWidth: 18,
      router: { kind: "sigmoid", biasUpdateRate: 0.001, renormalize: true, routedScalingFactor: 2.5, groupLimit: { numGroups: 4, groupsPerToken: 2 } },
    },
  },
};

const presets = { mixtral, switch: switchBase, glam, olmoe, qwen3Moe, deepseekMoe, deepseekV3 } as const satisfies Record<string, Preset>;

export type PresetName = keyof typeof presets;
export const presetNames = Object.keys(presets) as readonly PresetName[];

/** What differs from the preset; settings of `moe` one by one. */
export type PresetOverrides = Partial<Omit<TransformerSettings, "moe">> & {
  readonly moe?: Partial<MoeSettings>;
  /** "tiny" has the shape of the published model, its ratios, at a width of 64: for notebooks and tests. "published" by default */
  readonly scale?: "published" | "tiny";
};

/** The config of a published architecture: mixtral, switch, glam, olmoe, qwen3Moe, deepseekMoe, deepseekV3; at its published size
 *  unless scale is "tiny". Positions are rotary and attention is plain or grouped in all of them; each preset says what of the
 *  published model is not built.
 *  @throws ConfigError E_CONFIG_* when the overrides don't fit */
export function preset(name: PresetName, { scale = "published", moe, ...outer }: PresetOverrides = {}): TransformerConfig {
  const { published, tiny } = presets[name];
  const size = scale === "tiny" ? tiny : { moe: {} };
  return transformerConfig({ ...published, ...size, ...outer, moe: { ...published.moe, ...size.moe, ...moe } });
}
