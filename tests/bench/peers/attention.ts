/** Our side of `npm run bench:peers -- attention`: causal self-attention, one row of T tokens. */
import * as tf from "@tensorflow/tfjs-core";
import { attention } from "../../../toolkit/ops/attention.ts";
import { floats } from "../../../toolkit/ops/opSample.ts";
import { inTidy, namedArray, repeatedTimesMs, serveCases, type PeerCase } from "./worker.ts";

const shape: [number, number, number, number] = [1, 2048, 8, 64]; // B, T, heads, D
const name = "T=2048, 8 heads of 64, causal";
const inputs = (): tf.Tensor4D[] => [1, 2, 3, 4].map((seed) => tf.tensor4d(floats(shape, seed, 2).values, shape));
const gradients = tf.grads((query: tf.Tensor, key: tf.Tensor, value: tf.Tensor) => attention(query, key, value));

const forward: PeerCase = {
  name: `${name}, forward`,
  runsPerRound: 7,
  reference: () => inTidy(() => {
    const [query, key, value] = inputs();
    const arrays = { query, key, value, "expected.y": attention(query, key, value) };
    return { arrays: new Map(Object.entries(arrays).map(([name, tensor]) => [name, namedArray(tensor)])), settings: { backward: false } };
  }),
  measureMs: (runs) => tf.tidy(() => {
    const [query, key, value] = inputs();
    return repeatedTimesMs(runs, () => { attention(query, key, value); });
  }),
};

const forwardBackward: PeerCase = {
  name: `${name}, forward and backward`,
  runsPerRound: 5,
  reference: () => inTidy(() => {
    const [query, key, value, dy] = inputs();
    const [dQuery, dKey, dValue] = gradients([query, key, value], dy);
    const arrays = { query, key, value, dy, "expected.query": dQuery, "expected.key": dKey, "expected.value": dValue };
    return { arrays: new Map(Object.entries(arrays).map(([name, tensor]) => [name, namedArray(tensor)])), settings: { backward: true } };
  }),
  measureMs: (runs) => tf.tidy(() => {
    const [query, key, value, dy] = inputs();
    return repeatedTimesMs(runs, () => { gradients([query, key, value], dy); });
  }),
};

await serveCases([forward, forwardBackward]);
