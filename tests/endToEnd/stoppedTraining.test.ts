import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { KernelClient } from "../../kernel/client/kernelClient.ts";
import { runCell, startKernel } from "../kernel/kernelHarness.ts";

let client: KernelClient;
beforeAll(async () => { client = await startKernel(); }, 60_000);
afterAll(async () => { await client.shutdown(); });

/** Runs a cell that prints "begun" and interrupts it then. */
function interrupted(code: string): ReturnType<typeof runCell> {
  return runCell(client, code, {
    onMessage: ({ header, content }) => { if (header.msg_type === "stream" && String(content.text).includes("begun")) void client.interrupt(); },
  });
}

describe("an interrupt in a notebook", () => {
  test("ends a training run after its step, with a model that can be trained on and no tensor left behind", async () => {
    const before = await runCell(client, `import { tf, train, Transformer, transformerConfig } from "moe-lab";
const model = new Transformer(transformerConfig({ vocabSize: 64, numLayers: 1, width: 16, numHeads: 2, contextLength: 16, moe: { numExperts: 4, expertsPerToken: 2, expertWidth: 16 } }));
const data = { train: Int32Array.from({ length: 2000 }, (_, i) => (i * 7) % 64) };
const recipe = { batchSize: 4, contextLength: 16 };
await train(model, data, { ...recipe, steps: 1 });
tf.memory().numTensors`);
    const stopped = await interrupted(`const run = await train(model, data, { ...recipe, steps: 1_000_000 }, { onStep: ({ step }) => { if (step === 5) console.log("begun"); } });
[run.isStopped, run.steps >= 5 && run.steps < 1_000_000, tf.memory().numTensors === ${before.result ?? ""}]`);
    expect(stopped.result).toBe("[ true, true, true ]");
    const on = await runCell(client, `(await train(model, data, { ...recipe, steps: 2 })).endReason`);
    expect(on.result).toBe("'done'");
  });

  test("ends a busy loop of tensors, whose memory is freed", async () => {
    const before = await runCell(client, "tf.memory().numTensors");
    const stopped = await interrupted(`console.log("begun"); for (;;) tf.tidy(() => { tf.matMul(tf.ones([200, 200]), tf.ones([200, 200])); });`);
    expect(stopped.reply.ename).toBe("KeyboardInterrupt");
    expect((await runCell(client, "tf.memory().numTensors")).result).toBe(before.result);
  });
});
