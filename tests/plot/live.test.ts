import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { liveDisplay } from "../../toolkit/plot/live.ts";
import type { DisplayOptions } from "../../toolkit/plot/notebook.ts";
import { displaySymbol } from "../../toolkit/plot/notebook.ts";
import { ProgressBar } from "../../toolkit/plot/progress.ts";

interface Shown {
  value: unknown;
  options: DisplayOptions | undefined;
}

function installDisplay(answer?: () => Promise<void>): Shown[] {
  const shown: Shown[] = [];
  vi.stubGlobal("display", (value: unknown, options?: DisplayOptions) => { shown.push({ value, options }); return answer?.(); });
  return shown;
}

/** A terminal that keeps what is written to it. */
function terminal(isTTY: boolean): { isTTY: boolean; columns: number; text: string; write(text: string): void } {
  return { isTTY, columns: 200, text: "", write(text) { this.text += text; } };
}

beforeEach(() => { vi.useFakeTimers(); });
afterEach(() => { vi.useRealTimers(); vi.unstubAllGlobals(); });

describe("liveDisplay in a notebook", () => {
  test("shows the first value at once and replaces it under the same name", async () => {
    const shown = installDisplay();
    const live = liveDisplay("first");
    vi.advanceTimersByTime(300);
    live.update("second");
    await live.close();
    expect(shown.map(({ value }) => value)).toEqual(["first", "second"]);
    expect(shown[0].options).toMatchObject({ update: false });
    expect(shown[1].options).toEqual({ display_id: shown[0].options?.display_id, update: true });
  });

  test("shows at most one value in 250 ms and always the last one", () => {
    const shown = installDisplay();
    const live = liveDisplay(0);
    for (let value = 1; value <= 1000; value++) {
      live.update(value);
      vi.advanceTimersByTime(1);
    }
    vi.advanceTimersByTime(250);
    expect(shown.length).toBeLessThanOrEqual(6);
    expect(shown.at(-1)?.value).toBe(1000);
  });

  test("works in a loop that never gives timers a turn", () => {
    const shown = installDisplay();
    let nowMs = 0;
    const clock = vi.spyOn(performance, "now").mockImplementation(() => nowMs);
    const live = liveDisplay(0);
    for (let value = 1; value <= 10; value++) {
      nowMs += 100;
      live.update(value);
    }
    clock.mockRestore();
    expect(shown.map(({ value }) => value)).toEqual([0, 3, 6, 9]);
  });

  test("close shows what still waits, and later updates do nothing", async () => {
    const shown = installDisplay();
    const live = liveDisplay("a");
    live.update("b");
    live.update("c");
    await live.close();
    live.update("d");
    vi.advanceTimersByTime(1000);
    expect(shown.map(({ value }) => value)).toEqual(["a", "c"]);
  });

  test("doesn't overtake a display that is still busy, nor fail with it", async () => {
    const warn = vi.spyOn(console, "warn").mockImplementation(() => undefined);
    let fail: (reason: Error) => void = () => undefined;
    const shown = installDisplay(() => new Promise((_, reject) => { fail = reject; }));
    const live = liveDisplay("a");
    vi.advanceTimersByTime(500);
    live.update("b");
    expect(shown).toHaveLength(1);
    fail(new Error("page closed"));
    await vi.advanceTimersByTimeAsync(500);
    expect(shown.map(({ value }) => value)).toEqual(["a", "b"]);
    expect(warn).toHaveBeenCalledOnce();
    warn.mockRestore();
  });
});

test("liveDisplay outside a notebook does nothing and can be closed", async () => {
  const live = liveDisplay("a");
  live.update("b");
  await expect(live.close()).resolves.toBeUndefined();
});

describe("ProgressBar", () => {
  test("has a one-line text form with step, loss, speed and time left", () => {
    const bar = new ProgressBar({ total: 100, label: "training", terminal: terminal(false) });
    vi.advanceTimersByTime(4000);
    bar.update(40, { lossNats: 3.2104, tokensPerSecond: 12_000.4 });
    // 40 steps in 4 s, so 60 take 6 s
    expect(bar.toString()).toBe("training ████████░░░░░░░░░░░░ 40/100 step · loss 3.210 nats · 12,000 tokens/s · 6 s left");
  });

  test("takes the time left from the last 20 s, not from a slow start", () => {
    const bar = new ProgressBar({ total: 1000, label: "training", terminal: terminal(false) });
    vi.advanceTimersByTime(100_000);
    for (let done = 1; done <= 50; done++) {
      bar.update(done);
      vi.advanceTimersByTime(1000);
    }
    expect(bar.secondsLeft).toBeCloseTo(950, 6);
  });

  test("knows no time left before the first step, and says how long it took at the end", () => {
    const bar = new ProgressBar({ total: 2, label: "training", unit: "epoch", terminal: terminal(false) });
    expect(bar.secondsLeft).toBeNaN();
    expect(bar.toString()).toContain("0/2 epoch · – left");
    vi.advanceTimersByTime(65_000);
    bar.update(2);
    expect(bar.toString()).toContain("2/2 epoch · took 1 min 05 s");
  });

  test("that is closed before the end says when it was stopped", async () => {
    const bar = new ProgressBar({ total: 100, label: "training", terminal: terminal(false) });
    vi.advanceTimersByTime(4000);
    bar.update(40);
    await bar.close();
    expect(bar.toString()).toBe("training ████████░░░░░░░░░░░░ 40/100 step · stopped after 4 s");
  });

  test("keeps a field until a new value replaces it", () => {
    const bar = new ProgressBar({ total: 10, label: "training", terminal: terminal(false) });
    bar.update(1, { lossNats: 4, validationLossNats: 5 });
    bar.update(2, { lossNats: 3 });
    expect(bar.toString()).toContain("loss 3.000 nats · validation 5.000 nats");
  });

  test("in a notebook is one live output whose HTML says how far it is", async () => {
    const shown = installDisplay();
    const bar = new ProgressBar({ total: 4, label: "<training>" });
    bar.update(1);
    bar.update(2, { note: "a & b" });
    await bar.close();
    expect(shown.map(({ options }) => options?.update)).toEqual([false, true]);
    const html = String(bar[displaySymbol]()["text/html"]);
    expect(html).toContain('aria-valuenow="50"');
    expect(html).toContain("&lt;training&gt;");
    expect(html).toContain("a &amp; b");
  });

  test("in a terminal rewrites one line and ends it when closed", async () => {
    const tty = terminal(true);
    const bar = new ProgressBar({ total: 2, label: "training", terminal: tty });
    bar.update(1);
    vi.advanceTimersByTime(200);
    bar.update(2);
    await bar.close();
    expect(tty.text.match(/\r/g)).toHaveLength(3);
    expect(tty.text.match(/\n/g)).toHaveLength(1);
    expect(tty.text.endsWith("\n")).toBe(true);
  });

  test("writes nothing where there is neither notebook nor terminal", async () => {
    const pipe = terminal(false);
    const bar = new ProgressBar({ total: 2, label: "training", terminal: pipe });
    bar.update(1);
    await bar.close();
    expect(pipe.text).toBe("");
  });

  test("refuses a total of nothing", () => {
    expect(() => new ProgressBar({ total: 0, label: "training" })).toThrow(RangeError);
  });
});
