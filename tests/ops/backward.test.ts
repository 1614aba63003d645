import * as tf from "@tensorflow/tfjs-core";
import { beforeAll, describe, expect, test } from "vitest";
import { NativeBackend } from "../../toolkit/backend/storage.ts";
import { opTable } from "../../toolkit/ops/opTable.ts";
import { backends } from "./backends.ts";
import { cotangent, opGradients, tensors } from "./compare.ts";

describe.each(backends)("on %s", (backend) => {
  beforeAll(async () => { await tf.setBackend(backend); });

  for (const op of opTable.filter(({ differentiable }) => differentiable.length > 0)) {
    test(`${op.name} gives its gradient a second time when one recording is used twice`, () => {
      const [sample] = op.samples;
      const wanted = opGradients(op, sample);
      const [first] = op.differentiable;
      const got = tf.tidy(() => {
        const inputs = tensors(sample);
        // The outer gradient shares its tape with the inner one, so the op's backward pass runs for both.
        return tf.grad((x: tf.Tensor) => {
          let recorded = x;
          tf.grad((again: tf.Tensor) => {
            const outputs = op.run({ ...inputs, [first]: again }, sample.settings);
            const terms = op.differentiableOutputs.map((o) => tf.sum(tf.mul(outputs[o], tf.tensor(cotangent(outputs[o].size, o), outputs[o].shape))));
            recorded = tf.addN(terms);
            return recorded;
          })(x);
          return recorded;
        })(inputs[first]).dataSync().slice();
      });
      expect(got).toEqual(wanted[first]);
    });
  }
});

describe.runIf(backends.includes("native"))("the native kernels", () => {
  test.each(opTable)("$name keeps nothing for a backward pass that can't come", async (op) => {
    await tf.setBackend("native");
    const native = tf.backend();
    if (!(native instanceof NativeBackend)) throw new Error("native is another backend");
    const { largeSample } = op;
    const inputs = tensors(largeSample);
    const idleBytesAfterRun = (): number => {
      tf.tidy(() => { op.run(inputs, largeSample.settings).forEach((output) => { if (output instanceof tf.Variable) output.dispose(); }); });
      return native.recycledBytes;
    };
    // What a call allocates comes back at its end, so from the second call on nothing is added.
    idleBytesAfterRun();
    const idleBytes = idleBytesAfterRun();
    for (let i = 0; i < 3; i++) expect(idleBytesAfterRun()).toBe(idleBytes);
    tf.dispose(inputs);
  });

  test("memory of attention grows with the tokens, not with their square", async () => {
    await tf.setBackend("native");
    const [T, D] = [12_000, 16];
    const attend = opTable.find(({ name }) => name === "attention");
    const inputs = () => Object.fromEntries(["query", "key", "value"].map((name) => [name, tf.zeros([1, T, 1, D])]));
    const before = process.memoryUsage().rss;
    tf.tidy(() => { tf.grads((...[query, key, value]: tf.Tensor[]) => attend?.run({ query, key, value }, {})[0] ?? query)(Object.values(inputs())); });
    // all scores at once would take 576 MB
    expect(process.memoryUsage().rss - before).toBeLessThan(100e6);
  });
});
