/** What each op means, as plain loops in double: the oracle of tests/ops. Written from the formulas in the docs of the
 *  ops, without any code of theirs. Arrays are flat, row-major. */
export interface Operand {
  readonly shape: readonly number[];
  readonly values: Float64Array;
}
export type Operands = Readonly<Record<string, Operand>>;
export type Settings = Readonly<Record<string, number | boolean | string>>;
export type Definition = (inputs: Operands, settings: Settings) => Float64Array[];

const size = (shape: readonly number[]): number => shape.reduce((a, b) => a * b, 1);

function rmsNorm({ x, gain }: Operands, { epsilon }: Settings): Float64Array[] {
  const C = gain.shape[0];
  const y = new Float64Array(x.values.length);
  for (let row = 0; row < y.length; row += C) {
    let squares = 0;
    for (let c = 0; c < C; c++) squares += x.values[row + c] ** 2;
    const root = Math.sqrt(squares / C + Number(epsilon));
    for (let c = 0; c < C; c++) y[row + c] = (x.values[row + c] / root) * gain.values[c];
  }
  return [y];
}

function addRmsNorm({ x, added, gain }: Operands, settings: Settings): Float64Array[] {
  const sum = { ...x, values: x.values.map((value, i) => value + added.values[i]) };
  return [sum.values, ...rmsNorm({ x: sum, gain }, settings)];
}

function layerNorm({ x, gain, bias }: Operands, { epsilon }: Settings): Float64Array[] {
  const C = gain.shape[0];
  const y = new Float64Array(x.values.length);
  for (let row = 0; row < y.length; row += C) {
    let [sum, squares] = [0, 0];
    for (let c = 0; c < C; c++) sum += x.values[row + c];
    for (let c = 0; c < C; c++) squares += (x.values[row + c] - sum / C) ** 2;
    const root = Math.sqrt(squares / C + Number(epsilon));
    for (let c = 0; c < C; c++) y[row + c] = ((x.values[row + c] - sum / C) / root) * gain.values[c] + bias.values[c];
  }
  return [y];
}

function rotary({ x }: Operands, { base, startPosition }: Settings): Float64Array[] {
  const [B, T, heads, D] = x.shape;
  const y = new Float64Array(x.values.length);
  for (let b = 0; b < B; b++) for (let t = 0; t < T; t++) for (let h = 0; h < heads; h++) for (let i = 0; i < D / 2; i++) {
    const angle = (Number(startPosition) + t) * Number(base) ** ((-2 * i) / D);
    const at = ((b * T + t) * heads + h) * D + i;
    const [first, second] = [x.values[at], x.values[at + D / 2]];
    y[at] = first * Math.cos(angle) - second * Math.sin(angle);
    y[at + D / 2] = second * Math.cos(angle) + first * Math.sin(angle);
  }
  return [y];
}

function attention(operands: Operands): Float64Array[] {
  const { query, key, value } = operands;
  const firstKey = (operands.firstKey as Operand | undefined)?.values;
  const [B, Tq, Q, D] = query.shape;
  const [, Tk, G] = key.shape;
  const y = new Float64Array(query.values.length);
  for (let b = 0; b < B; b++) for (let h = 0; h < Q; h++) for (let i = 0; i < Tq; i++) {
    const g = Math.floor((h * G) / Q);
    const from = ((b * Tq + i) * Q + h) * D;
    const keyRow = (j: number): number => ((b * Tk + j) * G + g) * D;
    const scores: number[] = [];
    const first = firstKey?.[b * Tq + i] ?? 0;
    for (let j = first; j <= i + Tk - Tq; j++) {
      let dot = 0;
      for (let d = 0; d < D; d++) dot += query.values[from + d] * key.values[keyRow(j) + d];
      scores.push(dot / Math.sqrt(D));
    }
    const p = softmax(scores);
    p.forEach((weight, j) => { for (let d = 0; d < D; d++) y[from + d] += weight * value.values[keyRow(first + j) + d]; });
  }
  return [y];
}

function softmax(scores: readonly number[]): number[] {
  const most = Math.max(...scores);
  const powers = scores.map((s) => Math.exp(s - most));
  const sum = powers.reduce((a, b) => a + b, 0);
  return powers.map((p) => p / sum);
}

function routeTopK({ logits }: Operands, { expertsPerToken, renormalize }: Settings): Float64Array[] {
  const [N, E] = logits.shape;
  const K = Number(expertsPerToken);
  const [ids, weights, probabilities] = [new Float64Array(N * K), new Float64Array(N * K), new Float64Array(N * E)];
  for (let n = 0; n < N; n++) {
    const row = [...logits.values.subarray(n * E, (n + 1) * E)];
    const p = softmax(row);
    const best = row.map((_, e) => e).sort((a, b) => row[b] - row[a] || a - b).slice(0, K);
    const kept = best.reduce((sum, e) => sum + p[e], 0);
    probabilities.set(p, n * E);
    ids.set(best, n * K);
    weights.set(best.map((e) => (renormalize ? p[e] / kept : p[e])), n * K);
  }
  return [ids, weights, probabilities];
}

function planDispatch({ ids }: Operands, { numExperts }: Settings): Float64Array[] {
  const [N, K] = ids.shape;
  const E = Number(numExperts);
  const order = [...ids.values.keys()].filter((i) => ids.values[i] >= 0).sort((a, b) => ids.values[a] - ids.values[b] || a - b);
  const tokenSlot = new Float64Array(N * K).fill(-1);
  order.forEach((assignment, slot) => { tokenSlot[assignment] = slot; });
  const offsets = Float64Array.from({ length: E + 1 }, (_, e) => ids.values.filter((id) => id >= 0 && id < e).length);
  return [offsets, Float64Array.from(order, (assignment) => Math.floor(assignment / K)), tokenSlot];
}

function dispatch({ x, ids }: Operands, settings: Settings): Float64Array[] {
  const C = x.shape[1];
  const [, slotToken] = planDispatch({ ids }, settings);
  const rows = new Float64Array(slotToken.length * C);
  slotToken.forEach((token, slot) => { rows.set(x.values.subarray(token * C, (token + 1) * C), slot * C); });
  return [rows];
}

function queryKeyValue({ x, query, key, value }: Operands): Float64Array[] {
  const [N, C] = x.shape;
  return [query, key, value].map(({ shape: [, O], values }) => {
    const y = new Float64Array(N * O);
    for (let n = 0; n < N; n++) for (let o = 0; o < O; o++) for (let c = 0; c < C; c++) y[n * O + o] += x.values[n * C + c] * values[c * O + o];
    return y;
  });
}

function groupedMatmul({ rows, weights, offsets }: Operands): Float64Array[] {
  const [E, I, O] = weights.shape;
  const y = new Float64Array(rows.shape[0] * O);
  for (let e = 0; e < E; e++) for (let s = offsets.values[e]; s < offsets.values[e + 1]; s++) {
    for (let o = 0; o < O; o++) for (let i = 0; i < I; i++) y[s * O + o] += rows.values[s * I + i] * weights.values[(e * I + i) * O + o];
  }
  return [y];
}

function combine({ rows, weights, ids }: Operands, settings: Settings): Float64Array[] {
  const [N, K] = weights.shape;
  const C = rows.shape[1];
  const [, , tokenSlot] = planDispatch({ ids }, settings);
  const y = new Float64Array(N * C);
  for (let n = 0; n < N; n++) for (let k = 0; k < K; k++) for (let c = 0; c < C; c++) {
    if (tokenSlot[n * K + k] >= 0) y[n * C + c] += weights.values[n * K + k] * rows.values[tokenSlot[n * K + k] * C + c];
  }
  return [y];
}

/** The activation of each kind; Φ by Simpson's rule over the density of the normal law. */
const activations: Readonly<Record<string, (g: number) => number>> = {
  swiglu: (g) => g / (1 + Math.exp(-g)), silu: (g) => g / (1 + Math.exp(-g)),
  geglu: (g) => g * normalDistribution(g), gelu: (g) => g * normalDistribution(g),
  reglu: (g) => Math.max(0, g), relu: (g) => Math.max(0, g), relu2: (g) => Math.max(0, g) ** 2,
  glu: (g) => 1 / (1 + Math.exp(-g)),
};

function normalDistribution(x: number): number {
  const steps = 200, width = x / steps;
  const density = (t: number): number => Math.exp(-t * t / 2) / Math.sqrt(2 * Math.PI);
  let sum = density(0) + density(x);
  for (let i = 1; i < steps; i++) sum += (i % 2 === 1 ? 4 : 2) * density(i * width);
  return 0.5 + sum * width / 3;
}

function expertFeedForward({ x, weights, ids, first, down }: Operands, { kind }: Settings): Float64Array[] {
  const [N, K] = ids.shape;
  const [, H, C] = down.shape;
  const columns = first.shape[2], y = new Float64Array(N * C);
  for (let n = 0; n < N; n++) for (let k = 0; k < K; k++) {
    const e = ids.values[n * K + k];
    if (e < 0) continue;
    for (let h = 0; h < H; h++) {
      const product = (column: number): number => {
        let sum = 0;
        for (let c = 0; c < C; c++) sum += x.values[n * C + c] * first.values[(e * C + c) * columns + column];
        return sum;
      };
      const hidden = activations[kind as string](product(h)) * (columns === 2 * H ? product(H + h) : 1);
      for (let c = 0; c < C; c++) y[n * C + c] += weights.values[n * K + k] * hidden * down.values[(e * H + h) * C + c];
    }
  }
  return [y];
}

function crossEntropy({ logits, targets, lossMask }: Operands): Float64Array[] {
  const [N, V] = logits.shape;
  let [nats, count] = [0, 0];
  for (let n = 0; n < N; n++) {
    const mask = (lossMask as Operand | undefined)?.values[n] ?? 1;
    if (mask === 0) continue;
    const row = [...logits.values.subarray(n * V, (n + 1) * V)];
    nats -= mask * Math.log(softmax(row)[targets.values[n]]);
    count += mask;
  }
  return [Float64Array.of(count === 0 ? 0 : nats / count)];
}

const maskOf = (mask: Operand | undefined, N: number): Float64Array => mask?.values ?? new Float64Array(N).fill(1);

function balanceLoss(operands: Operands): Float64Array[] {
  const { ids, probabilities } = operands;
  const [N, K] = ids.shape, E = probabilities.shape[1];
  const mask = maskOf(operands.tokenMask, N);
  const tokens = mask.reduce((sum, weight) => sum + weight, 0);
  const assignments = ids.values.reduce((sum, id, i) => sum + (id >= 0 ? mask[Math.floor(i / K)] : 0), 0);
  let loss = 0;
  for (let e = 0; e < E; e++) {
    const choices = ids.values.reduce((sum, id, i) => sum + (id === e ? mask[Math.floor(i / K)] : 0), 0);
    const probability = mask.reduce((sum, weight, n) => sum + weight * probabilities.values[n * E + e], 0);
    loss += (E * choices * probability) / (assignments * tokens);
  }
  return [Float64Array.of(loss)];
}

function zLoss(operands: Operands): Float64Array[] {
  const [N, E] = operands.logits.shape;
  const mask = maskOf(operands.tokenMask, N);
  const squares = mask.map((weight, n) => {
    const row = operands.logits.values.subarray(n * E, (n + 1) * E);
    return weight * Math.log(row.reduce((sum, logit) => sum + Math.exp(logit), 0)) ** 2;
  });
  return [Float64Array.of(squares.reduce((a, b) => a + b, 0) / mask.reduce((a, b) => a + b, 0))];
}

function embedding({ table, ids }: Operands): Float64Array[] {
  const C = table.shape[1];
  const y = new Float64Array(size(ids.shape) * C);
  ids.values.forEach((id, n) => { y.set(table.values.subarray(id * C, (id + 1) * C), n * C); });
  return [y];
}

function adamwStep({ value, gradient, firstMoment, secondMoment }: Operands, settings: Settings): Float64Array[] {
  const { learningRate, beta1, beta2, epsilon, step, gradientScale, weightDecay } = settings as Record<string, number>;
  const first = firstMoment.values.map((m, i) => beta1 * m + (1 - beta1) * gradient.values[i] * gradientScale);
  const second = secondMoment.values.map((v, i) => beta2 * v + (1 - beta2) * (gradient.values[i] * gradientScale) ** 2);
  const updated = value.values.map((p, i) => {
    const [mean, variance] = [first[i] / (1 - beta1 ** step), second[i] / (1 - beta2 ** step)];
    return p - learningRate * weightDecay * p - (learningRate * mean) / (Math.sqrt(variance) + epsilon);
  });
  return [updated, first, second];
}

/** Without the rounding, which is the op's error. */
function toStorage({ x }: Operands): Float64Array[] {
  return [x.values.slice()];
}

function globalNorm(inputs: Operands): Float64Array[] {
  const squares = Object.values(inputs).map(({ values }) => values.reduce((sum, v) => sum + v * v, 0));
  return [Float64Array.of(Math.sqrt(squares.reduce((a, b) => a + b, 0)))];
}

function selectExperts({ scores, bias }: Partial<Operands> & { readonly scores: Operand }, { expertsPerToken, numGroups, groupsPerToken, summed }: Settings): Float64Array[] {
  const [N, E] = scores.shape, K = Number(expertsPerToken), size = E / Number(numGroups ?? 1);
  const descending = (a: number, b: number): number => b - a;
  return [Float64Array.from(Array.from({ length: N }, (_, n) => {
    const row = Array.from({ length: E }, (_unused, e) => scores.values[n * E + e] + (bias?.values[e] ?? 0));
    const groups = Array.from({ length: E / size }, (_unused, g) => ({ g, score: row.slice(g * size, (g + 1) * size).sort(descending).slice(0, Number(summed ?? 1)).reduce((sum, value) => sum + value, 0) }));
    const open = groups.sort((a, b) => b.score - a.score || a.g - b.g).slice(0, Number(groupsPerToken ?? 1)).map(({ g }) => g);
    const best = [...row.keys()].filter((e) => open.includes(Math.floor(e / size))).sort((a, b) => row[b] - row[a] || a - b).slice(0, K);
    return [...best, ...Array.from({ length: K - best.length }, () => -1)];
  }).flat())];
}

function chosenScores({ scores, ids }: Operands): Float64Array[] {
  const E = scores.shape[1], K = ids.shape[1];
  return [ids.values.map((id, i) => (id < 0 ? 0 : scores.values[Math.floor(i / K) * E + id]))];
}

function countChoices({ ids, tokenMask }: Partial<Operands> & { readonly ids: Operand }, { numExperts, batchSize }: Settings): Float64Array[] {
  const [N, K] = ids.shape, E = Number(numExperts), T = N / Number(batchSize);
  return [Float64Array.from({ length: Number(batchSize) * E }, (_, place) => ids.values.reduce((sum, id, i) => {
    const n = Math.floor(i / K);
    return id === place % E && Math.floor(n / T) === Math.floor(place / E) ? sum + (tokenMask?.values[n] ?? 1) : sum;
  }, 0))];
}

function limitChoices({ ids, weights }: Partial<Operands> & { readonly ids: Operand }, { capacity }: Settings): Float64Array[] {
  const weightOf = (i: number): number => weights?.values[i] ?? 0;
  // A choice stays when fewer than `capacity` of its expert's come before it.
  return [ids.values.map((id, i) => {
    const before = [...ids.values.keys()].filter((j) => ids.values[j] === id && (weightOf(j) > weightOf(i) || (weightOf(j) === weightOf(i) && j < i))).length;
    return before < Number(capacity) ? id : -1;
  })];
}

export const definitions: Readonly<Record<string, Definition>> = {
  rmsNorm, addRmsNorm, layerNorm, rotary, queryKeyValue, attention, routeTopK, planDispatch, dispatch, groupedMatmul, combine, expertFeedForward, crossEntropy,
  balanceLoss, zLoss, embedding, adamwStep, toStorage, globalNorm, selectExperts: selectExperts as Definition, chosenScores, countChoices: countChoices as Definition, limitChoices: limitChoices as Definition,
};
