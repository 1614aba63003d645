import type { TransformerConfig } from "../../toolkit/models/config.ts";

/** A decoder written with plain loops in float64, straight from the formulas: the independent check on the model. */
type Weights = (name: string) => { shape: number[]; data: ArrayLike<number> };

function matVec(x: number[], weight: { shape: number[]; data: ArrayLike<number> }, offset = 0): number[] {
  const [I, O] = weight.shape.slice(-2);
  return Array.from({ length: O }, (_, o) => { let sum = 0; for (let i = 0; i < I; i++) sum += x[i] * weight.data[offset + i * O + o]; return sum; });
}

function norm(x: number[], gain: ArrayLike<number>, epsilon: number): number[] {
  const scale = 1 / Math.sqrt(x.reduce((sum, value) => sum + value * value, 0) / x.length + epsilon);
  return x.map((value, i) => value * scale * gain[i]);
}

function turn(x: number[], position: number, base: number): number[] {
  const half = x.length / 2;
  return x.map((value, i) => {
    const angle = position * base ** (-(2 * (i % half)) / x.length);
    return i < half ? value * Math.cos(angle) - x[i + half] * Math.sin(angle) : value * Math.cos(angle) + x[i - half] * Math.sin(angle);
  });
}

function softmax(x: number[]): number[] {
  const largest = Math.max(...x), powers = x.map((value) => Math.exp(value - largest)), sum = powers.reduce((a, b) => a + b, 0);
  return powers.map((value) => value / sum);
}

/** Scores after each token of one row: [T][V], and the experts chosen: [L][T][K]. */
export function plainDecoder(config: TransformerConfig, weights: Weights, ids: number[]): { logits: number[][]; experts: number[][][] } {
  const { width: C, numHeads: Q, numKeyValueHeads: G, headSize: D, normEpsilon } = config;
  const { expertWidth: H, expertsPerToken: K, numExperts: E } = config.moe;
  const table = weights("embedding");
  let xs = ids.map((id) => Array.from({ length: C }, (_, c) => table.data[id * C + c]));
  const experts: number[][][] = [];
  for (let layer = 0; layer < config.numLayers; layer++) {
    const w = (name: string) => weights(`layers.${layer}.${name}`);
    const heads = (flat: number[], count: number, position?: number) => Array.from({ length: count }, (_, h) => {
      const head = flat.slice(h * D, (h + 1) * D);
      return position === undefined ? head : turn(head, position, config.ropeBase);
    });
    const normed = xs.map((x) => norm(x, w("attentionNorm").data, normEpsilon));
    const queries = normed.map((x, t) => heads(matVec(x, w("attention.query")), Q, t));
    const keys = normed.map((x, t) => heads(matVec(x, w("attention.key")), G, t));
    const values = normed.map((x) => heads(matVec(x, w("attention.value")), G));
    xs = xs.map((x, t) => {
      const mixed = queries[t].flatMap((query, h) => {
        const g = Math.floor((h * G) / Q);
        const shares = softmax(keys.slice(0, t + 1).map((key) => key[g].reduce((sum, k, d) => sum + k * query[d], 0) / Math.sqrt(D)));
        return Array.from({ length: D }, (_, d) => shares.reduce((sum, share, s) => sum + share * values[s][g][d], 0));
      });
      const out = matVec(mixed, w("attention.output"));
      return x.map((value, c) => value + out[c]);
    });
    experts.push([]);
    xs = xs.map((x) => {
      const input = norm(x, w("moeNorm").data, normEpsilon);
      const probabilities = softmax(matVec(input, w("moe.router.gate")));
      const chosen = [...probabilities.keys()].sort((a, b) => probabilities[b] - probabilities[a] || a - b).slice(0, K);
      experts[layer].push(chosen);
      const total = config.moe.router.renormalize ? chosen.reduce((sum, e) => sum + probabilities[e], 0) : 1;
      const y = new Array<number>(C).fill(0);
      for (const e of chosen) {
        const gateUp = matVec(input, w("moe.experts.gateUp"), e * C * 2 * H);
        const hidden = Array.from({ length: H }, (_, i) => (gateUp[i] / (1 + Math.exp(-gateUp[i]))) * gateUp[H + i]);
        matVec(hidden, w("moe.experts.down"), e * H * C).forEach((value, c) => { y[c] += (probabilities[e] / total) * value; });
      }
      if (chosen.some((e) => e >= E)) throw new Error("no such expert");
      return x.map((value, c) => value + y[c]);
    });
  }
  const logits = xs.map((x) => {
    const last = norm(x, weights("finalNorm").data, normEpsilon);
    if (!config.tiedEmbeddings) return matVec(last, weights("head"));
    return Array.from({ length: config.vocabSize }, (_, v) => last.reduce((sum, value, c) => sum + value * table.data[v * C + c], 0));
  });
  return { logits, experts };
}
