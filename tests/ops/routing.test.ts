import * as tf from "@tensorflow/tfjs-core";
import { beforeAll, describe, expect, test } from "vitest";
import { combine } from "../../toolkit/ops/combine.ts";
import { dispatch, planDispatch } from "../../toolkit/ops/dispatch.ts";
import { choices, floats } from "../../toolkit/ops/opSample.ts";
import { routeTopK } from "../../toolkit/ops/routeTopK.ts";
import { backends, errorCode } from "./backends.ts";

describe.each(backends)("on %s", (backend) => {
  beforeAll(async () => { await tf.setBackend(backend); });

  test("equal scores go to the lower expert id", () => {
    const route = routeTopK(tf.tensor2d([[1, 3, 3, 3], [0, -0, 0, -0], [2, 2, 5, 2]]), { expertsPerToken: 2, renormalize: true });
    expect(route.ids.arraySync()).toEqual([[1, 2], [0, 1], [2, 0]]);
  });

  test("a token without any usable score still goes to K different experts", () => {
    const route = routeTopK(tf.tensor2d([[NaN, NaN, NaN], [NaN, -Infinity, 1]]), { expertsPerToken: 2, renormalize: false });
    expect(route.ids.arraySync()).toEqual([[0, 1], [2, 1]]);
  });

  test("renormalized weights of a token sum to 1, however far apart the scores are", () => {
    const route = routeTopK(tf.tensor2d([[100, -100, 0], [1e-3, 0, 2e-3]]), { expertsPerToken: 2, renormalize: true });
    for (const sum of tf.sum(route.weights, 1).dataSync()) expect(sum).toBeCloseTo(1, 6);
  });

  test("all K = E experts can be chosen", () => {
    expect(routeTopK(tf.tensor2d([[1, 2, 3]]), { expertsPerToken: 3, renormalize: true }).ids.arraySync()).toEqual([[2, 1, 0]]);
  });

  test.each([0, 4, 1.5])("expertsPerToken %d of 3 experts is refused", (expertsPerToken) => {
    expect(errorCode(() => routeTopK(tf.zeros([2, 3]), { expertsPerToken, renormalize: true }))).toBe("E_TOPK_RANGE");
  });

  test("an expert id outside of the experts is refused", () => {
    expect(errorCode(() => planDispatch(tf.tensor2d([[0, 3]], [1, 2], "int32"), 3))).toBe("E_INDEX_RANGE");
    expect(errorCode(() => planDispatch(tf.tensor2d([[-2, 0]], [1, 2], "int32"), 3))).toBe("E_INDEX_RANGE");
  });

  test("dispatch then combine returns x when the weights of each token sum to 1", () => {
    const [N, C, K, E] = [9, 5, 3, 4];
    const x = tf.tensor2d(floats([N, C], 1).values, [N, C]);
    const plan = planDispatch(tf.tensor2d(choices(N, K, [0, 1, 2, 3], 2).values, [N, K], "int32"), E);
    const back = combine(dispatch(x, plan), tf.fill([N, K], 1 / K), plan);
    const distance = tf.max(tf.abs(tf.sub(back, x))).dataSync()[0];
    expect(distance).toBeLessThanOrEqual(1e-6);
  });

  test("tokens chosen by tf.topk, which has no gradient, can be dispatched while gradients are recorded", () => {
    const gradient = tf.grad((scores: tf.Tensor) => {
      const ids = tf.topk(scores as tf.Tensor2D, 1).indices;
      return tf.sum(dispatch(tf.mul(scores, 2), planDispatch(ids, 3)));
    })(tf.tensor2d([[1, 2, 3], [3, 2, 1]]));
    expect([...gradient.dataSync()]).toEqual([2, 2, 2, 2, 2, 2]);
  });
});
