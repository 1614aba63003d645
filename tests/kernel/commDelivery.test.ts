import { describe, expect, test } from "vitest";
import { CommDelivery } from "../../kernel/requests/commDelivery.ts";
import type { CommMessage, NumberedCommMessage } from "../../kernel/runner/threadMessages.ts";

const message = (data: object, commId = "slider"): CommMessage => ({ type: "comm", kind: "comm_msg", commId, targetName: "t", runId: 0, data, metadata: {}, buffers: [] });
const update = (state: object): CommMessage => message({ method: "update", state, buffer_paths: [] });

describe("delivery of comm messages to a busy kernel", () => {
  test("of a widget's state only the newest values wait", async () => {
    const delivery = new CommDelivery();
    const posted: NumberedCommMessage[] = [];
    const post = (numbered: NumberedCommMessage): void => { posted.push(numbered); };
    const done = Array.from({ length: 1000 }, (_, value) => delivery.deliver(update({ value, [`k${value % 2}`]: value }), post));
    expect(posted.map(({ data }) => data)).toEqual([{ method: "update", state: { value: 0, k0: 0 }, buffer_paths: [] }]);
    delivery.taken("slider", posted[0]?.serial ?? -1, post);
    expect(posted[1]?.data).toEqual({ method: "update", state: { value: 999, k0: 998, k1: 999 }, buffer_paths: [] });
    delivery.taken("slider", posted[1]?.serial ?? -1, post);
    await Promise.all(done);
    expect(posted.length).toBe(2);
  });

  test("other messages keep their number and order, up to a limit", async () => {
    const delivery = new CommDelivery();
    const posted: NumberedCommMessage[] = [];
    const post = (numbered: NumberedCommMessage): void => { posted.push(numbered); };
    const done = Array.from({ length: 5000 }, (_, click) => delivery.deliver(message({ click }), post));
    for (let at = 0; at < posted.length; at++) delivery.taken("slider", posted[at]?.serial ?? -1, post);
    await Promise.all(done);
    expect(posted.length).toBeLessThanOrEqual(1001);
    expect(posted.map(({ data }) => data)).toEqual(posted.map((_, click) => ({ click })));
  });

  test("one comm does not wait for another, and an interrupt frees a comm whose callback was terminated", async () => {
    const delivery = new CommDelivery();
    const posted: NumberedCommMessage[] = [];
    const post = (numbered: NumberedCommMessage): void => { posted.push(numbered); };
    const first = delivery.deliver(message({ n: 1 }), post);
    void delivery.deliver(message({ n: 2 }), post);
    void delivery.deliver(message({ n: 3 }, "other"), post);
    expect(posted.map(({ commId }) => commId)).toEqual(["slider", "other"]);
    delivery.interrupt(post);
    await first;
    expect(posted.map(({ data }) => data)).toEqual([{ n: 1 }, { n: 3 }, { n: 2 }]);
    // A late acknowledgement of the first is not taken for one of the second.
    void delivery.deliver(message({ n: 4 }), post);
    delivery.taken("slider", posted[0]?.serial ?? -1, post);
    expect(posted.length).toBe(3);
  });
});
