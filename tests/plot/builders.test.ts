import { describe, expect, test } from "vitest";
import { expertLoad } from "../../toolkit/plot/expertLoad.ts";
import { lineChart } from "../../toolkit/plot/lineChart.ts";
import { loadBalance } from "../../toolkit/plot/loadBalance.ts";
import type { BarTrace, HeatmapTrace } from "../../toolkit/plot/plotlyTypes.ts";
import { routerEntropy } from "../../toolkit/plot/routerEntropy.ts";
import { tokenStrip, visibleText } from "../../toolkit/plot/tokenStrip.ts";
import { trainingProgress } from "../../toolkit/plot/trainingProgress.ts";

describe("lineChart", () => {
  test("draws each series with its points, its last value in the legend, and the axis titles", () => {
    const figure = lineChart(
      [{ name: "training", x: Int32Array.from([1, 2]), y: Float64Array.from([4.5, 3.25]) }],
      { title: "Loss", xTitle: "step", yTitle: "loss (nats per token)", xScale: "log" },
    );
    expect(figure.data[0]).toMatchObject({ type: "scatter", name: "training · 3.25", x: [1, 2], y: [4.5, 3.25] });
    expect(figure.layout).toMatchObject({ title: { text: "Loss" }, xaxis: { title: { text: "step" }, type: "log" }, yaxis: { title: { text: "loss (nats per token)" } } });
  });

  test("leaves a gap where a value is NaN or infinite, as JSON has neither", () => {
    const figure = lineChart([{ name: "loss", x: [0, 1, 2], y: [1, Number.NaN, Infinity] }]);
    expect(figure.data[0].y).toEqual([1, null, null]);
    expect(figure.data[0].name).toBe("loss · 1");
  });

  test("names the series whose x and y differ in length", () => {
    expect(() => lineChart([{ name: "validation", x: [1], y: [1, 2] }])).toThrow(/"validation" has 1 x values and 2 y values/);
  });
});

describe("expertLoad", () => {
  const rows = [
    { layer: 7, expert: 0, share: 0.75 }, { layer: 7, expert: 1, share: 0.25 },
    { layer: 3, expert: 0, share: 0.5 }, { layer: 3, expert: 1, share: 0.5 },
  ];

  test("is a heatmap in percent, layers from top to bottom in order", () => {
    const figure = expertLoad(rows);
    expect(figure.data).toHaveLength(1);
    expect(figure.data[0]).toMatchObject({ type: "heatmap", x: [0, 1], y: ["3", "7"], z: [[50, 50], [75, 25]], zmin: 0 });
    expect(figure.layout.yaxis).toMatchObject({ autorange: "reversed", title: { text: "layer" } });
  });

  test("puts the neutral colour at the balanced share 1/E, wherever the maximum is", () => {
    const skewed = [0.7, 0.1, 0.1, 0.1].map((share, expert) => ({ layer: 0, expert, share }));
    const { zmax, colorscale } = expertLoad(skewed).data[0] as HeatmapTrace;
    expect(zmax).toBeCloseTo(70, 10);
    expect(colorscale?.[2][0]).toBeCloseTo(25 / 70, 12);
    expect(colorscale?.map(([position]) => position)).toEqual(colorscale?.map(([position]) => position).toSorted((a, b) => a - b));
    expect(colorscale?.at(-1)?.[0]).toBe(1);
  });

  test("shows a nearly even load in nearly neutral colours: the scale reaches at least twice the balanced share", () => {
    expect((expertLoad(rows.slice(2)).data[0] as HeatmapTrace).zmax).toBe(100);
  });

  test("as bars has one bar a layer and expert, and a line at the balanced share", () => {
    const figure = expertLoad(rows, { kind: "bars" });
    expect(figure.data.map((trace) => [trace.name, trace.y])).toEqual([["layer 3", [50, 50]], ["layer 7", [75, 25]]]);
    expect(figure.layout.shapes).toMatchObject([{ type: "line", y0: 50, y1: 50 }]);
    expect(figure.layout.annotations).toMatchObject([{ text: "balanced: 50.0 %" }]);
  });

  test("of nothing says so", () => {
    expect(() => expertLoad([])).toThrow(RangeError);
  });
});

test("loadBalance sets MaxVio beside efficiency, each on its own axes", () => {
  const figure = loadBalance([{ layer: 0, maxVio: 1, loadBalancingEfficiency: 0.5 }, { layer: 1, maxVio: 3, loadBalancingEfficiency: 0.25 }]);
  expect(figure.data).toMatchObject([{ y: [1, 3], xaxis: "x", yaxis: "y" }, { y: [0.5, 0.25], xaxis: "x2", yaxis: "y2" }]);
  expect(figure.layout.xaxis2).toMatchObject({ anchor: "y2" });
});

test("routerEntropy draws load and token entropy by layer on a scale from 0 to just above 1", () => {
  const figure = routerEntropy([{ layer: 0, tokenEntropy: 0.4, loadEntropy: 0.9 }, { layer: 2, tokenEntropy: 0.3, loadEntropy: 1 }]);
  expect(figure.data).toMatchObject([{ name: "load entropy", x: ["0", "2"], y: [0.9, 1] }, { name: "token entropy", y: [0.4, 0.3] }]);
  expect(figure.layout.yaxis).toMatchObject({ range: [0, 1.05] });
});

describe("trainingProgress", () => {
  test("shows losses on the left and expert load on the right", () => {
    const figure = trainingProgress({
      training: [{ step: 1, lossNats: 5 }, { step: 2, lossNats: 4 }], validation: [{ step: 2, lossNats: 4.2 }],
      load: [{ layer: 0, expert: 0, share: 0.5 }, { layer: 0, expert: 1, share: 0.5 }],
    }, { totalSteps: 10 });
    expect(figure.data).toMatchObject([{ name: "training", y: [5, 4] }, { name: "validation", x: [2], y: [4.2] }, { type: "heatmap", xaxis: "x2", yaxis: "y2" }]);
    expect(figure.layout.xaxis).toMatchObject({ range: [0, 10] });
  });

  test("can be drawn before the first step", () => {
    expect(trainingProgress({ training: [], validation: [], load: [] }).data).toHaveLength(2);
  });
});

describe("tokenStrip", () => {
  const strip = (tokens: string[], experts: number[], columns?: number): BarTrace[] => tokenStrip(
    { tokens, expertIds: experts.map((expert) => [expert, 9]), weights: tokens.map(() => [0.75, 0.25]) },
    { layer: 1, ...(columns !== undefined && { columns }) },
  ).data as BarTrace[];

  test("groups tokens by first-choice expert, one colour each, in the order of the expert numbers", () => {
    const [two, five] = strip(["The", " cat", " sat"], [5, 2, 5]);
    expect(two).toMatchObject({ name: "expert 2 · 1", text: ["␣cat"] });
    expect(five).toMatchObject({ name: "expert 5 · 2", text: ["The", "␣sat"] });
    expect(two.marker?.color).not.toBe(five.marker?.color);
  });

  test("puts tokens side by side without overlap and starts a new row where the width ends", () => {
    // Tiles take their letters and one more column: 4, 4 and 4 of 10 columns.
    const [trace] = strip(["abc", "def", "ghi"], [0, 0, 0], 10);
    expect(trace.y).toEqual([0, 0, 1]);
    expect(trace.x).toEqual([4, 4, 4]);
    expect(trace.base?.[0]).toBe(0);
    expect(trace.base?.[1]).toBeGreaterThanOrEqual(4);
    expect(trace.base?.[2]).toBe(0);
  });

  test("shows spaces as ␣ and line breaks as ⏎, and a line break ends the row", () => {
    expect(visibleText(" a\tb\r\n\n\u0007")).toBe("␣a⇥b⏎⏎␇");
    const [trace] = strip(["a", "\n", "b"], [0, 0, 0]);
    expect(trace.text).toEqual(["a", "⏎", "b"]);
    expect(trace.y).toEqual([0, 0, 1]);
  });

  test("tells token, experts and weights at the pointer, by name where there are names", () => {
    const figure = tokenStrip({ tokens: ["<b>"], expertIds: [[1, 0]], weights: [[0.75, 0.25]] }, { layer: 0, expertNames: ["nouns", "verbs & co"] });
    expect(figure.data[0].name).toBe("verbs &amp; co · 1");
    expect(figure.data[0].customdata).toEqual(["<b>&lt;b&gt;</b>  token 0<br>verbs &amp; co  75.0 %<br>nouns  25.0 %"]);
  });

  test("writes the expert's number on the tiles when there are too many colours for a legend", () => {
    const experts = Array.from({ length: 17 }, (_, expert) => expert);
    const traces = strip(experts.map(() => "w"), experts);
    expect(traces[12].text).toEqual(["w₁₂"]);
    expect(strip(["w"], [12])[0].text).toEqual(["w"]);
  });

  test("has a text form that names each token's expert", () => {
    const figure = tokenStrip({ tokens: ["The", " cat"], expertIds: [[5], [2]], weights: [[1], [1]] }, { layer: 3 });
    expect(figure.toString()).toBe("First-choice expert of each token, layer 3 (token:expert)\nThe:5 ␣cat:2");
  });

  test("refuses tokens without experts", () => {
    expect(() => tokenStrip({ tokens: ["a", "b"], expertIds: [[0]], weights: [[1]] }, { layer: 0 })).toThrow(/2 tokens, 1 rows of experts/);
  });
});
