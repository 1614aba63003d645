/** Our side of `npm run bench:peers -- matmul`. */
import * as tf from "@tensorflow/tfjs-core";
import { floats } from "../../../toolkit/ops/opSample.ts";
import { inTidy, namedArray, repeatedTimesMs, serveCases, type PeerCase } from "./worker.ts";

function product(m: number, n: number, k: number): PeerCase {
  const operands = (): [tf.Tensor2D, tf.Tensor2D] => [tf.tensor2d(floats([m, k], 1).values, [m, k]), tf.tensor2d(floats([k, n], 2).values, [k, n])];
  return {
    name: `[${m}, ${k}] × [${k}, ${n}]`,
    runsPerRound: 7,
    flops: 2 * m * n * k,
    reference: () => inTidy(() => {
      const [a, b] = operands();
      return { arrays: new Map([["a", namedArray(a)], ["b", namedArray(b)], ["expected.product", namedArray(tf.matMul(a, b))]]), settings: {} };
    }),
    measureMs: (runs) => tf.tidy(() => {
      const [a, b] = operands();
      return repeatedTimesMs(runs, () => { tf.matMul(a, b); });
    }),
  };
}

await serveCases([product(512, 512, 512), product(1024, 1024, 1024), product(64, 64, 256)]);
