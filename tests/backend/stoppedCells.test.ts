import * as tf from "@tensorflow/tfjs-core";
import { channel } from "node:diagnostics_channel";
import { beforeAll, expect, test } from "vitest";
import { chooseBackend } from "../../toolkit/backend/choose.ts";

beforeAll(async () => { await chooseBackend(); });

/** What a cell leaves that is terminated within a gradient: no `finally` has run. */
function dieWithinGradient(weight: tf.Variable): void {
  const engine = tf.engine();
  engine.startScope("gradients");
  Object.assign(engine.state, { activeTape: [], gradientDepth: 1 });
  tf.matMul(weight, weight).square();
  engine.state.kernelDepth = 1;
}

test("after a cell was stopped within a gradient, tfjs frees what it held and computes gradients again", () => {
  const weight = tf.variable(tf.tensor2d([[1, 2], [3, 4]]));
  const before = tf.memory().numTensors;
  dieWithinGradient(weight);
  expect(tf.memory().numTensors).toBeGreaterThan(before);
  channel("moe-lab:cell-stopped").publish({});
  expect(tf.memory().numTensors).toBe(before);

  const { grads, value } = tf.variableGrads(() => weight.square().sum<tf.Scalar>(), [weight]);
  expect(Array.from(grads[weight.name].dataSync())).toEqual([2, 4, 6, 8]);
  tf.dispose([grads, value]);
  expect(tf.memory().numTensors).toBe(before);
  weight.dispose();
});
