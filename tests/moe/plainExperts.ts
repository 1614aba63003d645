import type { ExpertConfig, FeedForwardConfig, SingleExpertConfig } from "../../toolkit/moe/expertConfig.ts";

/** Experts as plain loops in double, from the formulas in the docs: the oracle of the experts' tests. */
export interface PlainArray {
  readonly shape: readonly number[];
  readonly values: Float64Array;
}
export type PlainWeights = ReadonlyMap<string, PlainArray>;

function get(weights: PlainWeights, name: string): PlainArray {
  const array = weights.get(name);
  if (!array) throw new Error(`no weight ${name}; there are ${[...weights.keys()].join(", ")}`);
  return array;
}

/** x · W with W the e-th matrix of [E, I, O] or [I, O]. */
function product(x: readonly number[], { shape, values }: PlainArray, e = 0): number[] {
  const [I, O] = shape.slice(-2);
  return Array.from({ length: O }, (_, o) => x.reduce((sum, value, i) => sum + value * values[(e * I + i) * O + o], 0));
}

const row = ({ shape, values }: PlainArray, e: number): number[] => [...values.subarray(e * shape[shape.length - 1], (e + 1) * shape[shape.length - 1])];
const add = (a: readonly number[], b: readonly number[]): number[] => a.map((value, i) => value + b[i]);

const sigmoid = (x: number): number => 1 / (1 + Math.exp(-x));

/** By its power series, which is exact in double for the small arguments of the tests. */
function erf(x: number): number {
  let [term, sum] = [x, x];
  for (let n = 1; n < 200; n++) {
    term *= (-x * x) / n;
    sum += term / (2 * n + 1);
  }
  return (2 / Math.sqrt(Math.PI)) * sum;
}
const gelu = (x: number): number => (x * (1 + erf(x / Math.SQRT2))) / 2;
const relu = (x: number): number => Math.max(0, x);
const silu = (x: number): number => x * sigmoid(x);

const gates = { swiglu: silu, geglu: gelu, reglu: relu, glu: sigmoid };
const activations = { gelu, relu, relu2: (x: number) => relu(x) ** 2, silu };

function activated(kind: FeedForwardConfig["kind"], projected: readonly number[]): number[] {
  if (kind in activations) return projected.map(activations[kind as keyof typeof activations]);
  const H = projected.length / 2;
  return projected.slice(0, H).map((gate, h) => gates[kind as keyof typeof gates](gate) * projected[H + h]);
}

const firstName = (kind: FeedForwardConfig["kind"]): string => (kind in gates ? "gateUp" : "up");

/** down(activation(x · first + bias)) + bias, of the e-th of stacked weights or of plain ones. */
export function plainFeedForward({ kind, bias }: FeedForwardConfig, weights: PlainWeights, x: readonly number[], e = 0): number[] {
  const first = firstName(kind);
  const projected = product(x, get(weights, first), e);
  const hidden = activated(kind, bias ? add(projected, row(get(weights, `${first}Bias`), e)) : projected);
  const y = product(hidden, get(weights, "down"), e);
  return bias ? add(y, row(get(weights, "downBias"), e)) : y;
}

function softmax(scores: readonly number[]): number[] {
  const powers = scores.map(Math.exp), sum = powers.reduce((a, b) => a + b, 0);
  return powers.map((power) => power / sum);
}

/** What expert e gives for one token. */
export function plainExpert(expert: SingleExpertConfig, weights: PlainWeights, x: readonly number[], e: number): number[] {
  switch (expert.kind) {
    case "zero": return x.map(() => 0);
    case "copy": return [...x];
    case "constant": {
      const [a1, a2] = softmax(product(x, get(weights, "mix"), e));
      return row(get(weights, "constant"), e).map((v, c) => a1 * x[c] + a2 * v);
    }
    case "custom": // that of the tests: x + tanh(x · inner) · outer
      return add(x, product(product(x, get(weights, `${e}.inner`)).map(Math.tanh), get(weights, `${e}.outer`)));
    case "lora": {
      const { rank, alpha = rank, base = { kind: "swiglu" } } = expert;
      const changed = (name: string): PlainArray => {
        const { shape, values } = get(weights, `base.${name}`);
        const a = get(weights, `${name}A`), b = get(weights, `${name}B`);
        const [I, O] = shape;
        const sum = values.map((value, at) => {
          const [i, o] = [Math.floor(at / O), at % O];
          for (let r = 0; r < rank; r++) value += (alpha / rank) * a.values[(e * I + i) * rank + r] * b.values[(e * rank + r) * O + o];
          return value;
        });
        return { shape, values: sum };
      };
      const first = firstName(base.kind);
      const own = new Map([[first, changed(first)], ["down", changed("down")]]);
      if (base.bias) for (const name of [`${first}Bias`, "downBias"]) own.set(name, get(weights, `base.${name}`));
      return plainFeedForward(base, own, x);
    }
    default: return plainFeedForward(expert, weights, x, e);
  }
}

/** y[n] = Σₖ weights[n, k] · expert(ids[n, k])(x[n]); a choice of −1 adds nothing. */
export function plainExperts(experts: ExpertConfig, weights: PlainWeights, x: number[][], combine: number[][], ids: number[][]): number[][] {
  return x.map((token, n) => ids[n].reduce((y, e, k) => {
    if (e < 0) return y;
    return add(y, plainExpertOf(experts, weights, token, e).map((value) => combine[n][k] * value));
  }, token.map(() => 0)));
}

function plainExpertOf(experts: ExpertConfig, weights: PlainWeights, token: number[], e: number): number[] {
  if (experts.kind !== "mixed") return plainExpert(experts, weights, token, e);
  let first = 0;
  for (const [g, { count, expert }] of experts.groups.entries()) {
    if (e < first + count) {
      const own = [...weights].filter(([name]) => name.startsWith(`${g}.`)).map(([name, array]) => [name.slice(`${g}.`.length), array] as const);
      return plainExpert(expert, new Map(own), token, e - first);
    }
    first += count;
  }
  throw new Error(`no expert ${e}`);
}
