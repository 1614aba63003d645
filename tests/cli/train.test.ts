import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { RandomSource } from "../../toolkit/random.ts";
import { readMetrics } from "../../toolkit/train/metrics.ts";

const main = join(import.meta.dirname, "..", "..", "dist", "toolkit", "cli", "main.js");
let home: string;
/** An uninterrupted run. */
let whole: ReturnType<typeof cli>;

const config = `
model:
  numLayers: 2
  width: 16
  numHeads: 2
  contextLength: 32
  moe: { numExperts: 4, expertsPerToken: 2, expertWidth: 16 }
tokenizer: { vocabSize: 280 }
data: { validation: { share: 0.1 } }
recipe: { steps: 150, batchSize: 4, warmupSteps: 5, evaluateEvery: 25, checkpointEvery: 10 }
`;

beforeAll(() => {
  home = mkdtempSync(join(tmpdir(), "moe-lab-cli-train-"));
  const random = new RandomSource(1), words = "the whale sea ship captain sailed a white over deep and old man said to his mate".split(" ");
  const sentence = () => Array.from({ length: 20 }, () => words[random.nextInt(words.length)]).join(" ");
  writeFileSync(join(home, "text.jsonl"), Array.from({ length: 300 }, () => `${JSON.stringify({ text: sentence() })}\n`).join(""));
  writeFileSync(join(home, "recipe.yaml"), config);
  whole = cli("--config", "recipe.yaml", "--data", "*.jsonl", "--output", "whole");
});
afterAll(() => { rmSync(home, { recursive: true, force: true }); });

const cli = (...args: string[]) => spawnSync(process.execPath, [main, "train", ...args], { encoding: "utf8", cwd: home, timeout: 60_000 });
const losses = (run: string) => readMetrics(join(home, run, "metrics.jsonl")).map((record) => [record.kind, record.step, record.kind === "step" ? record.lossNats : record.kind === "evaluation" ? record.validationLossNats : record.what]);

describe("moe-lab train", () => {
  test("--help shows a config that is right", () => {
    const { stdout, status } = cli("--help");
    expect(status).toBe(0);
    const example = stdout.slice(stdout.indexOf("  model:"), stdout.indexOf("--data takes"));
    writeFileSync(join(home, "example.yaml"), example);
    expect(cli("--config", "example.yaml", "--check")).toMatchObject({ status: 0, stdout: expect.stringMatching(/parameters +[\d,]+, [\d,]+ active/) as string });
  });

  test("refuses a wrong config with line, column and setting, and exit code 1, before it reads any data", () => {
    writeFileSync(join(home, "wrong.yaml"), config.replace("batchSize", "batchSise"));
    const { stderr, status } = cli("--config", "wrong.yaml", "--data", "nowhere.jsonl", "--output", "none");
    expect(status).toBe(1);
    expect(stderr).toContain("wrong.yaml:10:23: recipe.batchSise is no setting; did you mean batchSize?");
    expect(existsSync(join(home, "none"))).toBe(false);
  });

  test("trains what the config says and leaves a run that can be promoted", () => {
    const { stdout, stderr, status } = whole;
    expect(stderr).toBe("");
    expect(status).toBe(0);
    expect(stdout).toMatch(/step 25, 3,200 tokens: validation loss \d\.\d+ nats/);
    expect(stdout).toMatch(/finished at step 150/);
    for (const file of ["recipe.json", "tokenizer.json", "metrics.jsonl", "checkpoints"]) expect(existsSync(join(home, "whole", file))).toBe(true);
    const first = losses("whole")[0][2] as number;
    // A model that knows nothing has ln V; at the end it knows the words.
    expect(Math.abs(first - Math.log(280))).toBeLessThan(0.2);
    expect(losses("whole").at(-1)?.[2]).toBeLessThan(0.8 * first);
  });

  test("stopped by Ctrl-C ends after its step with exit code 130, and goes on with --resume as if nothing had been", async () => {
    const child = spawn(process.execPath, [main, "train", "--config", "recipe.yaml", "--data", "text.jsonl", "--output", "cut"], { cwd: home, stdio: ["ignore", "pipe", "pipe"] });
    child.stdout.on("data", (text: Buffer) => { if (text.toString().includes("step 25,")) child.kill("SIGINT"); });
    const [code] = await once(child, "close") as [number];
    expect(code).toBe(130);
    const stoppedAt = losses("cut").length;
    expect(stoppedAt).toBeLessThan(losses("whole").length);
    expect(cli("--config", "recipe.yaml", "--data", "text.jsonl", "--output", "cut", "--resume").status).toBe(0);
    expect(losses("cut")).toEqual(losses("whole"));
    expect(readFileSync(join(home, "cut", "tokenizer.json"), "utf8")).toBe(readFileSync(join(home, "whole", "tokenizer.json"), "utf8"));
  }, 120_000);

  test.each([
    [["--config", "recipe.yaml", "--data", "text.jsonl", "--output", "whole"], "E_RUN_EXISTS"], [["--config", "recipe.yaml", "--output", "none"], "E_NO_DATA"], [["--config", "recipe.yaml", "--data", "text.jsonl"], "E_NO_OUTPUT"],
    [["--config", "recipe.yaml", "--data", "text.jsonl", "--output", "none", "--resume"], "E_NO_RUN"], [["--config", "recipe.yaml", "--data", "nowhere.jsonl", "--output", "none"], "E_DATA_MISSING"],
  ])("%j is refused", (args, code) => {
    const { stderr, status } = cli(...args);
    expect(stderr).toContain(code);
    expect(status).toBe(1);
  });
});
