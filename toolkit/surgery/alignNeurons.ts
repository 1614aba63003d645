import { assign } from "./assignment.ts";
import type { HostArray } from "./modelState.ts";

/** Weights of feed-forward parts, stacked over E experts. */
export interface FeedForwardStack {
  /** [E, C, parts·H]: with 2 parts the gate left, the up projection right */
  readonly first: HostArray;
  /** [E, parts·H] */
  readonly firstBias?: HostArray;
  /** [E, H, C] */
  readonly down: HostArray;
  /** 2 for gated kinds, 1 for plain ones */
  readonly parts: 1 | 2;
}

/** Reorders, in place, the hidden neurons of each expert to fit those of the first of its group best: the pairs of neurons
 *  with the largest sum of inner products over all weights that go in and out. The experts compute what they did.
 *  @param groups ids of experts
 *  Source: weight matching, Ainsworth et al. 2022, arXiv:2209.04836 §3.2: for one hidden layer it is one assignment problem */
export function alignNeurons(stack: FeedForwardStack, groups: readonly (readonly number[])[]): void {
  for (const [reference, ...others] of groups) {
    const wanted = neuronsOf(stack, reference);
    for (const expert of others) {
      const neurons = neuronsOf(stack, expert);
      const H = wanted.length;
      const costs = new Float64Array(H * H);
      wanted.forEach((a, i) => { neurons.forEach((b, j) => { costs[i * H + j] = -innerProduct(a, b); }); });
      setNeurons(stack, expert, Array.from(assign(costs, H), (j) => neurons[j]));
    }
  }
}

/** Where the weights of a neuron are: its columns of `first`, its biases, its row of `down`. */
function eachPlace({ first, firstBias, down, parts }: FeedForwardStack, expert: number, h: number, visit: (values: Float32Array, at: number) => void): void {
  const [, H, C] = down.shape;
  for (let part = 0; part < parts; part++) {
    const column = part * H + h;
    for (let c = 0; c < C; c++) visit(first.values, (expert * C + c) * parts * H + column);
    if (firstBias) visit(firstBias.values, expert * parts * H + column);
  }
  for (let c = 0; c < C; c++) visit(down.values, (expert * H + h) * C + c);
}

/** All weights of each hidden neuron, [H] of equal length. */
function neuronsOf(stack: FeedForwardStack, expert: number): Float32Array[] {
  return Array.from({ length: stack.down.shape[1] }, (_, h) => {
    const weights: number[] = [];
    eachPlace(stack, expert, h, (values, at) => { weights.push(values[at]); });
    return Float32Array.from(weights);
  });
}

function setNeurons(stack: FeedForwardStack, expert: number, neurons: readonly Float32Array[]): void {
  neurons.forEach((weights, h) => {
    let i = 0;
    eachPlace(stack, expert, h, (values, at) => { values[at] = weights[i++]; });
  });
}

function innerProduct(a: Float32Array, b: Float32Array): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i] * b[i];
  return sum;
}
