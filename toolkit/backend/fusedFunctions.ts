/** Functions of the addon behind the fused ops of toolkit/ops; native/binding/fusedOps*.cpp has their C++ side and
 *  native/include their formulas. Row-major, contiguous; outputs come after the inputs, before what may be
 *  left out, and are wholly overwritten. */
export interface FusedFunctions {
  /** x, y [rows, C]; gain [C]; scale [rows] is kept for the backward pass. */
  rmsNormForward(rows: number, C: number, epsilon: number, x: Float32Array, gain: Float32Array, y: Float32Array, scale: Float32Array): void;
  /** dx begins with dSum [rows, C] where it is given. */
  rmsNormBackward(rows: number, C: number, x: Float32Array, gain: Float32Array, scale: Float32Array, dy: Float32Array,
    dSum: Float32Array | null, dx: Float32Array, dGain: Float32Array): void;
  /** rmsNormForward of sum = x + added. */
  addRmsNormForward(rows: number, C: number, epsilon: number, x: Float32Array, added: Float32Array, gain: Float32Array, sum: Float32Array,
    y: Float32Array, scale: Float32Array): void;

  /** x, y [rows, C]; gain, bias [C]; mean, scale [rows] are kept for the backward pass. */
  layerNormForward(rows: number, C: number, epsilon: number, x: Float32Array, gain: Float32Array, bias: Float32Array,
    y: Float32Array, mean: Float32Array, scale: Float32Array): void;
  layerNormBackward(rows: number, C: number, x: Float32Array, gain: Float32Array, mean: Float32Array, scale: Float32Array, dy: Float32Array,
    dx: Float32Array, dGain: Float32Array, dBias: Float32Array): void;

  /** x, y [B, T, heads, D]; cosine, sine [T, D/2]. */
  rotary(B: number, T: number, heads: number, D: number, inverse: boolean, x: Float32Array, cosine: Float32Array, sine: Float32Array, y: Float32Array): void;

  /** query, y [B, Tq, Q, D]; key, value [B, Tk, G, D]; logSumExp [B, Q, Tq] is kept for the backward pass; firstKey [B, Tq],
   *  0 ≤ firstKey[i] ≤ i + Tk − Tq, all 0 when left out. */
  attentionForward(B: number, Tq: number, Tk: number, Q: number, G: number, D: number,
    query: Float32Array, key: Float32Array, value: Float32Array, y: Float32Array, logSumExp: Float32Array,
    firstKey?: Int32Array): void;
  attentionBackward(B: number, Tq: number, Tk: number, Q: number, G: number, D: number,
    query: Float32Array, key: Float32Array, value: Float32Array, y: Float32Array, logSumExp: Float32Array, dy: Float32Array,
    dQuery: Float32Array, dKey: Float32Array, dValue: Float32Array, firstKey?: Int32Array): void;

  /** logits, probabilities [N, E]; ids, weights [N, K]. */
  routeTopKForward(N: number, E: number, K: number, renormalize: boolean, logits: Float32Array,
    ids: Int32Array, weights: Float32Array, probabilities: Float32Array): void;
  routeTopKBackward(N: number, E: number, K: number, renormalize: boolean, ids: Int32Array, weights: Float32Array, probabilities: Float32Array,
    dWeights: Float32Array, dProbabilities: Float32Array, dLogits: Float32Array): void;

  /** y [count, C] = rows ids[i] of x [rows, C]. */
  gatherRows(rows: number, count: number, C: number, x: Float32Array, ids: Int32Array, y: Float32Array): void;
  /** dx [rows, C]: sums of the rows of dy [count, C] with equal ids. */
  gatherRowsBackward(rows: number, count: number, C: number, ids: Int32Array, dy: Float32Array, dx: Float32Array): void;

  /** rows [S, C] by slot; weights [N, K] or null for ones; tokenSlot [N, K], −1 for none; y [N, C]. */
  combineRows(N: number, K: number, S: number, C: number, rows: Float32Array, weights: Float32Array | null, tokenSlot: Int32Array, y: Float32Array): void;
  combineRowsBackward(N: number, K: number, S: number, C: number, rows: Float32Array, weights: Float32Array, tokenSlot: Int32Array, dy: Float32Array,
    dRows: Float32Array, dWeights: Float32Array): void;

  /** kind: an index of feedForwardKinds (ops/feedForwardKinds.ts). x, y [N, C]; weights [N, K]; first [E, C, 2H] with a gate, else [E, C, H];
   *  down [E, H, C]; activations, shaped [S, 2H] or [S, H], are kept for the backward pass. */
  expertFeedForward(kind: number, N: number, K: number, C: number, H: number, E: number, S: number, offsets: Int32Array, slotToken: Int32Array, tokenSlot: Int32Array,
    x: Float32Array, weights: Float32Array, first: Float32Array, down: Float32Array, activations: Float32Array, y: Float32Array): void;
  /** Overwrites activations. */
  expertFeedForwardBackward(kind: number, N: number, K: number, C: number, H: number, E: number, S: number, offsets: Int32Array, slotToken: Int32Array, tokenSlot: Int32Array,
    x: Float32Array, weights: Float32Array, first: Float32Array, down: Float32Array, dy: Float32Array, activations: Float32Array,
    dx: Float32Array, dWeights: Float32Array, dFirst: Float32Array, dDown: Float32Array): void;

  /** x [N, C] times three matrices [C, columns]; the gradients of the outputs and of the matrices have their shapes. */
  queryKeyValueForward(N: number, C: number, queryColumns: number, keyColumns: number, valueColumns: number, x: Float32Array, query: Float32Array,
    key: Float32Array, value: Float32Array, queries: Float32Array, keys: Float32Array, values: Float32Array): void;
  queryKeyValueBackward(N: number, C: number, queryColumns: number, keyColumns: number, valueColumns: number, x: Float32Array, query: Float32Array,
    key: Float32Array, value: Float32Array, dQueries: Float32Array, dKeys: Float32Array, dValues: Float32Array, dx: Float32Array,
    dQuery: Float32Array, dKey: Float32Array, dValue: Float32Array): void;

  /** Mean nats; logits [N, V]; targets, mask, logSumExp [N]; the last is kept for the backward pass. */
  crossEntropyForward(N: number, V: number, logits: Float32Array, targets: Int32Array, mask: Float32Array, logSumExp: Float32Array): number;
  crossEntropyBackward(N: number, V: number, dNats: number, logits: Float32Array, targets: Int32Array, mask: Float32Array,
    logSumExp: Float32Array, dLogits: Float32Array): void;

  /** The losses; ids [N, K], probabilities and logits [N, E], mask [N]; share [E] is kept for the backward pass. */
  balanceLossForward(N: number, K: number, E: number, ids: Int32Array, probabilities: Float32Array, mask: Float32Array, share: Float32Array): number;
  balanceLossBackward(N: number, E: number, dLoss: number, share: Float32Array, mask: Float32Array, dProbabilities: Float32Array): void;
  zLossForward(N: number, E: number, logits: Float32Array, mask: Float32Array): number;
  zLossBackward(N: number, E: number, dLoss: number, logits: Float32Array, mask: Float32Array, dLogits: Float32Array): void;

  /** Updates all parameters in place, each given by the i-th array of every list and its decay = learningRate ·
   *  weightDecay. firstScale = 1 / (1 − beta1^step), secondScale likewise. */
  adamwUpdate(gradientScale: number, beta1: number, beta2: number, firstScale: number, secondScale: number, epsilon: number,
    learningRate: number, gradients: Float32Array[], values: Float32Array[], firstMoments: Float32Array[], secondMoments: Float32Array[],
    decays: Float32Array): void;
  /** Σ x² over all values of all arrays, in double. */
  sumOfSquares(x: Float32Array[]): number;
}
