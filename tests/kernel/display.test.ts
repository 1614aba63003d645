import "@tensorflow/tfjs-backend-cpu";
import * as tf from "@tensorflow/tfjs-core";
import { afterEach, beforeAll, describe, expect, test } from "vitest";
import { OUTPUT_LIMIT_BYTES } from "../../kernel/display/bundle.ts";
import { formatNumbers } from "../../kernel/display/numbers.ts";
import { html, latex, md, media, svg } from "../../kernel/display/media.ts";
import { RichValue } from "../../kernel/display/richValue.ts";
import { KernelError } from "../../kernel/errors.ts";
import { CellRuns } from "../../kernel/runner/cellRun.ts";
import { bundleOf, createDisplay } from "../../kernel/runner/display.ts";
import type { Display, DisplayOptions } from "../../kernel/runner/display.ts";
import { OutputSender } from "../../kernel/runner/output.ts";
import { createSharedFlags } from "../../kernel/runner/threadMessages.ts";
import type { DisplayBundle, MainMessage } from "../../kernel/runner/threadMessages.ts";

const method = Symbol.for("Jupyter.display");
/** 1 × 1 px, from the PNG specification's own chunks. */
const PNG = Buffer.from("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAQAAAC1HAwCAAAAC0lEQVR42mNk+A8AAQUBAScY42YAAAAASUVORK5CYII=", "base64");

type Shown = Extract<MainMessage, { type: "display" }>;

/** A display function that keeps what it sends. */
function recorder(): { display: Display; shown: Shown[]; runs: CellRuns } {
  const shown: Shown[] = [];
  const runs = new CellRuns();
  runs.start(1);
  return { shown, runs, display: createDisplay(runs, new OutputSender((message) => { if (message.type === "display") shown.push(message); }, createSharedFlags(), runs)) };
}

function show(value: unknown, options?: DisplayOptions): DisplayBundle {
  const { display, shown } = recorder();
  display(value, options);
  return shown[0]?.bundle ?? { data: {}, metadata: {} };
}

function data(value: unknown): Record<string, unknown> {
  return (bundleOf(value) as DisplayBundle).data;
}

function text(value: unknown): string {
  return String(data(value)["text/plain"]);
}

function codeOf(work: () => unknown): string {
  try {
    work();
  } catch (error) {
    if (error instanceof KernelError) return error.code;
    throw error;
  }
  return "no error";
}

describe("helpers of display", () => {
  const { display, shown } = recorder();
  afterEach(() => { shown.length = 0; });
  const forms: [string, () => unknown, string, unknown][] = [
    ["html", () => display.html("<b>1</b>"), "text/html", "<b>1</b>"],
    ["markdown", () => display.markdown("# 1"), "text/markdown", "# 1"],
    ["latex", () => display.latex("x^2"), "text/latex", "$$x^2$$"],
    ["latex with its own delimiters", () => display.latex("area $x^2$"), "text/latex", "area $x^2$"],
    ["svg", () => display.svg("<svg/>"), "image/svg+xml", "<svg/>"],
    ["png from bytes", () => display.png(PNG), "image/png", PNG.toString("base64")],
    ["png from base64 with line breaks", () => display.png(`${PNG.toString("base64").slice(0, 20)}\n${PNG.toString("base64").slice(20)}`), "image/png", PNG.toString("base64")],
    ["png from a data: URL", () => display.png(`data:image/png;base64,${PNG.toString("base64")}`), "image/png", PNG.toString("base64")],
    ["image from bytes of any kind", () => display.image(PNG), "image/png", PNG.toString("base64")],
    ["json", () => display.json({ a: [1] }), "application/json", { a: [1] }],
    ["text", () => display.text({ a: 1 }), "text/plain", "{ a: 1 }"],
    ["javascript", () => display.javascript("1 + 1"), "application/javascript", "1 + 1"],
  ];
  test.each(forms)("%s sends its MIME type, with text beside it", (_name, call, mime, expected) => {
    call();
    expect(shown).toHaveLength(1);
    expect(shown[0]?.bundle.data[mime]).toEqual(expected);
    expect(shown[0]?.bundle.data["text/plain"]).toEqual(expect.any(String));
  });

  test("plotly sends its own MIME type and HTML, after the library once", () => {
    display.plotly([{ y: new Float32Array([1, 2]), text: "</script>" }], { title: "t" });
    display.plotly({ data: [{ type: "bar" }, {}] }).update([{ y: [3] }]);
    expect(shown).toHaveLength(4);
    const [library, first, second, update] = shown.map(({ bundle }) => bundle.data);
    expect(library?.["text/plain"]).toBe("plotly.js");
    expect(first?.["application/vnd.plotly.v1+json"]).toEqual({ data: [{ y: [1, 2], text: "</script>" }], layout: { title: "t" }, config: {} });
    expect(String(first?.["text/html"]).match(/<\/script>/g)).toHaveLength(1);
    expect(second?.["text/plain"]).toBe("Plotly figure: 2 traces (bar, scatter)");
    expect([shown[3]?.isUpdate, update?.["text/plain"]]).toEqual([true, "Plotly figure: 1 trace (scatter)"]);
  });

  test("the size of an image is metadata of its MIME type", () => {
    display.png(PNG, { width: 40, alt: "a dot" });
    expect(shown[0]?.bundle).toMatchObject({ metadata: { "image/png": { width: 40, alt: "a dot" } }, data: { "text/plain": "a dot" } });
    display.png(PNG);
    expect(shown[1]?.bundle.data["text/plain"]).toBe(`PNG image, 1 × 1 px, ${PNG.length} B`);
  });

  test("wrong input is an error that says what to give", () => {
    expect(codeOf(() => display.html(5 as never))).toBe("E_DISPLAY_TEXT");
    expect(codeOf(() => display.png("./plot.png"))).toBe("E_DISPLAY_BASE64");
    expect(codeOf(() => display.jpeg(PNG))).toBe("E_DISPLAY_IMAGE");
    expect(codeOf(() => display.image("/no/such.png"))).toBe("E_DISPLAY_IMAGE");
    expect(codeOf(() => display.plotly(5 as never))).toBe("E_DISPLAY_PLOTLY");
    expect(codeOf(() => display.table("text"))).toBe("E_DISPLAY_TABLE");
    expect(codeOf(() => display.table([], { maxRows: 0 }))).toBe("E_DISPLAY_OPTION");
    expect(codeOf(() => display(1, { update: true }))).toBe("E_DISPLAY_ID");
    expect(codeOf(() => display("text", { raw: true }))).toBe("E_DISPLAY_MIME");
    expect(shown).toEqual([]);
  });
});

describe("templates", () => {
  test("html escapes what is put in, but for html values and lists of them", () => {
    const rows = ["a & b", "<c>"].map((item) => html`<li>${item}</li>`);
    expect(data(html`<ul title="${"\""}">${rows}</ul>${null}${false}`)["text/html"]).toBe("<ul title=\"&quot;\"><li>a &amp; b</li><li>&lt;c&gt;</li></ul>");
    expect(data(html("<b>as it is</b>"))["text/html"]).toBe("<b>as it is</b>");
    expect(data(html`<p>${media.png(PNG)}</p>`)["text/html"]).toBe(`<p><img alt="" src="data:image/png;base64,${PNG.toString("base64")}"></p>`);
  });

  test("the text beside HTML is what a reader would read", () => {
    expect(text(html`<style>b {}</style><h1>Title</h1><p>a &lt; b</p>`)).toBe("Title\na < b");
  });

  test("md, svg and latex put values in as they are; latex keeps backslashes", () => {
    expect(data(md`# ${"a"} *${1}*`)["text/markdown"]).toBe("# a *1*");
    expect(data(svg`<svg width="${3}"/>`)["image/svg+xml"]).toBe("<svg width=\"3\"/>");
    expect(data(latex`\frac{${1}}{2}`)["text/latex"]).toBe("$$\\frac{1}{2}$$");
  });

  test("a display method may return one of them", () => {
    expect(data({ [method]: () => html`<b>x</b>` })["text/html"]).toBe("<b>x</b>");
    expect(html`x`).toBeInstanceOf(RichValue);
  });
});

describe("handles", () => {
  test("a handle replaces its own output, in the form of its helper", () => {
    const { display, shown } = recorder();
    const first = display("one");
    first.update("two");
    const table = display.table([{ a: 1 }]);
    table.update([{ a: 2 }]);
    table.update(html`<i>3</i>`);
    expect(shown.map(({ isUpdate }) => isUpdate)).toEqual([false, true, false, true, true]);
    expect(new Set(shown.slice(0, 2).map(({ displayId }) => displayId))).toEqual(new Set([first.id]));
    expect(new Set(shown.slice(2).map(({ displayId }) => displayId))).toEqual(new Set([table.id]));
    expect(first.id).not.toBe(table.id);
    expect(shown[3]?.bundle.data["text/plain"]).toBe("a\n2");
    expect(shown[4]?.bundle.data["text/html"]).toBe("<i>3</i>");
  });

  test("a name given as display_id is the handle's", () => {
    const { display, shown } = recorder();
    expect(display("x", { display_id: "bar" }).id).toBe("bar");
    expect(display("y", { display_id: "bar", update: true }).id).toBe("bar");
    expect(shown.map(({ displayId, isUpdate }) => [displayId, isUpdate])).toEqual([["bar", false], ["bar", true]]);
  });

  test("an asynchronous bundle that comes late does not replace a newer one", async () => {
    const { display, shown, runs } = recorder();
    const ready: ((value: string) => void)[] = [];
    const slow = (): object => ({ [method]: () => new Promise<object>((resolve) => { ready.push((value) => { resolve({ "text/plain": value }); }); }) });
    const handle = display(slow());
    handle.update(slow());
    handle.update(slow());
    ready[1]?.("second");
    await new Promise(setImmediate);
    ready[0]?.("first");
    ready[2]?.("third");
    await Promise.all(runs.current.pendingDisplays);
    expect(shown.map(({ isUpdate, bundle }) => [isUpdate, bundle.data["text/plain"]])).toEqual([[false, "second"], [true, "third"]]);
  });
});

describe("bundles", () => {
  test("bytes become base64 and typed arrays lists", () => {
    expect(data({ [method]: () => ({ "image/png": PNG, "x/y": new Float64Array([1.5]) }) })).toEqual({ "image/png": PNG.toString("base64"), "x/y": [1.5] });
  });

  test("lines of text are joined, written JSON is read, and large integers become numbers", () => {
    expect(show({ "text/plain": ["a\n", "b"] }).data["text/plain"]).toBe("a\nb");
    expect(show({ "application/json": "{\"a\":1}" }).data["application/json"]).toEqual({ a: 1 });
    expect(show({ "application/json": { a: 10n } }).data["application/json"]).toEqual({ a: 10 });
  });

  test.each([
    ["E_DISPLAY_TEXT", { "text/html": { b: 1 } }], ["E_DISPLAY_BASE64", { "image/png": "no base64!" }], ["E_DISPLAY_BASE64", { "image/png": [1, 2] }],
  ])("data of the wrong kind is the error %s", (code, bundle) => {
    expect(codeOf(() => show(bundle))).toBe(code);
    expect(codeOf(() => bundleOf({ [method]: () => bundle }))).toBe(code);
  });

  test("a cycle in JSON data is an error, and so is a key that is no MIME type", () => {
    const cycle: Record<string, unknown> = {};
    cycle.self = cycle;
    expect(codeOf(() => show({ "application/json": cycle }))).toBe("E_DISPLAY_JSON");
    expect(codeOf(() => show({ html: "<b>" }, { raw: true }))).toBe("E_DISPLAY_MIME");
  });

  test("an output over 50 MB loses its largest part and says so", () => {
    expect(OUTPUT_LIMIT_BYTES).toBe(50_000_000);
    const bundle = show({ "text/html": "x".repeat(60_000_000), "text/markdown": "kept", "text/plain": "small" });
    expect(bundle.data["text/html"]).toBeUndefined();
    expect(bundle.data["text/markdown"]).toBe("kept");
    expect(bundle.data["text/plain"]).toMatch(/larger than the 50 MB .*text\/html 60 MB[^]*small$/);
  });

  test("metadata is kept for each MIME type", () => {
    expect(show({ "text/html": "<b>" }, { metadata: { "text/html": { isolated: true } } }).metadata).toEqual({ "text/html": { isolated: true } });
  });
});

describe("tables", () => {
  test("an array of plain objects is a table", () => {
    const rows = [{ step: 1, loss: 2.5, note: "a" }, { step: 20, loss: 10, note: "b" }];
    expect(text(rows)).toBe("step  loss  note\n   1   2.5  a\n  20  10.0  b");
    expect(data(rows)["text/html"]).toMatch(/^<div[^>]*><table[^]*<td style="text-align:right[^>]*>10\.0<\/td>/);
  });

  test.each([
    ["one object", [{ a: 1 }]], ["nested values", [{ a: { b: 1 } }, { a: { b: 2 } }]], ["objects without common keys", [{ a: 1 }, { b: 2 }, { c: 3 }]],
    ["mixed values", [{ a: 1 }, 5]], ["instances of a class", [new (class A { x = 1; })(), new (class A { x = 1; })()]], ["nothing", []],
  ])("%s stay text", (_what, value) => {
    expect(Object.keys(data(value))).toEqual(["text/plain"]);
  });

  test("what is put into a table is escaped", () => {
    const made = String(data([{ "<k>": "<script>1</script>" }, { "<k>": "\"&'" }])["text/html"]);
    expect(made).toContain("&lt;k&gt;");
    expect(made).toContain("&lt;script&gt;1&lt;/script&gt;");
    expect(made).toContain("&quot;&amp;&#39;");
    expect(made).not.toMatch(/<script|<k>/);
  });

  test("rows and columns are bounded and the bounds are told", () => {
    const wide = Array.from({ length: 1234 }, (_, row) => Object.fromEntries(Array.from({ length: 25 }, (_, column) => [`c${column}`, row])));
    const { data: { "text/plain": shown, "text/html": made } } = media.table(wide).bundle;
    expect(shown).toMatch(/\n… 30 of 1,234 rows, 20 of 25 columns$/);
    expect(made).toContain("… 30 of 1,234 rows, 20 of 25 columns");
    expect(String(shown).split("\n")).toHaveLength(1 + 30 + 1);
    expect(media.table(wide, { maxRows: 2, columns: ["c1"], index: true }).bundle.data["text/plain"]).toBe("   c1\n0   0\n1   1\n… 2 of 1,234 rows");
  });

  test.each([
    ["arrays as rows", [[1, "a"], [2, "b"]], "0  1\n1  a\n2  b"], ["an object of columns", { x: [1, 2], y: new Float32Array([0.5, 1]) }, "x    y\n1  0.5\n2  1.0"],
    ["a Map", new Map([["a", 1], ["b", 2]]), "key  value\na        1\nb        2"], ["a Set", new Set([1, 2]), "value\n    1\n    2"],
    ["an object", { a: 1, b: "x" }, "key  value\na    1\nb    x"], ["rows with missing keys", [{ a: 1 }, { a: 2, b: null }], "a  b\n1\n2  null"], ["no rows", [], "no rows"],
  ])("display.table takes %s", (_what, value, expected) => {
    expect(media.table(value).bundle.data["text/plain"]).toBe(expected);
  });

  test("long texts are cut, lines joined and dates short", () => {
    const shown = String(media.table([{ t: "x".repeat(500), d: new Date("2026-01-02T00:00:00Z") }, { t: "a\n b", d: new Date("2026-01-02T03:04:05Z") }]).bundle.data["text/plain"]);
    expect(shown).toContain(`${"x".repeat(99)}…`);
    expect(shown).toContain("a b ");
    expect(shown).toMatch(/2026-01-02\n[^]*2026-01-02T03:04:05Z/);
  });

  test("frames of danfo.js are tables with their index", () => {
    const frame = { shape: [2, 2], columns: ["a", "b"], index: ["first", "second"], values: [[1, "x"], [2, "y"]], dtypes: ["int32", "string"] };
    expect(text(frame)).toBe("        a  b\nfirst   1  x\nsecond  2  y");
    expect(text({ shape: [3, 1], columns: ["loss"], index: [0, 1, 2], values: [0.5, 0.25, NaN] })).toBe("   loss\n0  0.50\n1  0.25\n2   NaN");
  });

  test("frames of polars and tables of Arquero show their first rows", () => {
    const records = [{ a: 1 }, { a: 2 }];
    expect(text({ height: 2, columns: ["a"], head: () => ({ toRecords: () => records }), toRecords: () => records })).toBe("a\n1\n2");
    expect(text({ numRows: () => 100, columnNames: () => ["a"], objects: () => records })).toBe("a\n1\n2\n… 2 of 100 rows");
  });
});

describe("numbers in columns", () => {
  test.each([
    [[1, 20, -3], ["1", "20", "-3"]], [[0.5, 12.25], ["0.50", "12.25"]], [[0.1 + 0.2, 1], ["0.3", "1.0"]], [[1234.5678, 0.001234], ["1234.57", "1.2e-3"]], [[1e-7, 0.5], ["1.0e-7", "0.500000"]],
    [[NaN, 1.5, Infinity], ["NaN", "1.5", "Infinity"]], [[1.5e12, 2], ["1500000000000", "2"]], [[1.5e12, 2.5], ["1.5000e+12", "2.5000e+0"]], [[-0], ["-0"]],
  ])("%j", (values, expected) => {
    expect(formatNumbers(values, { significant: 6, decimals: 6 })).toEqual(expected);
  });
});

describe("tensors", () => {
  beforeAll(() => tf.setBackend("cpu"));

  test("a small tensor shows shape, dtype, statistics and all values", () => {
    expect(text(tf.tensor2d([[1, 2, 3], [4, 5, 6]]))).toBe("Tensor [2, 3] float32, 6 values, 24 B\nmin 1, mean 3.5, max 6, std 1.7078\n[[1, 2, 3],\n [4, 5, 6]]");
    expect(text(tf.scalar(2.5))).toBe("Tensor [] float32\n2.5");
    expect(text(tf.tensor1d([true, false, true], "bool"))).toBe("Tensor [3] bool, 3 values, 3 B\ntrue 2 of 3\n[ true, false,  true]");
    expect(text(tf.tensor1d(["a", "b"], "string"))).toBe("Tensor [2] string, 2 values\n[a, b]");
    expect(text(tf.zeros([0, 3]))).toBe("Tensor [0, 3] float32\n[]");
    expect(text(tf.complex([1, 2], [0.5, -1]))).toBe("Tensor [2] complex64, 2 values, 16 B\n[1+0.5i,   2-1i]");
    expect(text(tf.variable(tf.scalar(1), true, "gain"))).toBe("Variable gain [] float32\n1");
  });

  test("a larger one shows a corner", () => {
    const shown = text(tf.reshape(tf.range(0, 200), [2, 10, 10]));
    expect(shown).toContain("Tensor [2, 10, 10] float32, 200 values, 800 B\nmin 0, mean 99.5, max 199, std 57.734");
    expect(shown).toContain("[[[  0,   1,   2,   3,   4,   5,   6,   7, …],");
    expect(shown).toContain("\n  [ 70,  71,  72,  73,  74,  75,  76,  77, …],\n  …],\n\n [[100, 101,");
    expect(shown.split("\n")).toHaveLength(2 + 9 + 1 + 9);
  });

  test("NaN and infinities are counted and left out of the statistics", () => {
    expect(text(tf.tensor1d([1, NaN, 3, Infinity, -Infinity]))).toContain("min 1, mean 2, max 3, std 1\n1 NaN, 2 infinite, not counted above\n");
    expect(text(tf.tensor1d([NaN, NaN]))).toContain("\n2 NaN\n");
  });

  test("a disposed tensor says so", () => {
    const tensor = tf.zeros([2, 2]);
    tensor.dispose();
    expect(text(tensor)).toBe("Tensor [2, 2] float32, disposed: its values were freed");
  });

  test("a large tensor is not read whole: its corner and statistics come from ops, and nothing is left behind", () => {
    const side = 1030;
    const tensor = tf.tensor2d(Float32Array.from({ length: side * side }, (_, index) => index % 4), [side, side]);
    const whole = tensor.dataSync.bind(tensor);
    tensor.dataSync = () => { throw new Error("the tensor was read whole"); };
    const before = tf.memory().numTensors;
    const shown = text(tensor);
    expect(tf.memory().numTensors).toBe(before);
    expect(shown).toContain("Tensor [1030, 1030] float32, 1,060,900 values, 4.05 MiB\nmin 0, mean 1.5, max 3, std 1.118\n[[0, 1, 2, 3, 0, 1, 2, 3, …],\n [2, 3,");
    expect(whole()[5]).toBe(1);
    tensor.dispose();
  });

  test("the HTML has the same values in right-aligned cells", () => {
    const made = String(data(tf.tensor2d([[1, 2], [3, 4]]))["text/html"]);
    expect([...made.matchAll(/<td style="text-align:right[^>]*>([^<]*)</g)].map((match) => match[1])).toEqual(["1", "2", "3", "4"]);
    expect(made).toContain("min 1, mean 2.5, max 4, std 1.118");
  });
});

describe("other values as results", () => {
  test("image bytes are the image", () => {
    expect(data(new Uint8Array(PNG))).toEqual({ "image/png": PNG.toString("base64"), "text/plain": `PNG image, 1 × 1 px, ${PNG.length} B` });
    expect(text(Buffer.from("text"))).toBe("<Buffer 74 65 78 74>");
  });

  test("long typed arrays show statistics, short ones their values", () => {
    expect(text(Int32Array.from({ length: 1000 }, (_, index) => index))).toBe("Int32Array [1000] int32, 1,000 values, 3.91 KiB\nmin 0, mean 499.5, max 999, std 288.67\n[0, 1, 2, 3, 4, 5, 6, 7, …]");
    expect(text(new Float32Array([1, 2]))).toBe("Float32Array(2) [ 1, 2 ]");
  });

  test("a URL is a link, but not one that runs a script", () => {
    expect(data(new URL("https://example.org/a?b=1&c"))).toEqual({ "text/html": expect.stringMatching(/^<a href="https:\/\/example\.org\/a\?b=1&amp;c" style="[^"]*">https:\/\/example\.org\/a\?b=1&amp;c<\/a>$/) as string, "text/plain": "https://example.org/a?b=1&c" });
    expect(data(new URL("javascript:alert(1)"))).toEqual({ "text/plain": "javascript:alert(1)" });
  });

  test("functions and classes show what they take", () => {
    expect(text(function add(a: number, { b = ")" } = {}) { return a + b; })).toMatch(/^function add\(a, \{ b = "\)" \} = \{\}\) \{ … \}$/);
    const twice = (x: number): number => 2 * x;
    expect(text(twice)).toBe("twice = (x) => …");
    expect(text(class Counter extends Map {})).toBe("class Counter extends Map { … }");
    expect(text(Math.max)).toBe("[Function: max]");
  });

  test("errors, dates and Maps are shown, not thrown", () => {
    expect(text(new RangeError("too far"))).toMatch(/^RangeError: too far\n {4}at /);
    expect(text(new Date("2026-01-02T03:04:05Z"))).toBe("2026-01-02T03:04:05.000Z");
    expect(data(new Map([["a", 1], ["b", 2]]))).toEqual({ "text/plain": "Map(2) { 'a' => 1, 'b' => 2 }", "text/html": expect.stringContaining("<table") as string });
  });

  test("values of drawing libraries show themselves as in Deno", () => {
    const spec = { $schema: "https://vega.github.io/schema/vega-lite/v5.json", mark: "bar" };
    expect(data({ toSpec: () => spec })["application/vnd.vegalite.v5+json"]).toEqual(spec);
    expect(data({ toDataURL: () => `data:image/png;base64,${PNG.toString("base64")}` })["image/png"]).toBe(PNG.toString("base64"));
    expect(data({ outerHTML: "<svg/>" })["image/svg+xml"]).toBe("<svg/>");
    expect(data({ outerHTML: "<b/>" })["text/html"]).toBe("<b/>");
  });

  test("values whose properties throw or answer anything are shown as text", () => {
    const hostile = new Proxy({}, { get: () => { throw new Error("hands off"); }, has: () => true });
    const yes: unknown = new Proxy(() => yes, { get: () => yes, has: () => true });
    expect(text(hostile)).toBe("{}");
    expect(() => bundleOf(yes)).not.toThrow();
  });
});
