import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { Figure } from "../../toolkit/plot/figure.ts";
import type * as libraryModule from "../../toolkit/plot/library.ts";
import type * as pageModule from "../../toolkit/plot/page.ts";
import type { DisplayOptions, MimeBundle } from "../../toolkit/plot/notebook.ts";
import { displaySymbol } from "../../toolkit/plot/notebook.ts";
import { sparkline } from "../../toolkit/plot/textRendering.ts";

const parts = {
  data: [{ type: "scatter", mode: "lines", name: "</script><!--", x: [0, 1, 2, 3], y: [0, 1, 2, 3] }],
  layout: { title: { text: "A & <b>B</b>" }, height: 300, xaxis: { title: { text: "step" } }, yaxis: { title: { text: "loss (nats)" } } },
} as const;

interface PlotModules {
  figure: Figure;
  page: typeof pageModule;
  library: typeof libraryModule;
}

/** A kernel that has just started: the page has no library yet. */
async function freshKernel(): Promise<PlotModules> {
  vi.resetModules();
  const { Figure: FreshFigure } = await import("../../toolkit/plot/figure.ts");
  return { figure: new FreshFigure(parts), page: await import("../../toolkit/plot/page.ts"), library: await import("../../toolkit/plot/library.ts") };
}

/** Stands in for the kernel's display; keeps what it was given. */
function installDisplay(result?: Promise<void>): { value: unknown; options?: DisplayOptions }[] {
  const shown: { value: unknown; options?: DisplayOptions }[] = [];
  vi.stubGlobal("display", (value: unknown, options?: DisplayOptions) => { shown.push({ value, options }); return result; });
  return shown;
}

const libraryLength = 1_000_000;
beforeEach(() => { vi.unstubAllGlobals(); });
afterEach(() => { vi.unstubAllGlobals(); });

describe("a figure in a notebook", () => {
  test("comes as Plotly JSON, HTML and text", async () => {
    const { figure } = await freshKernel();
    const bundle = await figure[displaySymbol]();
    expect(Object.keys(bundle)).toEqual(["application/vnd.plotly.v1+json", "text/html", "text/plain"]);
    const json = JSON.parse(JSON.stringify(bundle["application/vnd.plotly.v1+json"])) as MimeBundle;
    expect(json).toMatchObject({ data: parts.data, layout: parts.layout });
  });

  test("brings plotly.js along once: the first figure as an output of its own, later ones not at all", async () => {
    const shown = installDisplay();
    const { figure } = await freshKernel();
    const html = [0, 1].map(() => String((figure[displaySymbol]() as MimeBundle)["text/html"]));
    expect(shown).toHaveLength(1);
    const library = (shown[0].value as Figure)[displaySymbol]() as MimeBundle;
    expect(String(library["text/html"]).length).toBeGreaterThan(libraryLength);
    for (const one of html) expect(one.length).toBeLessThan(20_000);
  });

  test("waits for a display that answers later", async () => {
    installDisplay(Promise.resolve());
    const { figure } = await freshKernel();
    const bundle = figure[displaySymbol]();
    expect(bundle).toBeInstanceOf(Promise);
    expect(Object.keys(await bundle)).toContain("text/html");
  });

  test("carries plotly.js in the first HTML where the kernel has no display function", async () => {
    const { figure } = await freshKernel();
    const lengths = [0, 1].map(() => String((figure[displaySymbol]() as MimeBundle)["text/html"]).length);
    expect(lengths[0]).toBeGreaterThan(libraryLength);
    expect(lengths[1]).toBeLessThan(20_000);
  });

  test("plotLibrary() sends plotly.js again when asked", async () => {
    const { library } = await freshKernel();
    for (let time = 0; time < 2; time++) {
      const bundle = await library.plotLibrary()[displaySymbol]();
      expect(String(bundle["text/html"]).length).toBeGreaterThan(libraryLength);
    }
  });

  test("never ends its own script early and loads nothing from a network", async () => {
    const { figure, page } = await freshKernel();
    const html = page.figureToHtml(figure, { title: "</title><script>" });
    expect(html.match(/<\/script>/g)).toHaveLength(2);
    expect(html).not.toContain("<!--");
    expect(html).toContain("<title>&lt;/title&gt;&lt;script&gt;</title>");
    expect(html).not.toMatch(/(src|href)\s*=/);
  });

  test("doesn't offer to send its data to a cloud service", () => {
    expect(new Figure(parts).toJSON().config).toMatchObject({ showSendToCloud: false, plotlyServerURL: "" });
  });
});

test("a page holds plotly.js once, however many figures it has", async () => {
  const { figure, page } = await freshKernel();
  const one = page.figureToHtml(figure, { title: "one" }).length;
  const three = page.figureToHtml([figure, figure, figure], { title: "three" }).length;
  expect(three - one).toBeLessThan(40_000);
});

test("a figure's own layout wins over the house template", () => {
  const figure = new Figure({ data: [], layout: { template: {}, height: 100 } });
  expect(figure.layout).toEqual({ template: {}, height: 100 });
});

describe("the text form of a figure", () => {
  test("of lines is a title and a sparkline from first to last value", () => {
    expect(new Figure(parts).toString().split("\n")).toEqual(["A & B", "loss (nats) over step", "<!--  ▁▃▆█  0 → 3"]);
  });

  test("of bars has one bar a category, as long as its value", () => {
    const text = new Figure({ data: [{ type: "bar", x: ["a", "b"], y: [1, 2] }], layout: {} }).toString();
    const [a, b] = text.split("\n");
    expect([a, b].map((line) => line.match(/█/g)?.length)).toEqual([16, 32]);
    expect(b.endsWith(" 2")).toBe(true);
  });

  test("of a heatmap shades its cells and gives each row's range", () => {
    const text = new Figure({ data: [{ type: "heatmap", x: [0, 1, 2], y: ["top"], z: [[0, 50, 100]] }], layout: {} }).toString();
    expect(text).toBe("  top │    ▒▒▒▒████│ 0 – 100");
  });

  test("survives no data, one point and NaN", () => {
    expect(new Figure({ data: [], layout: {} }).toString()).toBe("");
    expect(sparkline([])).toBe("");
    expect(sparkline([3])).toBe("█");
    expect(sparkline([1, Number.NaN, 2])).toBe("▁ █");
  });

  test("shrinks long series to the width by means", () => {
    expect(sparkline([0, 0, 7, 7], 2)).toBe("▁█");
  });
});
