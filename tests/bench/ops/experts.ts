/** Products grouped by expert against one dense product of the same FLOPs, and a sparse layer as experts are added. */
import * as tf from "@tensorflow/tfjs-core";
import { nativeBinding } from "../../../toolkit/backend/binding.ts";
import { combine } from "../../../toolkit/ops/combine.ts";
import { dispatch, planDispatch } from "../../../toolkit/ops/dispatch.ts";
import { expertFeedForward } from "../../../toolkit/ops/expertFeedForward.ts";
import { activate, feedForwardKinds } from "../../../toolkit/ops/feedForwardKinds.ts";
import { groupedMatmul } from "../../../toolkit/ops/groupedMatmul.ts";
import { everyExpert, moeInputs } from "../../../toolkit/ops/opInputs.ts";
import { choices, floats } from "../../../toolkit/ops/opSample.ts";
import { RandomSource } from "../../../toolkit/random.ts";
import { ratioTo, report, summary } from "../report.ts";
import { madeByKernel } from "./inputs.ts";
import { inTurns, timed } from "./timing.ts";

const rounds = 11;
const groupedBar = 0.9;
const expertCounts = [8, 16, 32, 64];
/** S = N·K rows. */
const groupedSizes = [{ S: 4096, C: 256, H: 512 }, { S: 8192, C: 512, H: 1024 }];
/** A layer of the model that bench:peers trains. */
const layer = { N: 2048, C: 256, H: 512 };
/** Most that 64 experts may take longer than 8, beyond reading and writing their weights. */
const growthBar = 0.15;

/** Rows of each expert by Zipf's law, the i-th most popular one having a share like 1 / i, in a random order: [E + 1]. */
function zipfOffsets(S: number, E: number): Int32Array {
  const random = new RandomSource(E), shares = everyExpert(E).map((e) => 1 / (e + 1));
  for (let e = E - 1; e > 0; e -= 1) {
    const other = random.nextInt(e + 1);
    [shares[e], shares[other]] = [shares[other], shares[e]];
  }
  const total = shares.reduce((sum, share) => sum + share, 0);
  let sum = 0;
  return Int32Array.from([0, ...shares.map((share) => Math.round((S * (sum += share)) / total))]);
}

/** Grouped and dense in turns: rows times weights, and the weights' gradients. */
function benchGrouped({ S, C, H }: (typeof groupedSizes)[number], filter: string): void {
  const flops = 2 * S * C * H, native = nativeBinding();
  for (const E of expertCounts) {
    const size = `E=${E} uneven, [${S}, ${C}] × [${C}, ${H}]`;
    const lines = [`grouped product, ${size}`, `grouped weight gradient, ${size}`];
    if (!lines.some((name) => name.includes(filter))) continue;
    const offsets = zipfOffsets(S, E), offsetsTensor = tf.tensor1d(offsets, "int32");
    const [rows, weights, weight, dy] = [floats([S, C], 1), floats([E, C, H], 2), floats([C, H], 3), floats([S, H], 4)].map(madeByKernel);
    const [rowValues, dyValues] = [rows, dy].map((x) => x.dataSync<"float32">());
    const [dWeights, dWeight] = [new Float32Array(E * C * H), new Float32Array(C * H)];
    const pairs = [
      [() => { groupedMatmul(rows, weights, offsetsTensor).dispose(); }, () => { tf.matMul(rows, weight).dispose(); }],
      [() => { native.matmulGroupsWeightGradient(E, S, C, H, offsets, rowValues, dyValues, dWeights); },
        () => { native.matmul(1, C, H, S, true, false, 1, 1, rowValues, dyValues, dWeight); }],
    ];
    for (const [i, pair] of pairs.entries()) {
      const [grouped, dense] = inTurns(rounds, pair.map(timed)).map((times) => times.map((ms) => flops / ms / 1e6));
      report("ops", lines[i], "GFLOP/s", grouped, ratioTo("the dense product", grouped, dense, groupedBar));
    }
    tf.dispose([rows, weights, weight, dy, offsetsTensor]);
  }
}

interface Layer {
  readonly forward: () => void;
  readonly both: () => void;
}

function sparseLayer(E: number, K: number): Layer {
  const { N, C, H } = layer;
  const [x, weights, ids, first, down] = Object.values(moeInputs([N, C, H, E, K], choices(N, K, everyExpert(E), 5))).map(madeByKernel);
  const plan = planDispatch(ids, E), dy = madeByKernel(floats([N, C], 6));
  const gradients = tf.grads((...[a, b, c, d]: tf.Tensor[]) => expertFeedForward(a, b, plan, c, d));
  return {
    forward: () => { tf.tidy(() => { expertFeedForward(x, weights, plan, first, down); }); },
    both: () => { tf.tidy(() => { gradients([x, weights, first, down], dy); }); },
  };
}

/** A layer's forward pass, and forward with backward, with more experts at the same K and with larger K. */
function benchLayers(memoryRate: number | undefined, filter: string): void {
  const { N, C, H } = layer, describe = (E: number, K: number): string => `sparse layer E=${E} K=${K}, N=${N} C=${C} H=${H}`;
  const cases = [...expertCounts.map((E) => [E, 2]), ...[1, 3, 4].map((K) => [8, K])].filter(([E, K]) => describe(E, K).includes(filter));
  const layers = cases.map(([E, K]) => sparseLayer(E, K));
  const forward = inTurns(rounds, layers.map((one) => timed(one.forward))), both = inTurns(rounds, layers.map((one) => timed(one.both)));
  for (const [i, [E, K]] of cases.entries()) {
    const flops = 6 * N * K * C * H;
    report("ops", `${describe(E, K)}, forward`, "ms", forward[i], { gflops: Math.round(flops / summary(forward[i]).value / 1e6) });
    report("ops", `${describe(E, K)}, forward and backward`, "ms", both[i], { gflops: Math.round((3 * flops) / summary(both[i]).value / 1e6) });
  }
  const fewest = cases.findIndex(([E, K]) => E === expertCounts[0] && K === 2);
  if (fewest < 0) return;
  for (const [i, [E]] of cases.entries()) {
    if (E === expertCounts[0]) continue;
    report("ops", `sparse layer, ${expertCounts[0]} → ${E} experts at K=2, time added`, "share", both[i].map((ms, round) => ms / both[fewest][round] - 1));
    if (memoryRate === undefined) continue;
    // Forward and backward each read the added weights once, and their gradients are written once.
    const weightsMs = (3 * 4 * (E - expertCounts[0]) * 3 * C * H) / memoryRate / 1e6;
    const beyond = both[i].map((ms, round) => (ms - weightsMs) / both[fewest][round] - 1);
    report("ops", `the same beyond reading weights and writing gradients`, "share", beyond, { weightsMs: Number(weightsMs.toPrecision(3)), atMost: growthBar });
  }
}

/** Each kind of feed-forward part as one fused op and out of the single ops, in turns, forward and backward. */
function benchKinds(filter: string): void {
  const [N, C, H, E, K] = [2048, 128, 256, 8, 2];
  for (const kind of feedForwardKinds) {
    const name = `experts of kind ${kind}, N=${N} C=${C} H=${H} E=${E} K=${K}, forward and backward`;
    if (!name.includes(filter)) continue;
    const [x, weights, ids, first, down] = Object.values(moeInputs([N, C, H, E, K], choices(N, K, everyExpert(E), 5), kind)).map(madeByKernel);
    const plan = planDispatch(ids, E), dy = madeByKernel(floats([N, C], 6));
    const fused = tf.grads((...[a, b, c, d]: tf.Tensor[]) => expertFeedForward(a, b, plan, c, d, kind));
    const single = tf.grads((...[a, b, c, d]: tf.Tensor[]) =>
      combine(groupedMatmul(activate(kind, groupedMatmul(dispatch(a, plan), c, plan.offsets)), d, plan.offsets), b, plan));
    const [fusedMs, singleMs] = inTurns(rounds, [fused, single].map((gradients) => timed(() => { tf.tidy(() => { gradients([x, weights, first, down], dy); }); })));
    report("ops", name, "ms", fusedMs, { singleOpsMs: Number(summary(singleMs).value.toPrecision(3)) });
    tf.dispose([x, weights, ids, first, down, dy, plan.offsets, plan.slotToken, plan.tokenSlot]);
  }
}

/** @param memoryRate GB/s of memory where two arrays are read and one is written; undefined where it isn't known */
export function benchExperts(memoryRate: number | undefined, filter: string): void {
  for (const size of groupedSizes) benchGrouped(size, filter);
  benchLayers(memoryRate, filter);
  benchKinds(filter);
}
