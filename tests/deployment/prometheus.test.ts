// Runs a real Prometheus on a real server and asks it every query of the dashboard and the rules.
import { execFileSync, spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { cpSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { stringify } from "yaml";
import { moeDashboard } from "../../deployment/grafana.ts";
import { prometheusConfig, prometheusRules } from "../../deployment/prometheus.ts";
import { streamCompletion } from "../../serve/client.ts";
import { startServer, type RunningServer } from "../../serve/process.ts";
import { packageRoot } from "../../toolkit/export/packageRoot.ts";
import { writeTinyBundle } from "../serve/tinyBundle.ts";

function isInstalled(): boolean {
  try {
    execFileSync("prometheus", ["--version"], { stdio: "ignore" });
    return true;
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return false;
    throw error;
  }
}

const hasPrometheus = isInstalled();
if (!hasPrometheus) console.warn("SKIPPED: no query is asked of a real Prometheus. Debian: apt-get install prometheus");

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  server.close();
  await once(server, "close");
  if (address === null || typeof address === "string") throw new Error("no port");
  return address.port;
}

describe.runIf(hasPrometheus)("a real Prometheus", () => {
  let folder = "";
  let server: RunningServer | undefined;
  let prometheus: ChildProcess | undefined;
  let url = "";

  const ask = async (query: string): Promise<{ status: string; error?: string; data?: { result: { metric: Record<string, string>; value: [number, string] }[] } }> =>
    await (await fetch(`${url}/api/v1/query?query=${encodeURIComponent(query)}`)).json() as Awaited<ReturnType<typeof ask>>;

  beforeAll(async () => {
    const tiny = await writeTinyBundle();
    folder = tiny.folder;
    server = await startServer(tiny.bundleDir, { expertMetrics: true });
    const settings = join(folder, "prometheus");
    mkdirSync(settings);
    cpSync(join(packageRoot, "deployment", "files", "prometheus", "rules.yml"), join(settings, "rules.yml"));
    const [job] = prometheusConfig.scrape_configs;
    writeFileSync(join(settings, "prometheus.yml"), stringify({
      ...prometheusConfig, global: { scrape_interval: "200ms", scrape_timeout: "200ms", evaluation_interval: "200ms" },
      scrape_configs: [{ ...job, static_configs: [{ targets: [new URL(server.url).host] }] }],
    }));
    const port = await freePort();
    url = `http://127.0.0.1:${port}`;
    prometheus = spawn("prometheus", [`--config.file=${join(settings, "prometheus.yml")}`, `--storage.tsdb.path=${join(folder, "tsdb")}`, `--web.listen-address=127.0.0.1:${port}`], { stdio: "ignore" });
    await vi.waitFor(async () => expect((await ask("up")).data?.result[0]?.value[1]).toBe("1"), { timeout: 20_000, interval: 100 });
    // Rates need requests between two scrapes.
    for (let round = 0; round < 5; round++) {
      for await (const piece of streamCompletion(server.url, { prompt: "true places", maxTokens: 5, seed: round })) void piece;
      await wait(300);
    }
  });

  afterAll(async () => {
    if (prometheus !== undefined && prometheus.exitCode === null) {
      prometheus.kill("SIGTERM");
      await once(prometheus, "exit");
    }
    await server?.stop();
    rmSync(folder, { recursive: true, force: true });
  });

  test("answers every query of the dashboard with data", async () => {
    for (const panel of moeDashboard().panels ?? []) {
      for (const target of "targets" in panel ? panel.targets ?? [] : []) {
        if (!("expr" in target) || typeof target.expr !== "string") throw new Error("a target without a query");
        const query = target.expr.replaceAll("$__rate_interval", "5s").replaceAll("$__range", "5s");
        const { status, error, data } = await ask(query);
        expect(status, `${query}: ${error ?? ""}`).toBe("success");
        // Nothing failed, so the series of failures alone may be empty.
        if (!query.includes("moe_request_failure_total")) expect(data?.result.length, query).toBeGreaterThan(0);
      }
    }
  });

  test("the shares of a layer's experts sum to 1", async () => {
    const { data } = await ask('sum by (layer) (sum by (layer, expert) (increase(moe_expert_tokens_total[5s])) / ignoring (expert) group_left () sum by (layer) (increase(moe_expert_tokens_total[5s])))');
    expect(data?.result.map(({ value }) => Number(value[1]))).toEqual([expect.closeTo(1, 9), expect.closeTo(1, 9)]);
  });

  test("evaluates every rule without an error, and none fires while all is well", async () => {
    const { data } = await (await fetch(`${url}/api/v1/rules`)).json() as { data: { groups: { rules: { name: string; health: string; state: string }[] }[] } };
    const evaluated = data.groups.flatMap((group) => group.rules);
    expect(evaluated.map(({ name }) => name).sort()).toEqual(prometheusRules.groups.flatMap((group) => group.rules.map(({ alert }) => alert)).sort());
    expect(evaluated.filter(({ health }) => health !== "ok")).toEqual([]);
    expect(evaluated.filter(({ state }) => state === "firing")).toEqual([]);
  });
});
