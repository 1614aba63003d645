import { execFile, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { expertLoad } from "../../toolkit/plot/expertLoad.ts";
import { libraryHtml } from "../../toolkit/plot/library.ts";
import { lineChart } from "../../toolkit/plot/lineChart.ts";
import { loadBalance } from "../../toolkit/plot/loadBalance.ts";
import { figureToHtml } from "../../toolkit/plot/page.ts";
import { routerEntropy } from "../../toolkit/plot/routerEntropy.ts";
import { tokenStrip } from "../../toolkit/plot/tokenStrip.ts";
import { trainingProgress } from "../../toolkit/plot/trainingProgress.ts";

// These tests need the command `chromium`; without it they are skipped, and figure.test.ts still checks the structure.
const hasChromium = spawnSync("chromium", ["--version"]).status === 0;
const chromiumFlags = [
  "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
  "--disable-component-update", "--disable-sync",
];

/** A page that isn't ready by then is written out as it is. */
const longestWaitMs = 20_000;
let folder = "";
let origin = "";
let served = "";
let release: () => void = () => undefined;
// Chromium writes the document out once the page has loaded: the image /hold keeps it waiting until the page asks for /ready.
const server = createServer((request, response) => {
  if (request.url === "/") {
    response.setHeader("content-type", "text/html; charset=utf-8").end(served);
  } else if (request.url === "/hold") {
    release = () => { if (!response.writableEnded) response.writeHead(404).end(); };
    setTimeout(release, longestWaitMs).unref();
  } else {
    response.end();
    if (request.url === "/ready") setTimeout(release, 300);
  }
});

const allDrawn = `[...document.querySelectorAll(".moe-lab-figure")].every((place) => place.querySelector(".gtitle"))`;

/** The page's document at the moment when `until`, an expression in the page, has become true.
 *  @param profile pages with the same one share the browser's store */
async function render(html: string, options: { profile?: string; until?: string } = {}): Promise<string> {
  const poll = `<img src="/hold"><script>{
    const timer = setInterval(() => { if (${options.until ?? allDrawn}) { clearInterval(timer); fetch("/ready"); } }, 50);
  }</script>`;
  served = html.replace("</body>", `${poll}</body>`);
  const profile = join(folder, options.profile ?? "profile");
  const { stdout } = await promisify(execFile)("chromium", [...chromiumFlags, `--user-data-dir=${profile}`, "--dump-dom", origin], { maxBuffer: 2 ** 26 });
  return stdout;
}

const load = [0, 1].flatMap((layer) => [0.5, 0.3, 0.2].map((share, expert) => ({ layer, expert, share })));
const figures = [
  lineChart([{ name: "loss", x: [1, 2, 3], y: [3, Number.NaN, 1] }], { title: "loss", yScale: "log" }),
  expertLoad(load), expertLoad(load, { kind: "bars" }),
  loadBalance([{ layer: 0, maxVio: 1, loadBalancingEfficiency: 0.5 }]),
  routerEntropy([{ layer: 0, tokenEntropy: 0.5, loadEntropy: 0.9 }]),
  tokenStrip({ tokens: ["</script>", " &amp;", "\n"], expertIds: [[0], [1], [0]], weights: [[1], [1], [1]] }, { layer: 0 }),
  trainingProgress({ training: [{ step: 1, lossNats: 5 }], validation: [{ step: 1, lossNats: 5.2 }], load }, { totalSteps: 9 }),
];

const drawnFigures = /class="[^"]*moe-lab-figure[^"]*js-plotly-plot/g;

describe.skipIf(!hasChromium)("in a browser", () => {
  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), "moe-lab-plot-"));
    await new Promise<void>((listening) => { server.listen(0, "127.0.0.1", listening); });
    origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
  });
  afterAll(() => {
    server.close();
    rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
  });

  test("every figure is drawn, and Plotly finds no setting in it that it doesn't know", async () => {
    const validate = `(() => {
      if (!(${allDrawn})) return false;
      const findings = [...document.querySelectorAll(".moe-lab-figure")].flatMap((place) => Plotly.validate(place.data, place.layout) ?? []);
      document.body.append("findings: " + JSON.stringify(findings.map((finding) => finding.msg)));
      return true;
    })()`;
    const page = await render(figureToHtml(figures, { title: "all" }), { until: validate });
    expect(page.match(drawnFigures)).toHaveLength(figures.length);
    expect(/findings: (\[.*\])/.exec(page)?.[1]).toBe("[]");
    // A token that looks like HTML is text.
    const labels = [...page.matchAll(/<text class="bartext[^>]*>([^<]*)</g)].map((match) => match[1]);
    expect(labels).toEqual(expect.arrayContaining(["&lt;/script&gt;", "⏎", "␣&amp;amp;"]));
  });

  test("a figure that comes before the library is drawn when the library arrives", async () => {
    const page = await render(`<body>${figures[0].toHtml()}${libraryHtml()}</body>`);
    expect(page.match(drawnFigures)).toHaveLength(1);
  });

  test("a notebook that lost the output with the library finds it in the browser's store", async () => {
    // The page before this one left it there: the profile is the same.
    const page = await render(`<body>${figures[0].toHtml()}${figures[1].toHtml()}</body>`);
    expect(page.match(drawnFigures)).toHaveLength(2);
  });

  test("without any library the text form stays and says what to do", async () => {
    const page = await render(`<body>${figures[0].toHtml()}</body>`, { profile: "fresh", until: `document.body.innerText.includes("run plotLibrary() in a cell")` });
    expect(page).not.toMatch(drawnFigures);
    expect(page).toContain("loss · 1  █ ▁  3 → 1");
    expect(page).toContain("run plotLibrary() in a cell");
  });

  test("ink is dark on a light page and light on a dark one", async () => {
    const inkOf = async (background: string): Promise<string | undefined> => {
      const page = await render(`<body style="background:${background}">${libraryHtml()}<div style="background:transparent">${figures[0].toHtml()}</div></body>`);
      return /class="gtitle"[^>]*fill: rgb\((\d+)/.exec(page)?.[1];
    };
    expect(Number(await inkOf("#ffffff"))).toBeLessThan(80);
    expect(Number(await inkOf("#111111"))).toBeGreaterThan(180);
  });

  test("a figure that is drawn already follows the page when it turns dark", async () => {
    const turn = `<script>{
      const timer = setInterval(() => {
        if (!document.querySelector(".gtitle")) return;
        clearInterval(timer);
        window.inkBefore = getComputedStyle(document.querySelector(".gtitle")).fill;
        document.body.dataset.jpThemeLight = "false"; // as JupyterLab does
        document.body.style.background = "#111111";
      }, 50);
    }</script>`;
    const page = await render(`<body style="background:#ffffff">${libraryHtml()}${figures[0].toHtml()}${turn}</body>`, {
      until: `window.inkBefore && getComputedStyle(document.querySelector(".gtitle")).fill !== window.inkBefore`,
    });
    expect(Number(/class="gtitle"[^>]*fill: rgb\((\d+)/.exec(page)?.[1])).toBeGreaterThan(180);
    expect(page.match(drawnFigures)).toHaveLength(1);
  });
});
