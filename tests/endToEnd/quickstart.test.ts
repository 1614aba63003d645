import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { chooseBackend } from "../../toolkit/backend/choose.ts";
import { readBundle } from "../../toolkit/export/bundle.ts";
import { readMetrics } from "../../toolkit/train/metrics.ts";

const main = join(import.meta.dirname, "..", "..", "dist", "toolkit", "cli", "main.js");
let home: string, run: string, output: ReturnType<typeof spawnSync>;

beforeAll(async () => {
  await chooseBackend();
  home = mkdtempSync(join(tmpdir(), "moe-lab quickstart "));
  run = join(home, "run");
  output = spawnSync(process.execPath, [main, "quickstart", "--tiny", "--out", run], { encoding: "utf8", timeout: 240_000 });
}, 250_000);
afterAll(() => { rmSync(home, { recursive: true, force: true }); });

interface SavedCell { cell_type: string; execution_count: number | null; outputs: { output_type: string; data?: Record<string, unknown> }[]; source: string[] | string }
const cells = (): SavedCell[] => (JSON.parse(readFileSync(join(run, "quickstart.ipynb"), "utf8")) as { cells: SavedCell[] }).cells;

describe("the quickstart, tiny", () => {
  test("ends with exit code 0 and a summary of figures", () => {
    expect(`${String(output.stderr)}${String(output.stdout).slice(-2000)}`).not.toMatch(/failed/);
    expect(output.status).toBe(0);
    for (const line of [/loss +\d\.\d+ nats in training, \d\.\d+ in validation/, /training speed +\d+ tokens\/s/, /load-balancing efficiency \d+ %/, /first token after \d+ ms/]) {
      expect(output.stdout).toMatch(line);
    }
  });

  test("writes the executed notebook with every code cell run and none failed", () => {
    const code = cells().filter((cell) => cell.cell_type === "code");
    expect(code.length).toBeGreaterThan(10);
    expect(code.map((cell) => cell.execution_count)).toEqual(code.map((_, index) => index + 1));
    expect(code.flatMap((cell) => cell.outputs).filter((out) => out.output_type === "error")).toEqual([]);
    const figures = code.flatMap((cell) => cell.outputs).filter((out) => out.data && "application/vnd.plotly.v1+json" in out.data);
    expect(figures.length).toBeGreaterThanOrEqual(5);
  });

  test("writes a report that draws its plots without any other file or host", () => {
    const html = readFileSync(join(run, "report.html"), "utf8");
    expect(html).toContain("plotly");
    expect(html).not.toMatch(/<(script|link|img|iframe)[^>]+(src|href)=["']?https?:/i);
  });

  test("the loss in metrics.jsonl falls, from that of a model that knows nothing", () => {
    const steps = readMetrics(join(run, "metrics.jsonl")).filter((record) => record.kind === "step");
    expect(Math.abs(steps[0].lossNats - Math.log(512))).toBeLessThan(0.15);
    expect(steps[steps.length - 1].lossNats).toBeLessThan(steps[0].lossNats - 0.5);
    for (const { expertLoad } of steps) for (const row of expertLoad) expect(row.reduce((sum, share) => sum + share, 0)).toBeCloseTo(1, 6);
  });

  test("the bundle loads and holds the validation loss of the run", () => {
    const { manifest, config } = readBundle(join(run, "bundle"));
    const [last] = readMetrics(join(run, "metrics.jsonl")).filter((record) => record.kind === "evaluation").slice(-1);
    expect(manifest.metrics.validationLossNats).toBe(last.validationLossNats);
    expect(config.moe).toMatchObject({ numExperts: 8, expertsPerToken: 2 });
    for (const file of ["Dockerfile", "compose.yaml", "bundle/model.safetensors", "prometheus/prometheus.yml"]) expect(existsSync(join(run, "service", file))).toBe(true);
  });

  test("`generate` and `promote` go on from what it wrote", () => {
    const cli = (...args: string[]) => spawnSync(process.execPath, [main, ...args], { encoding: "utf8", timeout: 120_000 });
    const text = cli("generate", join(run, "bundle"), "--prompt", "Call me", "--max-tokens", "5", "--temperature", "0");
    expect(text.status).toBe(0);
    expect(text.stdout).toMatch(/^Call me/);
    const promoted = cli("promote", run, "--out", join(home, "service"));
    expect(promoted.stderr).toBe("");
    expect(promoted.status).toBe(0);
    // The newest checkpoint is the end of the run, so both ways give the same weights.
    expect(readFileSync(join(home, "service", "bundle", "model.safetensors"))).toEqual(readFileSync(join(run, "bundle", "model.safetensors")));
  });
});

test("the notebook of routers runs from top to bottom, with one of a user's own", () => {
  const out = join(home, "routers.out.ipynb");
  const parameters = { steps: 12, bytesPerDomain: 20_000, runsFolder: join(home, "routers") };
  const { status, stderr } = spawnSync(process.execPath, [
    main, "notebook", "run", join(import.meta.dirname, "..", "..", "notebooks", "routers.ipynb"), "--out", out,
    ...Object.entries(parameters).flatMap(([name, value]) => ["--param", `${name}=${JSON.stringify(value)}`]),
  ], { encoding: "utf8", timeout: 120_000 });
  expect(stderr).not.toMatch(/failed/);
  expect(status).toBe(0);
  const text = readFileSync(out, "utf8");
  for (const name of ["auxiliary loss", "loss-free bias", "cosine", "dense twin", "upcycled"]) expect(text).toMatch(new RegExp(`"${name}: \\d\\.\\d{3} nats`));
  expect(text).toContain("application/vnd.plotly.v1+json");
}, 130_000);

describe("a notebook that fails", () => {
  const notebook = (source: string) => JSON.stringify({
    nbformat: 4, nbformat_minor: 5, metadata: {},
    cells: [{ id: "a", cell_type: "code", metadata: {}, execution_count: null, outputs: [], source }],
  });

  test.each([
    ["throws", "const x: number = 1;\nthrow new Error('no luck')", "no luck"],
    ["has a type error", "const x: number = 'text';", "not assignable"],
  ])("`notebook run` of one that %s ends with exit code 1, says why and keeps the error in the output", (name, source, message) => {
    const [input, out] = [join(home, `${name}.ipynb`), join(home, `${name}.out.ipynb`)];
    writeFileSync(input, notebook(source));
    const result = spawnSync(process.execPath, [main, "notebook", "run", input, "--out", out], { encoding: "utf8", timeout: 60_000 });
    expect(result.status).toBe(1);
    expect(result.stderr).toContain(message);
    expect(readFileSync(out, "utf8")).toContain(message);
  });
});
