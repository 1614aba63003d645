import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { ansiToHtml } from "../../kernel/client/ansiHtml.ts";
import { mathHtml } from "../../kernel/client/mathml.ts";
import { createCodeCell } from "../../kernel/client/notebook.ts";
import type { NotebookCell } from "../../kernel/client/notebook.ts";
import { notebookToHtml } from "../../kernel/client/notebookHtml.ts";
import { temporaryFolder } from "./kernelHarness.ts";

function markdownCell(source: string): NotebookCell {
  return { ...createCodeCell(source), cell_type: "markdown" };
}

describe("notebookToHtml", () => {
  const page = (...outputs: NotebookCell["outputs"]): string => notebookToHtml({ cells: [markdownCell("# Head\n\n| a | b |\n|--|--|\n| 1 | 2 |"), { ...createCodeCell("const tag: string = `<${1 + 1}>` // note\nconst found = /re/g.test('x') && a < 2 / 3\nArray.from({ type: 1 })"), outputs }], metadata: {} }, { title: "A & B" });
  const data = (bundle: Record<string, unknown>): NotebookCell["outputs"][number] => ({ output_type: "display_data", data: bundle, metadata: {} });

  test("renders Markdown, coloured code and all kinds of outputs in one page without addresses elsewhere", () => {
    const html = page(
      { output_type: "stream", name: "stdout", text: "\u001b[31mred\u001b[0m <b>\n10%\r20%\n" }, { output_type: "error", ename: "E", evalue: "v", traceback: ["\u001b[1mE: v\u001b[0m"] },
      data({ "text/html": "<i id='own'>html</i>", "text/plain": "hidden" }), data({ "image/png": "iVBO\nRw0=" }), data({ "image/svg+xml": "<svg id='pic'></svg>" }), data({ "text/plain": "a < b" }),
    );
    expect(html).toContain("<title>A &amp; B</title>");
    expect(html).toMatch(/<h1 id="Head">Head<\/h1>[^]*<td>1<\/td>/);
    expect(html).toContain("<span class=\"k\">const</span>");
    expect(html).toContain("<span class=\"c\">// note</span>");
    expect(html).toContain("<span class=\"s\">`&lt;${</span><span class=\"n\">1</span> + <span class=\"n\">1</span><span class=\"s\">}&gt;`</span>");
    expect(html).toContain("<span class=\"s\">/re/g</span>");
    expect(html).toContain("Array.from({ type: ");
    expect(html).toContain("<span style=\"color:var(--ansi-1)\">red</span> &lt;b&gt;\n20%\n");
    expect(html).toContain("<pre class=\"error\"><span style=\"font-weight:bold\">E: v</span></pre>");
    expect(html).toContain("<i id='own'>html</i>");
    expect(html).not.toContain("hidden</pre>");
    expect(html).toContain("src=\"data:image/png;base64,iVBORw0=\"");
    expect(html).toContain("<svg id='pic'></svg>");
    expect(html).toContain("a &lt; b");
    expect(html).not.toMatch(/(src|href)="https?:/);
    expect(html).not.toContain("Plotly");
  });

  test("has plotly.js in it once, however many plots there are, and no plot can end the script", () => {
    const plot = { "application/vnd.plotly.v1+json": { data: [{ y: [1, 2], name: "</script><script>alert(1)</script>" }], layout: { height: 300 } } };
    const html = page(data(plot), data(plot));
    expect(html.match(/Plotly\.newPlot\("plot-/g)).toHaveLength(2);
    expect(html.match(/plotly\.js v\d/g)).toHaveLength(1);
    expect(html.match(/<\/script>/g)).toHaveLength(2);
    expect(html).toContain("style=\"height:300px\"");
  });
});

describe("Markdown on the page", () => {
  const text = (source: string, rest: NotebookCell["rest"] = {}, folder?: string): string => notebookToHtml({ cells: [{ ...markdownCell(source), rest }], metadata: {} }, { title: "t", folder });

  test("formulas are MathML, also where Markdown would see emphasis or a line break", () => {
    expect(text("the loss $L_i * a_i$ and\n\n$$\n\\frac{1}{N}\n$$\n")).toMatch(/<math display="inline">[^]*<msub><mi>L<\/mi><mi>i<\/mi><\/msub><mo>∗<\/mo><msub>[^]*<math display="block">[^]*<mfrac><mrow><mn>1<\/mn><\/mrow><mrow><mi>N<\/mi><\/mrow><\/mfrac>/);
    expect(text("\\begin{align} a &= 1 \\\\ b &= 2 \\end{align}")).toContain("<mtable class=\"aligned\"><mtr><mtd><mi>a</mi></mtd><mtd><mo>=</mo><mn>1</mn></mtd></mtr>");
  });

  test.each(["it costs $5 and $6", "a `$x$` in code", "5 \\$ a $ b"])("what is no formula stays text: %s", (source) => {
    expect(text(source)).not.toContain("<math");
  });

  test("images from attachments and from the notebook's folder are in the page, and addresses elsewhere stay", () => {
    const folder = temporaryFolder();
    mkdirSync(join(folder, "my figures"));
    writeFileSync(join(folder, "my figures", "a.png"), "PNG");
    writeFileSync(join(folder, "secret.txt"), "no image");
    const html = text("![one](attachment:one.png) ![two](my%20figures/a.png) ![three](https://example.org/x.png) ![four](secret.txt) ![five](gone.png)", { attachments: { "one.png": { "image/png": ["iVBO\n", "Rw0="] } } }, folder);
    expect([...html.matchAll(/<img src="([^"]*)"/g)].map((match) => match[1])).toEqual(["data:image/png;base64,iVBORw0=", `data:image/png;base64,${Buffer.from("PNG").toString("base64")}`, "https://example.org/x.png", "secret.txt", "gone.png"]);
  });

  test("many headings get a table of contents whose links lead to them, under Jupyter's names for headings", () => {
    const html = text("# One\n## The *model*\n## The *model*\n### a < b\n#### deep");
    expect(html).toContain("<h2 id=\"The-model\">The <em>model</em></h2>");
    expect([...html.matchAll(/<a class="level-(\d)" href="#([^"]*)">([^<]*)<\/a>/g)].map((match) => match.slice(1))).toEqual([["1", "One", "One"], ["2", "The-model", "The model"], ["2", "The-model~2", "The model"], ["3", "a-%3C-b", "a &lt; b"]]);
    expect(text("# One\n## Two")).not.toContain("<nav");
  });
});

describe("cells and outputs on the page", () => {
  const cell = (change: Partial<NotebookCell>): string => notebookToHtml({ cells: [{ ...createCodeCell("1"), ...change }], metadata: {} }, { title: "t" });
  const shown = (data: Record<string, unknown>, metadata = {}): string => cell({ outputs: [{ output_type: "display_data", data, metadata }] });

  test("a widget, which needs Jupyter, is shown as its text", () => {
    expect(shown({ "application/vnd.jupyter.widget-view+json": { model_id: "x" }, "text/plain": "Slider: 3", "text/html": "<b>later</b>" })).toMatch(/<div class="widget"><pre class="result">Slider: 3<\/pre>/);
  });

  test("formulas, JSON, Markdown and images of a given size are shown", () => {
    expect(shown({ "text/latex": "$\\displaystyle x^2$" })).toContain("<msup><mi>x</mi><mn>2</mn></msup>");
    expect(shown({ "application/json": { a: [1] } })).toContain("{\n  &quot;a&quot;: [\n    1\n  ]\n}");
    expect(shown({ "text/markdown": "**bold**" })).toContain("<strong>bold</strong>");
    expect(shown({ "image/png": "AA==", "text/plain": "a \"plot\"" }, { "image/png": { width: 320 } })).toContain("<img alt=\"a &quot;plot&quot;\" width=\"320\" src=\"data:image/png;base64,AA==\">");
  });

  test("a cell's time is shown from a second on, and a cell whose source is hidden is folded", () => {
    const execution = { "iopub.status.busy": "2026-01-01T00:00:00.000Z", "iopub.status.idle": "2026-01-01T00:00:12.400Z" };
    expect(cell({ executionCount: 3, metadata: { execution } })).toContain("<details class=\"code\" open><summary>Code 3 · 12.4 s</summary>");
    expect(cell({ metadata: { jupyter: { source_hidden: true } } })).toContain("<details class=\"code\"><summary>Code</summary>");
  });

  test("code of another language is not coloured as TypeScript", () => {
    expect(notebookToHtml({ cells: [createCodeCell("import x")], metadata: { language_info: { name: "python" } } }, { title: "t" })).toContain("<code>import x</code>");
  });
});

// Expected: ECMA-48's select graphic rendition and xterm's colours.
describe("colours of terminals on the page", () => {
  test.each([
    ["plain <b>", "plain &lt;b&gt;"],
    ["\u001b[1;31mbold red\u001b[22m red\u001b[m plain", "<span style=\"color:var(--ansi-1);font-weight:bold\">bold red</span><span style=\"color:var(--ansi-1)\"> red</span> plain"],
    ["\u001b[38;5;196mcube\u001b[38;5;244mgrey\u001b[38;2;1;2;3mtrue\u001b[39m", "<span style=\"color:rgb(255,0,0)\">cube</span><span style=\"color:rgb(128,128,128)\">grey</span><span style=\"color:rgb(1,2,3)\">true</span>"],
    ["\u001b[97;44mon blue\u001b[0m", "<span style=\"color:var(--ansi-15);background:var(--ansi-4)\">on blue</span>"],
    ["\u001b[7mturned\u001b[27m", "<span style=\"color:var(--paper);background:var(--ink)\">turned</span>"],
    ["\u001b]0;title\u0007\u001b[2Kclean\u001b[3", "clean\u001b[3"],
    ["\u001b[32m10%\r20%\u001b[0m\r\nend", "<span style=\"color:var(--ansi-2)\">20%</span>\nend"],
  ])("%j", (text, html) => {
    expect(ansiToHtml(text)).toBe(html);
  });
});

// Expected: the meaning of the elements in www.w3.org/TR/mathml-core/.
describe("formulas on the page", () => {
  const row = (tex: string): string => /<mrow>([^]*)<\/mrow><annotation/.exec(mathHtml(tex, "block"))?.[1] ?? "";
  test.each([
    ["x_i^2", "<msubsup><mi>x</mi><mi>i</mi><mn>2</mn></msubsup>"],
    ["f'", "<msup><mi>f</mi><mo>′</mo></msup>"],
    ["a-b", "<mi>a</mi><mo>−</mo><mi>b</mi>"],
    ["\\sum_{i=1}^N", "<munderover><mo movablelimits=\"true\">∑</mo><mrow><mi>i</mi><mo>=</mo><mn>1</mn></mrow><mi>N</mi></munderover>"],
    ["\\int_0^1", "<msubsup><mo>∫</mo><mn>0</mn><mn>1</mn></msubsup>"],
    ["\\sqrt[3]{x}", "<mroot><mrow><mi>x</mi></mrow><mrow><mn>3</mn></mrow></mroot>"],
    ["\\mathbb{R}^{d}", "<msup><mrow><mi>ℝ</mi></mrow><mrow><mi>d</mi></mrow></msup>"],
    ["\\mathbf{W1}", "<mrow><mi>𝐖</mi><mn>𝟏</mn></mrow>"],
    ["\\left(\\frac{a}{b}\\right]", "<mrow><mo>(</mo><mfrac><mrow><mi>a</mi></mrow><mrow><mi>b</mi></mrow></mfrac><mo>]</mo></mrow>"],
    ["\\text{if } x", "<mtext>if </mtext><mi>x</mi>"],
    ["\\begin{pmatrix}1&0\\\\0&1\\end{pmatrix}", "<mrow><mo>(</mo><mtable><mtr><mtd><mn>1</mn></mtd><mtd><mn>0</mn></mtd></mtr><mtr><mtd><mn>0</mn></mtd><mtd><mn>1</mn></mtd></mtr></mtable><mo>)</mo></mrow>"],
  ])("%s", (tex, html) => {
    expect(row(tex)).toBe(html);
  });

  test("what is unknown, wrong or too deep stands as it is written, and nothing behind it is lost", () => {
    expect(row("\\nosuch{a} z")).toBe("<mtext>\\nosuch</mtext><mrow><mi>a</mi></mrow><mi>z</mi>");
    expect(row("} z")).toBe("<mo>}</mo><mi>z</mi>");
    expect(row("x_{a")).toBe("<msub><mi>x</mi><mrow><mi>a</mi></mrow></msub>");
    expect(row("{".repeat(5000) + "z")).toContain("z");
    expect(mathHtml("<script>", "inline")).not.toContain("<script>");
  });

  test("the source can be copied from the page", () => {
    expect(mathHtml(" a<b ", "inline")).toContain("<annotation encoding=\"application/x-tex\">a&lt;b</annotation>");
  });
});
