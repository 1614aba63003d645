/** Matrix products through tf.matMul, and what a call of the smallest op costs. */
import * as tf from "@tensorflow/tfjs-core";
import { floats } from "../../../toolkit/ops/opSample.ts";
import { report } from "../report.ts";
import { madeByKernel } from "./inputs.ts";
import { inTurns, timed } from "./timing.ts";

const rounds = 15;

/** m, n, k, and whether B is given as its transpose. */
const products: readonly (readonly [number, number, number, boolean])[] = [
  [128, 512, 512, false], [512, 512, 512, false], [512, 512, 512, true], [1024, 1024, 1024, false], [64, 64, 256, false],
  [2048, 8, 256, false], [1, 1024, 512, false], [1, 1024, 512, true],
];

/** One line for each product whose name holds `filter`, and one for the addition of four values. */
export function benchProducts(filter: string): void {
  for (const [m, n, k, transposeB] of products) {
    const name = `matMul [${m}, ${k}] × ${transposeB ? `[${n}, ${k}]ᵀ` : `[${k}, ${n}]`}`;
    if (!name.includes(filter)) continue;
    const [a, b] = [madeByKernel(floats([m, k], 1)) as tf.Tensor2D, madeByKernel(floats(transposeB ? [n, k] : [k, n], 2)) as tf.Tensor2D];
    const [ms] = inTurns(rounds, [timed(() => { tf.matMul(a, b, false, transposeB).dispose(); })]);
    report("ops", name, "GFLOP/s", ms.map((time) => (2 * m * n * k) / time / 1e6));
    tf.dispose([a, b]);
  }
  const name = "add of 4 values, the cost of a call";
  if (!name.includes(filter)) return;
  const few = tf.tensor1d([1, 2, 3, 4]);
  const [ms] = inTurns(rounds, [timed(() => { tf.add(few, few).dispose(); })]);
  report("ops", name, "µs", ms.map((time) => 1000 * time));
}
