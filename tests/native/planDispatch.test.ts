import { describe, expect, test } from "vitest";
import { nativeBinding } from "../../toolkit/backend/binding.ts";

const plan = (N: number, K: number, E: number, ids: Int32Array) => {
  const offsets = new Int32Array(E + 1).fill(-9), slotToken = new Int32Array(N * K).fill(-9), tokenSlot = new Int32Array(N * K).fill(-9);
  nativeBinding().planDispatch(N, K, E, ids, offsets, slotToken, tokenSlot);
  return { offsets, slotToken, tokenSlot };
};

/** The plan by its meaning: the choices, sorted by expert with a stable sort. */
function sortedPlan(K: number, E: number, ids: Int32Array) {
  const choices = [...ids.keys()].filter((i) => ids[i] >= 0).sort((a, b) => ids[a] - ids[b]);
  const slotToken = new Int32Array(ids.length), tokenSlot = new Int32Array(ids.length).fill(-1);
  choices.forEach((choice, slot) => {
    slotToken[slot] = Math.floor(choice / K);
    tokenSlot[choice] = slot;
  });
  const offsets = Int32Array.from({ length: E + 1 }, (_, e) => {
    const first = choices.findIndex((i) => ids[i] >= e);
    return first < 0 ? choices.length : first;
  });
  return { offsets, slotToken, tokenSlot };
}

describe("planDispatch", () => {
  test("two tokens with two experts each get slots sorted by expert", () => {
    const { offsets, slotToken, tokenSlot } = plan(2, 2, 3, Int32Array.of(2, 0, 0, -1));
    expect([...offsets]).toEqual([0, 2, 2, 3]);
    expect([...slotToken]).toEqual([0, 1, 0, 0]); // slot 3 is unused
    expect([...tokenSlot]).toEqual([2, 0, 1, -1]);
  });

  test.each([[1, 1, 1], [7, 3, 5], [1000, 8, 64], [40_000, 2, 7], [70_001, 1, 512], [3, 5, 4000]])("%i tokens with %i of %i experts are sorted stably", (N, K, E) => {
    let state = 7;
    const ids = Int32Array.from({ length: N * K }, () => (state = (state * 48271) % 0x7fffffff) % (E + 1) - 1);
    expect(plan(N, K, E, ids)).toEqual(sortedPlan(K, E, ids));
  });

  test("no tokens and no experts make an empty plan", () => {
    expect([...plan(0, 2, 3, new Int32Array(0)).offsets]).toEqual([0, 0, 0, 0]);
    expect([...plan(2, 1, 0, Int32Array.of(-1, -1)).tokenSlot]).toEqual([-1, -1]);
  });

  test.each([3, -2])("id %i is refused with 3 experts", (id) => {
    expect(() => plan(1, 1, 3, Int32Array.of(id))).toThrow(expect.objectContaining({ code: "E_NATIVE_RANGE" }) as Error);
  });
});
