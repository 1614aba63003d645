import * as tf from "@tensorflow/tfjs-core";
import { beforeAll, describe, expect, test } from "vitest";
import { chooseBackend } from "../../toolkit/backend/choose.ts";
import { balanceLoss, zLoss } from "../../toolkit/ops/routerLosses.ts";

beforeAll(async () => { await chooseBackend(); });

const value = (tensor: tf.Tensor): number => tensor.dataSync()[0];

describe("load-balancing loss", () => {
  test("perfect balance gives 1 at any number of experts", () => {
    const E = 4, N = 8;
    const ids = tf.tensor2d(Array.from({ length: N }, (_, n) => [n % E, (n + 1) % E]), [N, 2], "int32");
    expect(value(balanceLoss(ids, tf.fill([N, E], 1 / E)))).toBeCloseTo(1, 6);
  });

  test("equals E · Σ f·P by hand (Switch eq. 4)", () => {
    // Three tokens, K = 1: expert 0 twice, expert 1 once; mean probabilities (0.6, 0.4): 2 · (2/3·0.6 + 1/3·0.4).
    const ids = tf.tensor2d([[0], [0], [1]], [3, 1], "int32");
    const probabilities = tf.tensor2d([[0.9, 0.1], [0.6, 0.4], [0.3, 0.7]]);
    expect(value(balanceLoss(ids, probabilities))).toBeCloseTo(2 * ((2 / 3) * 0.6 + (1 / 3) * 0.4), 6);
  });

  test("its gradient goes through P only: E · fᵢ / N", () => {
    const ids = tf.tensor2d([[0], [0], [1]], [3, 1], "int32");
    const gradient = tf.grad((p) => balanceLoss(ids, p))(tf.tensor2d([[0.9, 0.1], [0.6, 0.4], [0.3, 0.7]]));
    const expected = [4 / 9, 2 / 9, 4 / 9, 2 / 9, 4 / 9, 2 / 9];
    Array.from(gradient.dataSync()).forEach((g, i) => expect(g).toBeCloseTo(expected[i], 6));
  });

  test("padding tokens count neither in f nor in P", () => {
    const ids = tf.tensor2d([[0], [0], [1], [1]], [4, 1], "int32");
    const probabilities = tf.tensor2d([[0.9, 0.1], [0.6, 0.4], [0.3, 0.7], [0.0, 1.0]]);
    const masked = balanceLoss(ids, probabilities, tf.tensor1d([1, 1, 1, 0]));
    expect(value(masked)).toBeCloseTo(2 * ((2 / 3) * 0.6 + (1 / 3) * 0.4), 6);
  });
});

describe("router z-loss", () => {
  test("is the mean square of logsumexp (ST-MoE eq. 5)", () => {
    const logits = [[0, 0], [1, 3]];
    const expected = (Math.log(2) ** 2 + Math.log(Math.E + Math.E ** 3) ** 2) / 2;
    expect(value(zLoss(tf.tensor2d(logits)))).toBeCloseTo(expected, 5);
    expect(value(zLoss(tf.tensor2d([...logits, [50, 50]]), tf.tensor1d([1, 1, 0])))).toBeCloseTo(expected, 5);
  });
});
