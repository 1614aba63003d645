import { ConfigError } from "../errors.ts";

/** How the next token is drawn. */
export interface SamplingSettings {
  /** Divides the scores; 0 takes the best token. ≥ 0 */
  readonly temperature: number;
  /** Keep the K best tokens; 0 keeps all. */
  readonly topK: number;
  /** Keep the smallest set of best tokens whose probabilities reach this sum (Holtzman 2019, arXiv:1904.09751). (0, 1] */
  readonly topP: number;
}

export const defaultSampling: SamplingSettings = { temperature: 0.8, topK: 0, topP: 1 };

/** @throws ConfigError E_SAMPLING naming the setting */
export function checkSampling(settings: SamplingSettings): SamplingSettings {
  const refuse = (name: keyof SamplingSettings, range: string): never => {
    throw new ConfigError({ code: "E_SAMPLING", what: `${name} is ${settings[name]}`, why: `it has to be ${range}`, fix: `choose ${name} in that range, or leave it out for ${defaultSampling[name]}` });
  };
  if (!(Number.isFinite(settings.temperature) && settings.temperature >= 0)) refuse("temperature", "a finite number of at least 0");
  if (!(Number.isSafeInteger(settings.topK) && settings.topK >= 0)) refuse("topK", "an integer of at least 0");
  if (!(settings.topP > 0 && settings.topP <= 1)) refuse("topP", "more than 0 and at most 1");
  return settings;
}

function indexOfLargest(scores: Float32Array): number {
  let best = 0;
  for (let i = 1; i < scores.length; i++) if (scores[i] > scores[best]) best = i;
  return best;
}

/** Draws one token. Equal scores go to the lower id.
 *  @param logits scores, [V] float32 @param random uniform in [0, 1)
 *  @returns token id */
export function sampleToken(logits: Float32Array, settings: SamplingSettings, random: () => number): number {
  const { temperature, topK, topP } = settings;
  if (temperature === 0) return indexOfLargest(logits);
  const largest = logits[indexOfLargest(logits)];
  const probabilities = Float64Array.from(logits, (score) => Math.exp((score - largest) / temperature));
  const isCut = (topK > 0 && topK < logits.length) || topP < 1;
  const order = Array.from(probabilities.keys());
  if (isCut) order.sort((a, b) => probabilities[b] - probabilities[a] || a - b);
  let kept = topK > 0 ? Math.min(topK, order.length) : order.length;
  let sum = 0;
  for (let i = 0; i < kept; i++) sum += probabilities[order[i]];
  if (topP < 1) {
    let reached = 0;
    const enough = topP * sum;
    for (let i = 0; i < kept; i++) {
      reached += probabilities[order[i]];
      if (reached >= enough) { kept = i + 1; sum = reached; break; }
    }
  }
  let left = random() * sum;
  for (let i = 0; i < kept; i++) {
    left -= probabilities[order[i]];
    if (left < 0) return order[i];
  }
  return order[kept - 1];
}
