import { execFile } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { join, relative } from "node:path";
import { promisify } from "node:util";
import { describe, expect, test } from "vitest";
import { parse } from "yaml";
import { deploymentFiles } from "../../deployment/files.ts";
import { packageRoot } from "../../toolkit/export/packageRoot.ts";
import { testApp } from "../serve/app.ts";

const folder = join(packageRoot, "deployment", "files");
const run = promisify(execFile);
const text = (path: string): string => deploymentFiles().get(path) ?? "";

interface Compose {
  readonly services: Record<string, {
    readonly image?: string; readonly ports: string[]; readonly read_only: boolean; readonly cap_drop: string[]; readonly mem_limit: string;
    readonly environment?: Record<string, string>; readonly volumes?: string[];
  }>;
}
interface Dashboard {
  readonly panels: readonly { readonly type: string; readonly title: string; readonly targets?: readonly { readonly refId: string; readonly expr: string }[] }[];
}
interface Rules { readonly groups: readonly { readonly rules: readonly { readonly alert: string; readonly expr: string }[] }[] }

const compose = parse(text("compose.yaml")) as Compose;
const dashboard = JSON.parse(text("grafana/dashboards/moe.json")) as Dashboard;
const rules = parse(text("prometheus/rules.yml")) as Rules;

async function hasProgram(name: string): Promise<boolean> {
  try {
    await run(name, ["--version"]);
    return true;
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return false;
    throw error;
  }
}

test("the committed files are what the generator writes", () => {
  const entries = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  const committed = new Map(entries.map((entry) => {
    const path = join(entry.parentPath, entry.name);
    return [relative(folder, path), readFileSync(path, "utf8")];
  }));
  expect(committed, "run npm run generate:deployment").toEqual(deploymentFiles());
});

describe("compose.yaml", () => {
  test("passes dclint without a warning", async () => {
    const { stdout } = await run(process.execPath, [join(packageRoot, "node_modules", "dclint", "bin", "dclint.cjs"), join(folder, "compose.yaml"), "--max-warnings", "0"]);
    expect(stdout).not.toMatch(/warning|error/);
  });

  test("publishes ports on loopback only, and confines each service", () => {
    for (const [name, service] of Object.entries(compose.services)) {
      expect(service.ports.every((port) => port.startsWith("127.0.0.1:")), name).toBe(true);
      expect(service, name).toMatchObject({ read_only: true, cap_drop: ["ALL"] });
      expect(service.mem_limit, name).toMatch(/\d+[mg]/);
    }
  });

  test("names an exact version of each image", () => {
    for (const { image } of Object.values(compose.services)) if (image !== undefined) expect(image).toMatch(/:v?\d+\.\d+\.\d+$/);
  });

  test("sets only variables that the server reads", () => {
    const known = readFileSync(join(packageRoot, "serve", "config.ts"), "utf8") + readFileSync(join(packageRoot, "toolkit", "environment.ts"), "utf8");
    for (const variable of Object.keys(compose.services["server"]?.environment ?? {})) expect(known).toContain(variable);
  });

  test("mounts only files that are generated", () => {
    const paths = [...deploymentFiles().keys()];
    const mounted = Object.values(compose.services).flatMap(({ volumes = [] }) => volumes).filter((volume) => volume.startsWith("./")).map((volume) => volume.slice(2).split(":")[0] ?? "");
    expect(mounted.length).toBeGreaterThan(0);
    for (const source of mounted) expect(paths.some((path) => path.startsWith(`${source}/`)), source).toBe(true);
  });
});

describe("metrics in dashboard and rules", () => {
  const queries = [
    ...dashboard.panels.flatMap(({ targets = [] }) => targets.map(({ expr }) => expr)),
    ...rules.groups.flatMap((group) => group.rules.map(({ expr }) => expr)),
  ];

  test("every metric that is asked for is in a live /metrics", async () => {
    const { app, complete } = testApp({ expertMetrics: true });
    await complete({ prompt: "a", max_tokens: 3 });
    const { body } = await app.inject("/metrics");
    const live = new Set([...body.matchAll(/^([a-z_]+)(?:\{| )/gm)].map(([, name]) => name));
    // A metric name is what stands before a selector, a range or the end of an argument. Prometheus itself makes "up".
    const asked = new Set(queries.flatMap((expr) => [...expr.matchAll(/\b((?:moe|process|nodejs)_[a-z0-9_]+)/g)].map(([, name]) => name)));
    expect(asked.size).toBeGreaterThan(10);
    expect([...asked].filter((name) => !live.has(name))).toEqual([]);
    expect(queries.filter((expr) => !/\b(moe|process|nodejs)_|\bup\{/.test(expr))).toEqual([]);
  });

  test("queries of a panel have different letters, and no two panels the same title", () => {
    const titles = dashboard.panels.map(({ title }) => title);
    expect(new Set(titles).size).toBe(titles.length);
    for (const { title, targets = [] } of dashboard.panels) expect(new Set(targets.map(({ refId }) => refId)).size, title).toBe(targets.length);
  });
});

test("promtool accepts the settings and rules of Prometheus", async ({ skip }) => {
  if (!await hasProgram("promtool")) skip("promtool isn't installed (Debian: apt-get install prometheus)");
  const { stdout } = await run("promtool", ["check", "config", join(folder, "prometheus", "prometheus.yml")]);
  expect(stdout).toContain("5 rules found");
});

test("every settings file is YAML with what its program needs", () => {
  expect(parse(text("prometheus/prometheus.yml"))).toMatchObject({ rule_files: ["rules.yml"], scrape_configs: [{ job_name: "moe-lab" }] });
  const datasources = parse(text("grafana/provisioning/datasources/prometheus.yml")) as { datasources: { uid: string }[] };
  const uids = [...text("grafana/dashboards/moe.json").matchAll(/"uid": "([^"]+)"/g)].map(([, uid]) => uid);
  expect(new Set(uids)).toEqual(new Set([datasources.datasources[0]?.uid, "moe-lab"]));
  expect(parse(text("grafana/provisioning/dashboards/dashboards.yml"))).toMatchObject({ providers: [{ type: "file" }] });
});
