import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { readBundle } from "../../toolkit/export/bundle.ts";
import { promote } from "../../toolkit/export/promote.ts";
import { writeTinyBundle } from "../serve/tinyBundle.ts";

let bundleDir = "";
let folder = "";
beforeAll(async () => { ({ bundleDir, folder } = await writeTinyBundle()); });
afterAll(() => rmSync(folder, { recursive: true, force: true }));

test("promote writes a bundle, the package and everything that the Dockerfile and compose.yaml name", async () => {
  const outDir = join(folder, "service");
  const promoted = await promote({ bundleDir }, outDir);
  expect(promoted.files).toEqual(expect.arrayContaining([
    ".dockerignore", "Dockerfile", "bundle/bundle.json", "bundle/model.safetensors", "bundle/tokenizer.json", "compose.yaml",
    "grafana/dashboards/moe.json", "moe-lab.tgz", "promoted.json", "prometheus/prometheus.yml", "prometheus/rules.yml",
  ]));
  expect(readBundle(promoted.bundleDir).manifest.name).toBe("tiny");
  for (const [, source] of readFileSync(join(outDir, "Dockerfile"), "utf8").matchAll(/^COPY (?!--from)(\S+)/gm)) expect(existsSync(join(outDir, source)), source).toBe(true);
  const packed = execFileSync("tar", ["-tzf", join(outDir, "moe-lab.tgz")], { encoding: "utf8" });
  for (const needed of ["dist/serve/main.js", "dist/serve/decodeWorker.js", "build/tfjsGradients.mjs", "toolkit/native/build.mjs", "package.json"]) expect(packed).toContain(`package/${needed}\n`);
});

test("a folder that was promoted before is replaced, and leaves nothing else behind", async () => {
  const outDir = join(folder, "again");
  await promote({ bundleDir }, outDir);
  writeFileSync(join(outDir, "leftover"), "from before");
  const { model, tokenizer } = readBundle(bundleDir);
  const { files } = await promote({ name: "second", model, tokenizer, metrics: {} }, outDir);
  expect(files).not.toContain("leftover");
  expect(readBundle(join(outDir, "bundle")).manifest.name).toBe("second");
  expect(existsSync(outDir)).toBe(true);
});

test("a folder of the user's own is never overwritten", async () => {
  const outDir = join(folder, "own");
  mkdirSync(outDir);
  writeFileSync(join(outDir, "thesis.txt"), "words");
  await expect(promote({ bundleDir }, outDir)).rejects.toMatchObject({ name: "FileFormatError", code: "E_FOLDER_NOT_OURS" });
  expect(readFileSync(join(outDir, "thesis.txt"), "utf8")).toBe("words");
});

test("a damaged bundle is refused, and nothing is written", async () => {
  const damaged = join(folder, "damaged");
  mkdirSync(damaged);
  writeFileSync(join(damaged, "bundle.json"), '{"sha256":{"config.json":"0"}}');
  await expect(promote({ bundleDir: damaged }, join(folder, "never"))).rejects.toMatchObject({ code: "E_FOLDER_CORRUPT" });
  expect(existsSync(join(folder, "never"))).toBe(false);
});
