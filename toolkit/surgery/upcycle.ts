import { ConfigError } from "../errors.ts";
import { sparseLayers, transformerConfig, type TransformerConfig } from "../models/config.ts";
import type { Transformer } from "../models/transformer.ts";
import { checkWeight, type MoeSettings } from "../moe/config.ts";
import { defaultExpert, denseKind, isFeedForward, type FeedForwardConfig } from "../moe/expertConfig.ts";
import { RandomSource } from "../random.ts";
import { buildModel, stateOf, type HostArray } from "./modelState.ts";

/** What the experts are to be. Their kind is that of the dense feed-forward part, or `lora` with such a base. */
export type UpcycleSettings = Omit<MoeSettings, "expertWidth"> & {
  /** denseWidth by default: each expert is a copy. A divisor of it, denseWidth / m: each expert is one of m slices of a copy;
   *  m then has to divide numExperts and expertsPerToken. */
  readonly expertWidth?: number;
};

export interface UpcycleOptions extends Partial<Pick<TransformerConfig, "firstDenseLayers" | "moeEvery">> {
  /** of routers and noise */
  readonly seed: number;
  /** Standard deviation of what is added to each expert's matrices, in parts of that of the matrix; 0 by default. */
  readonly noise?: number;
  /** Factor on fresh router weights; 1 by default. */
  readonly routerScale?: number;
}

/** Turns a dense model into one with experts that starts from its weights: every expert of a layer begins as a copy, or a slice
 *  of a copy, of the layer's feed-forward part, and the router is fresh. Where the router makes the weights of a token sum to 1
 *  (topK with renormalize) and there is no noise, the new model computes what the dense one does; else the output of a layer's
 *  experts is the dense one times that sum. Shared experts start with an output of 0; a weighted dense branch as a copy.
 *  @param dense stays as it is
 *  @throws ConfigError E_UPCYCLE_*, E_CONFIG_*
 *  Source: Komatsuzaki et al. 2022, arXiv:2212.05055; slices, with the scores of a copy's slices equal at first ("virtual
 *  groups"): He et al. 2024, arXiv:2410.07524 */
export function upcycle(dense: Transformer, settings: UpcycleSettings, options: UpcycleOptions): Transformer {
  const { noise = 0, routerScale = 1, firstDenseLayers = 0, moeEvery = 1 } = options;
  checkWeight("noise", noise);
  checkWeight("routerScale", routerScale);
  const { denseWidth, denseExpert } = dense.config;
  const config = transformerConfig({ ...dense.config, firstDenseLayers, moeEvery, moe: { experts: denseExpert, expertWidth: denseWidth, ...settings } });
  checkLayers(dense.config, config);
  checkExperts(dense.config, config);
  const parts = partsOf(dense.config, config);
  const state = stateOf(dense);
  const random = new RandomSource(options.seed, 1); // the model's own weights are drawn from stream 0
  return buildModel(config, options.seed, (name, shape, fresh) => {
    const [, layer, place, rest] = /^(layers\.\d+)\.moe(Norm|\.router\.|\.experts\.|\.sharedExperts\.|\.residual\.)(.*)$/.exec(name) ?? [];
    if (place === undefined) return state.get(name);
    switch (place) {
      case "Norm": return state.get(`${layer}.feedForwardNorm${rest}`);
      case ".router.": return routerWeight(fresh(), config.moe.numExperts, parts, routerScale);
      case ".experts.": {
        const copy = state.get(`${layer}.feedForward.${rest.replace(/^base\./, "")}`);
        return copy && expertWeight(copy, rest, shape, parts, (values) => { if (noise > 0 && !rest.endsWith("Bias")) addNoise(values, noise, random); });
      }
      case ".residual.": return config.moe.residual?.isWeighted ?? true ? state.get(`${layer}.feedForward.${rest}`) : silent(rest, shape);
      default: return silent(rest, shape);
    }
  });
}

/** A part whose last matrix and bias are 0 gives 0; its other weights stay fresh. */
function silent(rest: string, shape: readonly number[]): HostArray | undefined {
  return rest.startsWith("down") ? { shape, values: new Float32Array(shape.reduce((a, b) => a * b, 1)) } : undefined;
}

function checkLayers(dense: TransformerConfig, config: TransformerConfig): void {
  const sparse = sparseLayers(dense);
  if (sparse.length > 0) {
    throw new ConfigError({
      code: "E_UPCYCLE_LAYERS", what: `layers ${sparse.join(", ")} of the model have experts already`, why: "experts are made from dense feed-forward parts", fix: "pass a dense model",
    });
  }
  if (sparseLayers(config).length === 0) {
    throw new ConfigError({
      code: "E_UPCYCLE_LAYERS", what: `no layer of ${config.numLayers} would get experts`, why: `firstDenseLayers is ${config.firstDenseLayers} and moeEvery is ${config.moeEvery}`, fix: "lower one of them",
    });
  }
}

function checkExperts({ denseExpert, denseWidth, lora }: TransformerConfig, { moe: { experts = defaultExpert, expertWidth, residual } }: TransformerConfig): void {
  const isSame = (kind: FeedForwardConfig): boolean => kind.kind === denseExpert.kind && (kind.bias ?? false) === (denseExpert.bias ?? false);
  const refuse = (what: string, fix: string): never => {
    throw new ConfigError({ code: "E_UPCYCLE_EXPERTS", what, why: "what begins as a copy has to have the form of the dense feed-forward part", fix });
  };
  if (lora) refuse("the model has adapters", "call mergeLora first");
  if (experts.kind === "lora") {
    if (!isSame(experts.base ?? defaultExpert) || expertWidth !== denseWidth) refuse("the base of the lora experts is another part than the dense one", "set base to denseExpert, and leave expertWidth out");
  } else if (!isFeedForward(experts) || !isSame(experts)) refuse(`the experts are ${experts.kind} and the dense part is ${denseExpert.kind}`, "leave experts out");
  if (residual && (residual.isWeighted ?? true) && ((residual.width ?? expertWidth) !== denseWidth || !isSame(denseKind(residual.expert, experts)))) {
    refuse("the weighted dense branch is another part than the dense one", `set residual.width to ${denseWidth}, or residual.isWeighted to false`);
  }
}

/** m: slices that a copy is cut into. */
function partsOf({ denseWidth }: TransformerConfig, { moe: { expertWidth, numExperts, expertsPerToken } }: TransformerConfig): number {
  const parts = denseWidth / expertWidth;
  if (Number.isInteger(parts) && numExperts % parts === 0 && expertsPerToken % parts === 0) return parts;
  throw new ConfigError({
    code: "E_UPCYCLE_PARTS", what: `experts of width ${expertWidth} from a part of width ${denseWidth}, ${numExperts} of them and ${expertsPerToken} a token`,
    why: "a copy is cut into denseWidth / expertWidth slices, and copies are whole: that number divides numExperts and expertsPerToken",
    fix: "leave expertWidth out, or choose a divisor of denseWidth that fits",
  });
}

/** Fresh weights, with the columns of a copy's slices equal: a token that chooses a slice chooses the whole copy. */
function routerWeight({ shape, values }: HostArray, E: number, parts: number, scale: number): HostArray {
  const isPerExpert = shape[shape.length - 1] === E;
  return { shape, values: values.map((_, i) => scale * values[isPerExpert ? i - (i % E % parts) : i]) };
}

/** A weight of the dense part for E experts, of which expert e is slice e mod m of a copy. Slices of `down` are scaled by m,
 *  because each gets a 1/m of the weight of its copy.
 *  @param rest name of the weight below `experts.`
 *  @param shape [E, …], or that of the dense weight for the base of lora experts
 *  @param finish changes the values of one expert in place */
function expertWeight(dense: HostArray, rest: string, shape: readonly number[], parts: number, finish: (values: Float32Array) => void): HostArray {
  if (rest.startsWith("base.")) return dense;
  const [E, ...own] = shape;
  const size = own.reduce((a, b) => a * b, 1);
  const values = new Float32Array(E * size);
  for (let e = 0; e < E; e++) {
    const expert = values.subarray(e * size, (e + 1) * size);
    expert.set(slice(dense, rest, e % parts, parts));
    finish(expert);
  }
  return { shape, values };
}

/** Slice `part` of a dense weight: rows of `down`, columns of the others, of gate and up projection alike. */
function slice({ shape, values }: HostArray, name: string, part: number, parts: number): Float32Array {
  if (name === "downBias") return values;
  if (name === "down") {
    const size = values.length / parts;
    return values.subarray(part * size, (part + 1) * size).map((value) => parts * value);
  }
  const columns = shape[shape.length - 1], blocks = name.startsWith("gateUp") ? 2 : 1;
  const width = columns / blocks, own = width / parts;
  return values.filter((_, i) => Math.floor((i % width) / own) === part);
}

/** Adds N(0, (noise · σ)²), σ the standard deviation of the values. */
function addNoise(values: Float32Array, noise: number, random: RandomSource): void {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  const deviation = Math.sqrt(values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / values.length);
  for (let i = 0; i < values.length; i++) values[i] += noise * deviation * random.normal();
}
