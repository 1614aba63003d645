import type { Floats, Ints } from "./arrays.ts";

/** Functions of the addon behind the fused ops of toolkit/ops; native/binding/fusedOps*.cpp has their C++ side and
 *  native/include their formulas. Row-major, contiguous; outputs come after the inputs, before what may be
 *  left out, and are wholly overwritten. */
export interface FusedFunctions {
  /** x, y [rows, C]; gain [C]; scale [rows] is kept for the backward pass. */
  rmsNormForward(rows: number, C: number, epsilon: number, x: Floats, gain: Floats, y: Floats, scale: Floats): void;
  /** dx begins with dSum [rows, C] where it is given. */
  rmsNormBackward(rows: number, C: number, x: Floats, gain: Floats, scale: Floats, dy: Floats,
    dSum: Floats | null, dx: Floats, dGain: Floats): void;
  /** rmsNormForward of sum = x + added. */
  addRmsNormForward(rows: number, C: number, epsilon: number, x: Floats, added: Floats, gain: Floats, sum: Floats,
    y: Floats, scale: Floats): void;

  /** x, y [rows, C]; gain, bias [C]; mean, scale [rows] are kept for the backward pass. */
  layerNormForward(rows: number, C: number, epsilon: number, x: Floats, gain: Floats, bias: Floats,
    y: Floats, mean: Floats, scale: Floats): void;
  layerNormBackward(rows: number, C: number, x: Floats, gain: Floats, mean: Floats, scale: Floats, dy: Floats,
    dx: Floats, dGain: Floats, dBias: Floats): void;

  /** x, y [B, T, heads, D]; cosine, sine [T, D/2]. */
  rotary(B: number, T: number, heads: number, D: number, inverse: boolean, x: Floats, cosine: Floats, sine: Floats, y: Floats): void;

  /** query, y [B, Tq, Q, D]; key, value [B, Tk, G, D]; logSumExp [B, Q, Tq] is kept for the backward pass; firstKey [B, Tq],
   *  0 ≤ firstKey[i] ≤ i + Tk − Tq, all 0 when left out. */
  attentionForward(B: number, Tq: number, Tk: number, Q: number, G: number, D: number,
    query: Floats, key: Floats, value: Floats, y: Floats, logSumExp: Floats,
    firstKey?: Ints): void;
  attentionBackward(B: number, Tq: number, Tk: number, Q: number, G: number, D: number,
    query: Floats, key: Floats, value: Floats, y: Floats, logSumExp: Floats, dy: Floats,
    dQuery: Floats, dKey: Floats, dValue: Floats, firstKey?: Ints): void;

  /** logits, probabilities [N, E]; ids, weights [N, K]. */
  routeTopKForward(N: number, E: number, K: number, renormalize: boolean, logits: Floats,
    ids: Ints, weights: Floats, probabilities: Floats): void;
  routeTopKBackward(N: number, E: number, K: number, renormalize: boolean, ids: Ints, weights: Floats, probabilities: Floats,
    dWeights: Floats, dProbabilities: Floats, dLogits: Floats): void;

  /** ids [N, K]: the K best by scores [N, E] + bias [E] (null for none), −1 where fewer are above −Infinity. With numGroups > 0
   *  among the groupsPerToken groups whose `summed` best scores, 1 or 2, sum to most. */
  selectExperts(N: number, E: number, K: number, numGroups: number, groupsPerToken: number, summed: number, scores: Floats, bias: Floats | null, ids: Ints): void;
  /** y [N, K] = scores [N, E] at ids [N, K], 0 where the id is −1. */
  chosenScores(N: number, E: number, K: number, scores: Floats, ids: Ints, y: Floats): void;
  chosenScoresBackward(N: number, E: number, K: number, ids: Ints, dy: Floats, dScores: Floats): void;
  /** counts [B, E]: for each row of T tokens the sum of mask [B·T] (null for ones) over its choices of each expert; ids [B·T, K]. */
  countChoices(B: number, T: number, K: number, E: number, ids: Ints, mask: Floats | null, counts: Floats): void;
  /** assigned [count]: ids, −1 where more than `capacity` chose the expert; the largest weights stay, else the earliest. */
  limitChoices(count: number, E: number, capacity: number, ids: Ints, weights: Floats | null, assigned: Ints): void;
  /** Sorts ids [N, K] by expert, stably; −1 for none. offsets [E + 1]; slotToken [N·K], 0 from offsets[E] on; tokenSlot [N, K], −1 for none. */
  planDispatch(N: number, K: number, E: number, ids: Ints, offsets: Ints, slotToken: Ints, tokenSlot: Ints): void;

  /** y [count, C] = rows ids[i] of x [rows, C]. */
  gatherRows(rows: number, count: number, C: number, x: Floats, ids: Ints, y: Floats): void;
  /** dx [rows, C]: sums of the rows of dy [count, C] with equal ids. */
  gatherRowsBackward(rows: number, count: number, C: number, ids: Ints, dy: Floats, dx: Floats): void;

  /** rows [S, C] by slot; weights [N, K] or null for ones; tokenSlot [N, K], −1 for none; y [N, C]. */
  combineRows(N: number, K: number, S: number, C: number, rows: Floats, weights: Floats | null, tokenSlot: Ints, y: Floats): void;
  combineRowsBackward(N: number, K: number, S: number, C: number, rows: Floats, weights: Floats, tokenSlot: Ints, dy: Floats,
    dRows: Floats, dWeights: Floats): void;

  /** kind: an index of feedForwardKinds (ops/feedForwardKinds.ts). x, y [N, C]; weights [N, K]; first [E, C, 2H] with a gate, else [E, C, H];
   *  down [E, H, C]; activations, shaped [S, 2H] or [S, H], are kept for the backward pass. */
  expertFeedForward(kind: number, N: number, K: number, C: number, H: number, E: number, S: number, offsets: Ints, slotToken: Ints, tokenSlot: Ints,
    x: Floats, weights: Floats, first: Floats, down: Floats, activations: Floats, y: Floats): void;
  /** Overwrites activations. */
  expertFeedForwardBackward(kind: number, N: number, K: number, C: number, H: number, E: number, S: number, offsets: Ints, slotToken: Ints, tokenSlot: Ints,
    x: Floats, weights: Floats, first: Floats, down: Floats, dy: Floats, activations: Floats,
    dx: Floats, dWeights: Floats, dFirst: Floats, dDown: Floats): void;

  /** x [N, C] times three matrices [C, columns]; the gradients of the outputs and of the matrices have their shapes. */
  queryKeyValueForward(N: number, C: number, queryColumns: number, keyColumns: number, valueColumns: number, x: Floats, query: Floats,
    key: Floats, value: Floats, queries: Floats, keys: Floats, values: Floats): void;
  queryKeyValueBackward(N: number, C: number, queryColumns: number, keyColumns: number, valueColumns: number, x: Floats, query: Floats,
    key: Floats, value: Floats, dQueries: Floats, dKeys: Floats, dValues: Floats, dx: Floats,
    dQuery: Floats, dKey: Floats, dValue: Floats): void;

  /** nats [1], the mean; logits [N, V]; targets, mask, logSumExp [N]; the last is kept for the backward pass. */
  crossEntropyForward(N: number, V: number, logits: Floats, targets: Ints, mask: Floats, logSumExp: Floats, nats: Floats): void;
  /** dNats [1] */
  crossEntropyBackward(N: number, V: number, dNats: Floats, logits: Floats, targets: Ints, mask: Floats,
    logSumExp: Floats, dLogits: Floats): void;

  /** loss [1]; ids [N, K], probabilities and logits [N, E], mask [N]; share [E] is kept for the backward pass. */
  balanceLossForward(N: number, K: number, E: number, ids: Ints, probabilities: Floats, mask: Floats, share: Floats, loss: Floats): void;
  /** dLoss [1] */
  balanceLossBackward(N: number, E: number, dLoss: Floats, share: Floats, mask: Floats, dProbabilities: Floats): void;
  zLossForward(N: number, E: number, logits: Floats, mask: Floats, loss: Floats): void;
  zLossBackward(N: number, E: number, dLoss: Floats, logits: Floats, mask: Floats, dLogits: Floats): void;

  /** Updates all parameters in place, each given by the i-th array of every list and its decay = learningRate ·
   *  weightDecay. firstScale = 1 / (1 − beta1^step), secondScale likewise. Where gradientScale [1] is NaN or infinite, nothing
   *  changes. decays is a typed array on every device. */
  adamwUpdate(beta1: number, beta2: number, firstScale: number, secondScale: number, epsilon: number,
    learningRate: number, gradients: Floats[], values: Floats[], firstMoments: Floats[], secondMoments: Floats[],
    decays: Float32Array, gradientScale: Floats): void;
  /** norm [1] = √Σ x² over all values of all arrays, added in double; gradientScale [1] = min(1, maxNorm / norm), NaN where the
   *  norm is NaN or infinite. */
  globalNorm(maxNorm: number, x: Floats[], norm: Floats, gradientScale: Floats): void;
}
