import * as tf from "@tensorflow/tfjs-core";
import { beforeAll, describe, expect, test } from "vitest";
import { withActivationStorage } from "../../toolkit/backend/activationStorage.ts";
import { floatStorages, type FloatStorage } from "../../toolkit/backend/floatStorage.ts";
import { nativeMemory } from "../../toolkit/backend/memory.ts";
import type { NativeBackend } from "../../toolkit/backend/storage.ts";
import type { OpDescription } from "../../toolkit/ops/opSample.ts";
import { opTable } from "../../toolkit/ops/opTable.ts";
import { backends } from "./backends.ts";
import { excess, opGradients, tensors } from "./compare.ts";

const storedBytes = (): number => nativeMemory()?.storedBytes ?? Number.NaN;

/** The op with its forward pass in a scope; the backward pass runs outside. */
function scoped(op: OpDescription, storage: FloatStorage): OpDescription {
  return { ...op, run: (inputs, settings) => withActivationStorage(storage, () => op.run(inputs, settings)) };
}

/** What each op's outputs are kept in when bfloat16 is asked for. */
const outputStorages: Readonly<Record<string, readonly FloatStorage[]>> = {
  rmsNorm: ["bfloat16"], layerNorm: ["bfloat16"], rotary: ["bfloat16"], attention: ["bfloat16"], dispatch: ["bfloat16"], groupedMatmul: ["bfloat16"],
  combine: ["bfloat16"], expertFeedForward: ["bfloat16"], embedding: ["bfloat16"],
  routeTopK: ["float32", "float32", "float32"], crossEntropy: ["float32"],
};

describe.runIf(backends.includes("native"))("in a scope of withActivationStorage", () => {
  let backend: NativeBackend;
  beforeAll(async () => {
    await tf.setBackend("native");
    backend = tf.backend() as NativeBackend;
  });
  const named = (name: string): OpDescription => opTable.find((op) => op.name === name) ?? expect.fail(`no op ${name}`);

  test.each(Object.keys(outputStorages))("%s keeps its outputs as documented", (name) => {
    const op = named(name);
    tf.tidy(() => {
      const outputs = scoped(op, "bfloat16").run(tensors(op.largeSample), op.largeSample.settings);
      expect(outputs.map((output) => backend.storageOf(output))).toEqual(outputStorages[name]);
    });
  });

  test.each(Object.keys(outputStorages))("%s has nearly the gradient that it has in float32", (name) => {
    const op = named(name);
    const wanted = opGradients(op, op.largeSample);
    for (const storage of floatStorages) {
      const got = opGradients(scoped(op, storage), op.largeSample);
      // Single ops round their output, and the experts what they keep, once: 2^-8, here in sums of terms of both signs.
      const relative = storage === "float32" ? 0 : 2 ** -6;
      for (const input of op.differentiable) expect(excess(got[input], wanted[input], { absolute: 0, relative }), `${input} ${storage}`).toBeLessThanOrEqual(1);
    }
  });

  test("what the experts keep for the backward pass takes half the bytes, and is let go of afterwards", () => {
    const { largeSample, ...op } = named("expertFeedForward");
    const { x, weights, ids, first, down } = tensors(largeSample);
    const slots = largeSample.inputs.ids.values.filter((id) => id >= 0).length;
    const [twoH, tokens] = [first.shape[2] ?? 0, x.size];
    const keptBytes = floatStorages.map((storage) => {
      const before = storedBytes();
      let duringBytes = 0;
      const gradient = tf.grad((input: tf.Tensor) => {
        const [y] = withActivationStorage(storage, () => op.run({ x: input, weights, ids, first, down }, largeSample.settings));
        const planBytes = 4 * (ids.size + slots + down.shape[0] + 1);
        duringBytes = storedBytes() - before - planBytes;
        return y;
      })(x);
      gradient.dispose();
      expect(storedBytes()).toBe(before);
      return duringBytes;
    });
    const elements = slots * twoH + tokens; // gate and up projections, and the output
    expect(keptBytes).toEqual([4 * elements, 2 * elements, 2 * elements]);
  });
});
