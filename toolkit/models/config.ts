import { ConfigError } from "../errors.ts";
import { checkCount, checkMoeConfig, type MoeConfig } from "../moe/config.ts";

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
  readonly normEpsilon: number;
  /** Use the embedding also as output head. */
  readonly tiedEmbeddings: boolean;
  readonly moe: MoeConfig;
}

/** What a user has to say of a decoder; the rest has defaults. */
export type TransformerSettings =
  Pick<TransformerConfig, "vocabSize" | "numLayers" | "width" | "numHeads" | "contextLength"> &
  Partial<Omit<TransformerConfig, "moe">> & {
    readonly moe: Pick<MoeConfig, "numExperts" | "expertsPerToken" | "expertWidth"> & Partial<MoeConfig>;
  };

/** Fills in the defaults and checks every setting.
 *  @throws ConfigError E_CONFIG_* naming the setting */
export function transformerConfig(settings: TransformerSettings): TransformerConfig {
  const { width, numHeads } = settings;
  checkCount("width", width);
  checkCount("numHeads", numHeads);
  if (settings.headSize === undefined && width % numHeads !== 0) {
    throw new ConfigError({
      code: "E_CONFIG_HEADS", what: `numHeads ${numHeads} doesn't divide width ${width}`,
      why: "each head gets width / numHeads channels", fix: "choose numHeads as a divisor of width, or set headSize",
    });
  }
  const config: TransformerConfig = {
    numKeyValueHeads: numHeads,
    headSize: width / numHeads,
    ropeBase: 10_000, // Su et al. 2021, arXiv:2104.09864
    normEpsilon: 1e-5,
    tiedEmbeddings: true,
    ...settings,
    moe: {
      router: { kind: "topK", renormalize: settings.moe.expertsPerToken > 1 },
      capacity: { kind: "dropless" },
      balanceLossWeight: 0.01, // Switch, arXiv:2101.03961 §2.2
      zLossWeight: 0.001, // ST-MoE, arXiv:2202.08906
      ...settings.moe,
    },
  };
  return checkTransformerConfig(config);
}

/** @throws ConfigError E_CONFIG_* naming the setting */
export function checkTransformerConfig(config: TransformerConfig): TransformerConfig {
  for (const name of ["vocabSize", "numLayers", "width", "numHeads", "numKeyValueHeads", "contextLength"] as const) {
    checkCount(name, config[name]);
  }
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
  for (const name of ["ropeBase", "normEpsilon"] as const) {
    if (!(Number.isFinite(config[name]) && config[name] > 0)) {
      throw new ConfigError({
        code: "E_CONFIG_POSITIVE", what: `${name} is ${config[name]}`, why: "it has to be a positive number",
        fix: `leave ${name} out for its default`,
      });
    }
  }
  checkMoeConfig(config.moe);
  return config;
}
