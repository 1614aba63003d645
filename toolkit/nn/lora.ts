import { ConfigError } from "../errors.ts";
import { selectWeights } from "./weightPatterns.ts";

/** Low-rank adapters: a target W is replaced by W + alpha/rank · A·B, A [.., I, rank] and B [.., rank, O]; a stack of expert
 *  matrices [E, I, O] gets an A and a B for each expert. All weights but the adapters are frozen.
 *  Source: Hu et al. 2021, arXiv:2106.09685 */
export interface LoraConfig {
  readonly rank: number;
  /** rank by default, which makes the scale 1 */
  readonly alpha?: number;
  /** patterns of weight names (weightPatterns.ts), e.g. `layers.*.attention.*`, `layers.*.moe.experts.**` */
  readonly targets: readonly string[];
  /** patterns of weights that are trained as they are beside the adapters, e.g. `**.router.*`; none by default */
  readonly train?: readonly string[];
}

export const loraSuffixes = { a: "loraA", b: "loraB" } as const;

/** @throws ConfigError E_CONFIG_LORA naming the setting */
export function checkLoraConfig({ rank, alpha = rank, targets }: LoraConfig): void {
  const refuse = (what: string, why: string, fix: string): never => {
    throw new ConfigError({ code: "E_CONFIG_LORA", what, why, fix });
  };
  if (!Number.isSafeInteger(rank) || rank < 1) refuse(`lora.rank is ${rank}`, "it has to be an integer of at least 1", "set it to e.g. 8");
  if (!(Number.isFinite(alpha) && alpha > 0)) refuse(`lora.alpha is ${alpha}`, "it has to be a positive number", "leave lora.alpha out for rank");
  if (targets.length === 0) refuse("lora.targets is empty", "without targets there are no adapters", 'name weights, e.g. "layers.*.attention.*"');
}

/** Names of the weights that the targets fit: those with an adapter, and those that can have none (norms, biases, router
 *  gates, embeddings), so that a caller can say which were left as they are.
 *  @param names all weights of a model that was built with these adapters
 *  @throws ConfigError E_LORA_TARGET when a pattern fits no weight that can have an adapter; E_WEIGHT_PATTERN when `train` fits none */
export function loraTargets(lora: LoraConfig, names: Iterable<string>): { readonly adapted: string[]; readonly skipped: string[] } {
  const all = [...names], known = new Set(all);
  const isAdapter = (name: string): boolean => Object.values(loraSuffixes).some((suffix) => name.endsWith(`.${suffix}`));
  const hasAdapter = (name: string): boolean => known.has(`${name}.${loraSuffixes.a}`);
  const own = all.filter((name) => !isAdapter(name));
  for (const pattern of lora.targets) {
    const fits = selectWeights(own, [pattern]);
    if (fits.some(hasAdapter)) continue;
    throw new ConfigError({
      code: "E_LORA_TARGET", what: `the target "${pattern}" fits ${fits.slice(0, 5).join(", ")}${fits.length > 5 ? ` and ${fits.length - 5} more` : ""}, none of which can have an adapter`,
      why: "adapters change matrices of attention, experts and dense feed-forward parts; embeddings, norms, biases and router gates are trained as they are",
      fix: 'name such matrices, e.g. "layers.*.attention.*", or put the pattern into lora.train',
    });
  }
  selectWeights(own, lora.train ?? []);
  const fits = selectWeights(own, lora.targets);
  return { adapted: fits.filter(hasAdapter), skipped: fits.filter((name) => !hasAdapter(name)) };
}
