import { isSparseLayer, type TransformerConfig } from "../../toolkit/models/config.ts";

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

function layerNorm(x: number[], gain: ArrayLike<number>, bias: ArrayLike<number>, epsilon: number): number[] {
  const mean = x.reduce((sum, value) => sum + value, 0) / x.length;
  const variance = x.reduce((sum, value) => sum + (value - mean) ** 2, 0) / x.length;
  return x.map((value, i) => ((value - mean) / Math.sqrt(variance + epsilon)) * gain[i] + bias[i]);
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

/** down(silu(gate) ∘ up) by one expert of a stack, or by a part of its own. */
function swiglu(x: number[], gateUp: ReturnType<Weights>, down: ReturnType<Weights>, expert = 0): number[] {
  const H = down.shape[down.shape.length - 2], C = x.length;
  const projected = matVec(x, gateUp, expert * C * 2 * H);
  const hidden = Array.from({ length: H }, (_, i) => (projected[i] / (1 + Math.exp(-projected[i]))) * projected[H + i]);
  return matVec(hidden, down, expert * H * C);
}

/** Scores after each token of one row: [T][V], and the experts chosen: [L][T][K], in dense layers none. A token sees keys of its
 *  own document, those of the window. Routers: top-k; feed-forward parts: SwiGLU. */
export function plainDecoder(config: TransformerConfig, weights: Weights, ids: number[], documentStart?: readonly number[]): { logits: number[][]; experts: number[][][] } {
  const { width: C, numHeads: Q, numKeyValueHeads: G, headSize: D, normEpsilon, qkNorm, slidingWindow = Infinity } = config;
  const { expertsPerToken: K, router } = config.moe;
  if (router.kind !== "topK") throw new Error("only top-k is written out here");
  const table = weights("embedding");
  let xs = ids.map((id) => Array.from({ length: C }, (_, c) => table.data[id * C + c]));
  const experts: number[][][] = [];
  for (let layer = 0; layer < config.numLayers; layer++) {
    const w = (name: string) => weights(`layers.${layer}.${name}`);
    const normOf = (x: number[], name: string) => (config.norm === "layer" ? layerNorm(x, w(name).data, w(`${name}Bias`).data, normEpsilon) : norm(x, w(name).data, normEpsilon));
    const projected = (x: number[], name: string) => matVec(x, w(`attention.${name}`)).map((value, i) => value + (config.attentionBias ? w(`attention.${name}Bias`).data[i] : 0));
    const heads = (flat: number[], count: number) => Array.from({ length: count }, (_, h) => flat.slice(h * D, (h + 1) * D));
    const turned = (x: number[], name: "query" | "key", count: number, position: number) => {
      const flat = projected(x, name);
      const whole = qkNorm === "whole" ? norm(flat, w(`attention.${name}Norm`).data, normEpsilon) : flat;
      return heads(whole, count).map((head) => turn(qkNorm === "head" ? norm(head, w(`attention.${name}Norm`).data, normEpsilon) : head, position, config.ropeBase));
    };
    const normed = xs.map((x) => normOf(x, "attentionNorm"));
    const queries = normed.map((x, t) => turned(x, "query", Q, t));
    const keys = normed.map((x, t) => turned(x, "key", G, t));
    const values = normed.map((x) => heads(projected(x, "value"), G));
    xs = xs.map((x, t) => {
      const mixed = queries[t].flatMap((query, h) => {
        const g = Math.floor((h * G) / Q);
        const first = Math.max(documentStart?.[t] ?? 0, t - slidingWindow + 1, 0);
        const shares = softmax(keys.slice(first, t + 1).map((key) => key[g].reduce((sum, k, d) => sum + k * query[d], 0) / Math.sqrt(D)));
        return Array.from({ length: D }, (_, d) => shares.reduce((sum, share, s) => sum + share * values[first + s][g][d], 0));
      });
      const out = matVec(mixed, w("attention.output"));
      return x.map((value, c) => value + out[c]);
    });
    experts.push([]);
    if (!isSparseLayer(config, layer)) {
      xs = xs.map((x) => {
        const y = swiglu(normOf(x, "feedForwardNorm"), w("feedForward.gateUp"), w("feedForward.down"));
        return x.map((value, c) => value + y[c]);
      });
      continue;
    }
    xs = xs.map((x) => {
      const input = normOf(x, "moeNorm");
      const probabilities = softmax(matVec(input, w("moe.router.gate")));
      const chosen = [...probabilities.keys()].sort((a, b) => probabilities[b] - probabilities[a] || a - b).slice(0, K);
      experts[layer].push(chosen);
      const total = router.renormalize ? chosen.reduce((sum, e) => sum + probabilities[e], 0) : 1;
      const y = new Array<number>(C).fill(0);
      for (const e of chosen) {
        swiglu(input, w("moe.experts.gateUp"), w("moe.experts.down"), e).forEach((value, c) => { y[c] += (probabilities[e] / total) * value; });
      }
      return x.map((value, c) => value + y[c]);
    });
  }
  const logits = xs.map((x) => {
    const last = config.norm === "layer" ? layerNorm(x, weights("finalNorm").data, weights("finalNormBias").data, normEpsilon) : norm(x, weights("finalNorm").data, normEpsilon);
    if (!config.tiedEmbeddings) return matVec(last, weights("head"));
    return Array.from({ length: config.vocabSize }, (_, v) => last.reduce((sum, value, c) => sum + value * table.data[v * C + c], 0));
  });
  return { logits, experts };
}
