import { ConfigError } from "../errors.ts";
import { checkCount, moeConfig, type MoeConfig, type MoeSettings } from "../moe/config.ts";
import { defaultExpert, denseKind, isFeedForward, type FeedForwardConfig } from "../moe/expertConfig.ts";
import { refuseUnknownSettings } from "../moe/knownSettings.ts";
import { qkNorms, type QkNorm } from "../nn/attention.ts";
import { checkLoraConfig, type LoraConfig } from "../nn/lora.ts";
import { normKinds, type NormKind } from "../nn/norm.ts";

/** Complete description of a decoder. */
export interface TransformerConfig {
  /** V */
  readonly vocabSize: number;
  readonly numLayers: number;
  /** C */
  readonly width: number;
  readonly numHeads: number;
  /** Groups of grouped-query attention; equal to numHeads for plain attention. Divides numHeads. */
  readonly numKeyValueHeads: number;
  /** D, even (rotary turns pairs) */
  readonly headSize: number;
  /** Most tokens in one sequence. */
  readonly contextLength: number;
  /** Base of the rotary frequencies. */
  readonly ropeBase: number;
  /** Most keys that a token sees, its own among them; all when left out. */
  readonly slidingWindow?: number;
  /** RMS norm of queries and keys: "none"; "head", each head by itself (Qwen3); "whole", all heads together (OLMoE). */
  readonly qkNorm: QkNorm;
  /** Biases of queries, keys and values (Qwen2). */
  readonly attentionBias: boolean;
  readonly norm: NormKind;
  readonly normEpsilon: number;
  /** Use the embedding also as output head. */
  readonly tiedEmbeddings: boolean;
  /** Dense layers next to the embedding (DeepSeek). As many as numLayers: a dense model, whose `moe` is without effect. */
  readonly firstDenseLayers: number;
  /** 2 makes every second layer sparse (GLaM, Switch), 1 every one. Layer l is sparse where moeEvery divides l + 1 and
   *  l ≥ firstDenseLayers; the others are dense. */
  readonly moeEvery: number;
  /** Hidden width of the feed-forward part of dense layers. */
  readonly denseWidth: number;
  /** What that part is. */
  readonly denseExpert: FeedForwardConfig;
  readonly moe: MoeConfig;
  /** Low-rank adapters; all other weights are then frozen. */
  readonly lora?: LoraConfig;
}

/** The names of all settings: one that is missing here doesn't compile. */
const knownSettings = {
  vocabSize: true, numLayers: true, width: true, numHeads: true, numKeyValueHeads: true, headSize: true, contextLength: true, ropeBase: true,
  slidingWindow: true, qkNorm: true, attentionBias: true, norm: true, normEpsilon: true, tiedEmbeddings: true, firstDenseLayers: true, moeEvery: true,
  denseWidth: true, denseExpert: true, moe: true, lora: true,
} as const satisfies Record<keyof TransformerConfig, true>;

type OuterSettings = Pick<TransformerConfig, "vocabSize" | "numLayers" | "width" | "numHeads" | "contextLength"> & Partial<Omit<TransformerConfig, "moe">>;

/** What a user has to say of a decoder; the rest has defaults. */
export type TransformerSettings = OuterSettings & { readonly moe: MoeSettings };

/** What a user has to say of a decoder without experts. */
export type DenseTransformerSettings = OuterSettings & { readonly denseWidth: number; readonly moe?: undefined };

/** Fills in the defaults, also for files of older versions, and checks every setting. denseWidth is by default the width of a token's experts together, and
 *  denseExpert their kind.
 *  @throws ConfigError E_CONFIG_* naming the setting */
export function transformerConfig(settings: TransformerSettings | DenseTransformerSettings): TransformerConfig {
  refuseUnknownSettings("", settings, Object.keys(knownSettings));
  const { width, numHeads, numLayers } = settings;
  checkCount("width", width);
  checkCount("numHeads", numHeads);
  if (settings.headSize === undefined && width % numHeads !== 0) {
    throw new ConfigError({
      code: "E_CONFIG_HEADS", what: `numHeads ${numHeads} doesn't divide width ${width}`,
      why: "each head gets width / numHeads channels", fix: "choose numHeads as a divisor of width, or set headSize",
    });
  }
  const moe = moeConfig(settings.moe ?? onlyExpert(settings));
  const config: TransformerConfig = {
    numKeyValueHeads: numHeads,
    headSize: width / numHeads,
    ropeBase: 10_000, // Su et al. 2021, arXiv:2104.09864
    qkNorm: "none",
    attentionBias: false,
    norm: "rms",
    normEpsilon: 1e-5,
    tiedEmbeddings: true,
    firstDenseLayers: settings.moe ? 0 : numLayers,
    moeEvery: 1,
    denseWidth: moe.expertsPerToken * moe.expertWidth,
    denseExpert: denseKind(undefined, moe.experts),
    ...settings,
    moe,
  };
  return checkSettings(config);
}

/** True where the layer has experts; 0 is the layer next to the embedding. */
export function isSparseLayer(config: Pick<TransformerConfig, "firstDenseLayers" | "moeEvery">, layer: number): boolean {
  return layer >= config.firstDenseLayers && (layer + 1) % config.moeEvery === 0;
}

/** Layers with experts, from the embedding up. */
export function sparseLayers(config: Pick<TransformerConfig, "numLayers" | "firstDenseLayers" | "moeEvery">): number[] {
  return Array.from({ length: config.numLayers }, (_, layer) => layer).filter((layer) => isSparseLayer(config, layer));
}

/** The experts of a dense model, as if its feed-forward part were one. */
function onlyExpert({ denseWidth, denseExpert = defaultExpert }: DenseTransformerSettings): MoeSettings {
  if ((denseWidth as number | undefined) === undefined) {
    throw new ConfigError({
      code: "E_CONFIG_NO_FEED_FORWARD", what: "neither moe nor denseWidth is set", why: "a layer needs experts or a dense feed-forward part",
      fix: "set moe: { numExperts, expertsPerToken, expertWidth }, or denseWidth for a dense model",
    });
  }
  return { numExperts: 1, expertsPerToken: 1, expertWidth: denseWidth, experts: denseExpert };
}

function checkSettings(config: TransformerConfig): TransformerConfig {
  for (const name of ["vocabSize", "numLayers", "width", "numHeads", "numKeyValueHeads", "contextLength", "denseWidth"] as const) {
    checkCount(name, config[name]);
  }
  checkAttention(config);
  checkDenseLayers(config);
  for (const name of ["ropeBase", "normEpsilon"] as const) {
    if (!(Number.isFinite(config[name]) && config[name] > 0)) {
      throw new ConfigError({
        code: "E_CONFIG_POSITIVE", what: `${name} is ${config[name]}`, why: "it has to be a positive number",
        fix: `leave ${name} out for its default`,
      });
    }
  }
  checkKind("norm", config.norm, normKinds);
  checkKind("qkNorm", config.qkNorm, qkNorms);
  checkFlag("attentionBias", config.attentionBias);
  checkFlag("tiedEmbeddings", config.tiedEmbeddings);
  if (config.lora) checkLoraConfig(config.lora);
  return config;
}

function checkAttention(config: TransformerConfig): void {
  checkCount("headSize", config.headSize, 2);
  if (config.headSize % 2 !== 0) {
    throw new ConfigError({
      code: "E_CONFIG_HEAD_SIZE", what: `headSize is ${config.headSize}`,
      why: "rotary positions turn pairs of channels, so it has to be even", fix: "choose an even headSize",
    });
  }
  if (config.numHeads % config.numKeyValueHeads !== 0) {
    throw new ConfigError({
      code: "E_CONFIG_KEY_VALUE_HEADS",
      what: `numKeyValueHeads ${config.numKeyValueHeads} doesn't divide numHeads ${config.numHeads}`,
      why: "each key/value head serves the same number of query heads", fix: "choose numKeyValueHeads as a divisor of numHeads",
    });
  }
  if (config.slidingWindow !== undefined) checkCount("slidingWindow", config.slidingWindow);
}

function checkDenseLayers({ numLayers, firstDenseLayers, moeEvery, denseExpert }: TransformerConfig): void {
  checkCount("firstDenseLayers", firstDenseLayers, 0);
  checkCount("moeEvery", moeEvery);
  if (firstDenseLayers > numLayers) {
    throw new ConfigError({
      code: "E_CONFIG_DENSE_LAYERS", what: `firstDenseLayers is ${firstDenseLayers} with numLayers ${numLayers}`,
      why: "there are no more layers than numLayers", fix: `set firstDenseLayers to ${numLayers} for a dense model, or to less`,
    });
  }
  if (firstDenseLayers < numLayers && sparseLayers({ numLayers, firstDenseLayers, moeEvery }).length === 0) {
    throw new ConfigError({
      code: "E_CONFIG_MOE_EVERY", what: `moeEvery ${moeEvery} makes none of ${numLayers} layers sparse, with firstDenseLayers ${firstDenseLayers}`,
      why: "layer l has experts where moeEvery divides l + 1 and l ≥ firstDenseLayers",
      fix: `lower moeEvery, or set firstDenseLayers to ${numLayers} for a dense model`,
    });
  }
  if (!isFeedForward(denseExpert)) {
    throw new ConfigError({
      code: "E_CONFIG_EXPERT_KIND", what: `denseExpert.kind is ${JSON.stringify((denseExpert as { kind?: unknown }).kind)}`,
      why: "a dense layer is a feed-forward part", fix: 'set it to e.g. "swiglu" or "gelu"',
    });
  }
}

function checkKind(name: string, value: string, kinds: readonly string[]): void {
  if (kinds.includes(value)) return;
  throw new ConfigError({
    code: "E_CONFIG_KIND", what: `${name} is ${JSON.stringify(value)}`, why: `it is one of ${kinds.join(", ")}`, fix: `set ${name} to one of them`,
  });
}

function checkFlag(name: string, value: unknown): void {
  if (typeof value === "boolean") return;
  throw new ConfigError({ code: "E_CONFIG_FLAG", what: `${name} is ${JSON.stringify(value)}`, why: "it is true or false", fix: `leave ${name} out for its default` });
}
