import * as tf from "@tensorflow/tfjs-core";
import { beforeAll, describe, expect, test } from "vitest";
import { nativeBinding } from "../../toolkit/backend/binding.ts";
import { backends } from "./backends.ts";
import { opTable } from "../../toolkit/ops/opTable.ts";
import { definitionGradients, excess, opGradients, operands, tensors } from "./compare.ts";
import { definitions } from "./definitions.ts";


describe.each(backends)("on %s", (backend) => {
  beforeAll(async () => { await tf.setBackend(backend); });

  for (const op of opTable) {
    for (const sample of [...op.samples, op.largeSample]) {
      test(`${op.name} gives what its definition gives: ${sample.label}`, () => {
        const wanted = definitions[op.name](operands(sample), sample.settings);
        const got = tf.tidy(() => op.run(tensors(sample), sample.settings).map((output) => output.dataSync().slice()));
        expect(got.length).toBe(wanted.length);
        got.forEach((values, i) => { expect(excess(values, wanted[i], op.errorBound.forward)).toBeLessThanOrEqual(1); });
      });
    }
    if (op.differentiable.length === 0) continue;
    for (const sample of op.samples) {
      test(`${op.name} has the gradient of its definition: ${sample.label}`, () => {
        const wanted = definitionGradients(op, sample);
        const got = opGradients(op, sample);
        for (const name of op.differentiable) expect(excess(got[name], wanted[name], op.errorBound.gradient), name).toBeLessThanOrEqual(1);
      });
    }
  }
});

describe.each(backends)("on %s", (backend) => {
  test.each(opTable)("$name leaves no tensor behind", async (op) => {
    await tf.setBackend(backend);
    const [sample] = op.samples;
    const numTensors = tf.memory().numTensors;
    tf.tidy(() => { op.run(tensors(sample), sample.settings).forEach((output) => { if (output instanceof tf.Variable) output.dispose(); }); });
    if (op.differentiable.length > 0) opGradients(op, sample);
    expect(tf.memory().numTensors).toBe(numTensors);
  });
});

describe.runIf(backends.includes("native"))("the native kernels", () => {
  test.each(opTable)("$name gives the same bits with one thread and with several", async (op) => {
    await tf.setBackend("native");
    const native = nativeBinding();
    const threads = native.threads();
    const { largeSample } = op;
    const compute = () => [
      ...tf.tidy(() => op.run(tensors(largeSample), largeSample.settings).map((output) => output.dataSync().slice())),
      ...(op.differentiable.length > 0 ? Object.values(opGradients(op, largeSample)) : []),
    ];
    try {
      native.setThreads(1);
      const alone = compute();
      native.setThreads(3);
      expect(compute()).toEqual(alone);
    } finally {
      native.setThreads(threads);
    }
  });

  for (const op of opTable.filter(({ differentiable }) => differentiable.length > 0)) {
    test(`${op.name} has the same gradient as its composed form at full size`, async () => {
      await tf.setBackend("cpu");
      const composed = opGradients(op, op.largeSample);
      await tf.setBackend("native");
      const native = opGradients(op, op.largeSample);
      for (const name of op.differentiable) expect(excess(native[name], composed[name], op.errorBound.gradient), name).toBeLessThanOrEqual(1);
    });
  }
});
