import type { MoeConfig } from "../../toolkit/moe/config.ts";
import type { GroupLimit } from "../../toolkit/moe/routerConfig.ts";
import type { RandomSource } from "../../toolkit/random.ts";

/** What a router decides, from the definitions, in double and with plain loops. */
export interface PlainDecision {
  readonly ids: number[][];
  readonly weights: number[][];
  readonly probabilities: number[][];
  readonly ownLoss?: number;
}

/** What a reference may read beside the logits [N][E]. */
export interface PlainInput {
  readonly logits: number[][];
  readonly config: MoeConfig;
  /** in training: equal to the one that the router gets */
  readonly random?: RandomSource;
  /** weights and buffers of the router by name, [rows][E] */
  readonly state: (name: string) => number[][];
}

export type PlainRouter = (input: PlainInput) => PlainDecision;

export const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);

export function softmax(row: readonly number[]): number[] {
  const largest = Math.max(...row), powers = row.map((x) => Math.exp(x - largest));
  return powers.map((power) => power / sum(powers));
}

export const sigmoid = (x: number): number => 1 / (1 + Math.exp(-x));

/** Ids of the K largest, best first, of equal ones the lower id first; those of −Infinity never. */
export function best(row: readonly number[], K: number): number[] {
  return [...row.keys()].filter((e) => row[e] !== -Infinity).sort((a, b) => row[b] - row[a] || a - b).slice(0, K);
}

const pick = (row: readonly number[], ids: readonly number[]): number[] => ids.map((e) => row[e]);
const shares = (row: readonly number[]): number[] => row.map((value) => value / sum(row));

function inBestGroups(row: readonly number[], { numGroups, groupsPerToken }: GroupLimit, scoreOf: (group: number[]) => number): number[] {
  const size = row.length / numGroups;
  const scores = Array.from({ length: numGroups }, (_, g) => scoreOf(row.slice(g * size, (g + 1) * size)));
  const open = best(scores, groupsPerToken);
  return row.map((value, e) => (open.includes(Math.floor(e / size)) ? value : -Infinity));
}

function decide(rows: readonly number[][], decideRow: (row: number[], n: number) => { ids: number[]; weights: number[]; probabilities: number[] }): PlainDecision {
  const decisions = rows.map((row, n) => decideRow([...row], n));
  return { ids: decisions.map(({ ids }) => ids), weights: decisions.map(({ weights }) => weights), probabilities: decisions.map(({ probabilities }) => probabilities) };
}

export const plainTopK: PlainRouter = ({ logits, config: { expertsPerToken: K, router } }) => decide(logits, (row) => {
  if (router.kind !== "topK") throw new Error("not a topK router");
  const probabilities = softmax(row);
  const open = router.groupLimit ? inBestGroups(probabilities, router.groupLimit, (group) => Math.max(...group)) : probabilities;
  const ids = best(open, K), kept = pick(probabilities, ids);
  return { ids, probabilities, weights: router.renormalize ? shares(kept) : kept };
});

/** With x the identity, jitter multiplies the logits of token n by the factor of x[n, n]; N = C draws a row. */
export const plainSwitch: PlainRouter = ({ logits, config: { router }, random }) => {
  if (router.kind !== "switch") throw new Error("not a switch router");
  return decide(logits, (row, n) => {
    const factors = logits.map(() => (random ? 1 + router.jitter * (2 * random.next() - 1) : 1));
    const probabilities = softmax(row.map((x) => x * factors[n]));
    const ids = best(probabilities, 1);
    return { ids, probabilities, weights: pick(probabilities, ids) };
  });
};

/** The error function by Simpson's rule. */
function erf(z: number): number {
  const steps = 400, h = Math.min(Math.max(z, -6), 6) / steps;
  const inner = Array.from({ length: steps + 1 }, (_, i) => (i === 0 || i === steps ? 1 : i % 2 === 1 ? 4 : 2) * Math.exp(-((i * h) ** 2)));
  return (2 / Math.sqrt(Math.PI)) * (h / 3) * sum(inner);
}

const squaredVariation = (values: number[]): number => {
  const mean = sum(values) / values.length;
  return sum(values.map((value) => (value - mean) ** 2)) / values.length / mean ** 2;
};

export const plainNoisyTopK: PlainRouter = ({ logits, config: { expertsPerToken: K, numExperts: E, router }, random, state }) => {
  if (router.kind !== "noisyTopK") throw new Error("not a noisyTopK router");
  const spread = state("noise").map((row) => row.map((x) => Math.log1p(Math.exp(x))));
  const noisy = logits.map((row, n) => row.map((x, e) => (random ? x + random.normal() * spread[n][e] : x)));
  const decision = decide(noisy, (row) => {
    const ids = best(row, K);
    return { ids, weights: softmax(pick(row, ids)), probabilities: softmax(row) };
  });
  if (!random) return decision;
  const importance = Array.from({ length: E }, (_, e) => sum(decision.ids.flatMap((ids, n) => ids.map((id, k) => (id === e ? decision.weights[n][k] : 0)))));
  const load = Array.from({ length: E }, (_, e) => sum(noisy.map((row, n) => {
    const others = row.filter((_value, i) => i !== e).sort((a, b) => b - a);
    return 0.5 * (1 + erf((logits[n][e] - others[K - 1]) / spread[n][e] / Math.SQRT2));
  })));
  return { ...decision, ownLoss: router.importanceLossWeight * squaredVariation(importance) + router.loadLossWeight * squaredVariation(load) };
};

export const plainSigmoid: PlainRouter = ({ logits, config: { expertsPerToken: K, router }, state }) => decide(logits, (row) => {
  if (router.kind !== "sigmoid") throw new Error("not a sigmoid router");
  const scores = row.map(sigmoid), bias = router.biasUpdateRate > 0 ? state("bias")[0] : scores.map(() => 0);
  const choice = scores.map((s, e) => s + bias[e]);
  const open = router.groupLimit ? inBestGroups(choice, router.groupLimit, (group) => sum(best(group, 2).map((e) => group[e]))) : choice;
  const ids = best(open, K), kept = pick(scores, ids);
  return { ids, probabilities: shares(scores), weights: (router.renormalize ? shares(kept) : kept).map((w) => w * router.routedScalingFactor) };
});

export const plainExpertChoice: PlainRouter = ({ logits, config: { numExperts: E, router } }) => {
  if (router.kind !== "expertChoice") throw new Error("not an expertChoice router");
  const probabilities = logits.map(softmax), N = logits.length;
  const capacity = Math.ceil((N * router.capacityFactor) / E);
  const taken = Array.from({ length: E }, (_, e) => best(probabilities.map((row) => row[e]), capacity));
  return decide(logits, (_row, n) => {
    const p = probabilities[n];
    const ids = best(p.map((value, e) => (taken[e].includes(n) ? value : -Infinity)), E);
    return { ids, weights: pick(p, ids), probabilities: p };
  });
};

/** Five hundred rounds instead of a tolerance. */
export function plainSinkhorn(logits: number[][]): number[][] {
  let matrix = logits.map((row) => row.map(Math.exp));
  const N = matrix.length, E = matrix[0].length;
  for (let round = 0; round < 500; round++) {
    const columns = Array.from({ length: E }, (_, e) => sum(matrix.map((row) => row[e])) * E);
    matrix = matrix.map((row) => row.map((value, e) => value / columns[e]));
    matrix = matrix.map((row) => row.map((value) => value / sum(row) / N));
  }
  return matrix;
}

export const plainSinkhornRouter: PlainRouter = ({ logits, config: { expertsPerToken: K, router }, random }) => {
  if (router.kind !== "sinkhorn") throw new Error("not a sinkhorn router");
  const choice = random ? plainSinkhorn(logits) : logits;
  return decide(logits, (row, n) => {
    const ids = best(choice[n], K), probabilities = softmax(row);
    return { ids, probabilities, weights: pick(router.scores === "softmax" ? probabilities : row.map(sigmoid), ids) };
  });
};

export const plainReMoe: PlainRouter = ({ logits, config: { expertsPerToken: K, numExperts: E, router }, random, state }) => {
  if (router.kind !== "reMoE") throw new Error("not a reMoE router");
  const scores = logits.map((row) => row.map((x) => Math.max(x, 0))), N = logits.length;
  const decision = decide(scores, (row) => {
    const ids = best(row.map((s) => (s > 0 ? s : -Infinity)), E);
    return { ids, weights: pick(row, ids), probabilities: row.map((s) => s / (sum(row) + 1e-20)) };
  });
  if (!random) return decision;
  const share = Array.from({ length: E }, (_, e) => (E / (K * N)) * scores.filter((row) => row[e] > 0).length);
  return { ...decision, ownLoss: (state("l1Coefficient")[0][0] / N) * sum(scores.map((row) => sum(row.map((s, e) => s * share[e])))) };
};
