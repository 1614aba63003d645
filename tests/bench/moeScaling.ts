/** Time of one sparse layer, forward and backward, when experts are added at the same K (it should stay flat, apart from
 *  the gradients of the added weights) and when K grows (it should grow in proportion). Prints one JSON object a line:
 *  {bench, case, value, unit, runs, spread}, value being the median of the runs, spread the distance of their quartiles.
 *  `npm run bench -- moeScaling` */
import { performance } from "node:perf_hooks";
import * as tf from "@tensorflow/tfjs-core";
import { chooseBackend } from "../../toolkit/backend/choose.ts";
import { planDispatch } from "../../toolkit/ops/dispatch.ts";
import { expertFeedForward } from "../../toolkit/ops/expertFeedForward.ts";
import { choices, floats, type SampleInput } from "../../toolkit/ops/opSample.ts";
import { report } from "./report.ts";

/** Sizes of the layer; E and K vary. */
const layer = { N: 2048, C: 256, H: 512 };
const runs = 9;
const warmUpRuns = 2;

const tensorOf = ({ values, shape, dtype }: SampleInput): tf.Tensor => tf.tensor(values, [...shape], dtype);

/** Times of `run` in milliseconds, sorted; the first runs, which also warm up, aren't counted. */
function timesMs(run: () => void): number[] {
  const times: number[] = [];
  for (let i = -warmUpRuns; i < runs; i++) {
    const startedMs = performance.now();
    tf.tidy(run);
    if (i >= 0) times.push(performance.now() - startedMs);
  }
  return times.sort((a, b) => a - b);
}

/** Forward, and forward with backward, of one layer. */
function timeLayer(name: string, E: number, K: number): void {
  const { N, C, H } = layer;
  tf.tidy(() => {
    const inputs = [floats([N, C], 1), floats([N, K], 2), floats([E, C, 2 * H], 3, 1 / Math.sqrt(C)), floats([E, H, C], 4, 1 / Math.sqrt(H))];
    const [x, weights, gateUp, down] = inputs.map(tensorOf);
    const plan = planDispatch(tensorOf(choices(N, K, Array.from({ length: E }, (_, e) => e), 5)), E);
    const dy = tensorOf(floats([N, C], 6));
    const withGradients = tf.grads((...[a, b, c, d]: tf.Tensor[]) => expertFeedForward(a, b, plan, c, d));
    const flops = 3 * 6 * N * K * C * H; // three products a weight: one forward, two backward
    report("moeScaling", `${name} forward`, "ms", timesMs(() => { expertFeedForward(x, weights, plan, gateUp, down); }));
    const bothMs = timesMs(() => { withGradients([x, weights, gateUp, down], dy); });
    report("moeScaling", `${name} forward and backward`, "ms", bothMs);
    report("moeScaling", `${name} forward and backward, rate`, "GFLOP/s", bothMs.map((ms) => flops / ms / 1e6).reverse());
  });
}

const backend = await chooseBackend();
report("moeScaling", `threads of ${backend.name}`, "threads", [backend.threads]);
for (const E of [8, 16, 32, 64]) timeLayer(`E=${E} K=2`, E, 2);
for (const K of [1, 2, 3, 4]) timeLayer(`E=8 K=${K}`, 8, K);
