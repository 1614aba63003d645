import * as tf from "@tensorflow/tfjs-core";
import { beforeAll, describe, expect, test } from "vitest";
import { planDispatch, type DispatchPlan } from "../../toolkit/ops/dispatch.ts";
import { expertFeedForward } from "../../toolkit/ops/expertFeedForward.ts";
import { choices, floats, sizeOf, type OpSample } from "../../toolkit/ops/opSample.ts";
import { opTable } from "../../toolkit/ops/opTable.ts";
import { backends, errorCode } from "./backends.ts";

const [N, C, H] = [12, 6, 4];

const tensor = (shape: number[], seed: number): tf.Tensor => tf.tensor(floats(shape, seed).values.slice(), shape);

function planFor(E: number, K: number, used: readonly number[]): DispatchPlan {
  return planDispatch(tf.tensor2d(choices(N, K, used, 1).values, [N, K], "int32"), E);
}

function run(E: number, K: number, plan: DispatchPlan): tf.Tensor {
  return expertFeedForward(tensor([N, C], 2), tensor([N, K], 3), plan, tensor([E, C, 2 * H], 4), tensor([E, H, C], 5));
}

test("the FLOPs of a call don't change with the number of experts and grow in proportion to K", () => {
  const op = opTable.find(({ name }) => name === "expertFeedForward");
  const flops = (E: number, K: number): number => {
    const used = Array.from({ length: E }, (_, e) => e);
    const sample: OpSample = {
      label: "", settings: {},
      inputs: { x: floats([N, C], 1), weights: floats([N, K], 2), ids: choices(N, K, used, 3), first: floats([E, C, 2 * H], 4), down: floats([E, H, C], 5) },
    };
    return op?.flops(sample) ?? 0;
  };
  expect(flops(8, 2)).toBe(N * 2 * (6 * H * C + 6 * H + 2 * C));
  expect(flops(64, 2)).toBe(flops(8, 2));
  expect(flops(8, 4)).toBe(2 * flops(8, 2));
});

test.each([8, 16, 64])("with %d experts the plan has as many rows as there are assignments", (E) => {
  const plan = planFor(E, 2, Array.from({ length: E }, (_, e) => e));
  const offsets = plan.offsets.dataSync();
  expect(offsets[E]).toBe(N * 2);
  expect(sizeOf(plan.slotToken.shape)).toBe(N * 2);
});

test("the composed form multiplies with chosen experts only", async () => {
  await tf.setBackend("cpu");
  const [E, K] = [32, 2];
  const plan = planFor(E, K, [3, 17, 30]);
  const { kernels } = await tf.profile(() => run(E, K, plan));
  // 3 chosen experts, two products each
  expect(kernels.filter(({ name }) => name === "BatchMatMul").length).toBe(6);
});

describe.each(backends)("on %s", (backend) => {
  beforeAll(async () => { await tf.setBackend(backend); });

  test("an expert nobody chose gets a gradient of zeros", () => {
    const [E, K] = [4, 2];
    const plan = planFor(E, K, [0, 1, 3]);
    const gradient = tf.grad((gateUp: tf.Tensor) => expertFeedForward(tensor([N, C], 2), tensor([N, K], 3), plan, gateUp, tensor([E, H, C], 5)))(tensor([E, C, 2 * H], 4));
    const sizes = tf.sum(tf.abs(gradient), [1, 2]).dataSync();
    expect(sizes[2]).toBe(0);
    for (const e of [0, 1, 3]) expect(sizes[e]).toBeGreaterThan(0);
  });

  test("weights of a wrong width are refused by name", () => {
    const plan = planFor(3, 1, [0, 1, 2]);
    expect(errorCode(() => expertFeedForward(tensor([N, C], 2), tensor([N, 1], 3), plan, tensor([3, C, 2 * H + 1], 4), tensor([3, H, C], 5)))).toBe("E_SHAPE_SIZE");
    expect(errorCode(() => expertFeedForward(tensor([N, C], 2), tensor([N, 2], 3), plan, tensor([3, C, 2 * H], 4), tensor([3, H, C], 5)))).toBe("E_SHAPE_SIZE");
  });

  test("offsets that don't cover the rows are refused", () => {
    const plan = { ...planFor(3, 1, [0, 1, 2]), offsets: tf.tensor1d([0, 1, 5, 4], "int32") };
    expect(errorCode(() => run(3, 1, plan))).toBe("E_OFFSETS");
  });
});

describe.runIf(backends.includes("native"))("the native kernel", () => {
  beforeAll(async () => { await tf.setBackend("native"); });

  test.each([["a slot that isn't there", 99], ["a negative slot", -1], ["a slot named twice", 0]])("refuses a plan with %s", (_what, slot) => {
    const plan = planFor(3, 1, [0, 1, 2]);
    const slots = plan.tokenSlot.dataSync<"int32">().slice();
    slots[slots[0] === 0 ? 1 : 0] = slot;
    expect(errorCode(() => run(3, 1, { ...plan, tokenSlot: tf.tensor2d(slots, [N, 1], "int32") }))).toBe("E_NATIVE_RANGE");
  });

  test("refuses a plan with a token that isn't there", () => {
    const plan = planFor(3, 1, [0, 1, 2]);
    const tokens = plan.slotToken.dataSync<"int32">().slice();
    tokens[3] = 1_000_000;
    expect(errorCode(() => run(3, 1, { ...plan, slotToken: tf.tensor1d(tokens, "int32") }))).toBe("E_NATIVE_RANGE");
  });
});
