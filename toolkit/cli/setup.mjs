#!/usr/bin/env node
// Makes a fresh clone ready: packages, the tfjs gradient bundle, the native addon, dist/. Plain JavaScript without
// imports of packages, because it runs before anything is installed. Does only what is missing or out of date.
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, renameSync, rmSync, statSync, utimesSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { BUILD_INFO, stateOfDist } from "./compiledSources.mjs";

const root = join(dirname(fileURLToPath(import.meta.url)), "..", "..");
const isQuiet = process.argv.includes("--quiet");
const say = (text) => { if (!isQuiet) console.log(text); };

const [major, minor] = process.versions.node.split(".").map(Number);
if (major < 20 || (major === 20 && minor < 19)) {
  console.error(`moe-lab needs Node 20.19 or newer, this is ${process.version}. Fix: install a current Node.js LTS and run the command again.`);
  process.exit(1);
}

const run = (label, command, args) => {
  const started = Date.now();
  const result = spawnSync(command, args, { cwd: root, encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] });
  if (result.error || result.status !== 0) {
    console.error(`${label} failed: ${command} ${args.join(" ")}\n${result.error?.message ?? ""}${result.stdout ?? ""}${result.stderr ?? ""}`);
    process.exit(1);
  }
  console.log(`  ${label}: done in ${((Date.now() - started) / 1000).toFixed(1)} s`);
};

const modifiedMs = (path) => (existsSync(path) ? statSync(path).mtimeMs : 0);

// npm writes node_modules/.package-lock.json last, so an interrupted install counts as not installed.
if (modifiedMs(join(root, "node_modules", ".package-lock.json")) < modifiedMs(join(root, "package-lock.json"))) {
  console.log("Installing packages (npm ci) …");
  run("packages", process.platform === "win32" ? "npm.cmd" : "npm", ["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]);
} else say("  packages: current");

mkdirSync(join(root, "build"), { recursive: true });

// tfjs-core keeps gradients, chained ops and optimizers in ES modules that Node can't import, outside its Node bundle.
const gradients = join(root, "build", "tfjsGradients.mjs");
const corePackage = join(root, "node_modules", "@tensorflow", "tfjs-core", "package.json");
if (modifiedMs(gradients) < Math.max(modifiedMs(corePackage), modifiedMs(fileURLToPath(import.meta.url)))) {
  const { build } = await import("esbuild");
  const core = "@tensorflow/tfjs-core/dist";
  await build({
    stdin: {
      contents: `import "${core}/register_all_gradients";
        import "${core}/public/chained_ops/register_all_chained_ops";
        import { registerOptimizers } from "${core}/optimizers/register_optimizers";
        registerOptimizers();`,
      resolveDir: root,
    },
    bundle: true, format: "esm", platform: "node", mainFields: ["module", "main"], ignoreAnnotations: true,
    external: ["seedrandom", "long", "node-fetch"], legalComments: "eof", logLevel: "error", outfile: `${gradients}.new`,
  });
  renameSync(`${gradients}.new`, gradients);
  console.log("  tfjs gradients: bundled");
} else say("  tfjs gradients: current");

const { buildAddon, prebuiltFolder } = await import(pathToFileURL(join(root, "toolkit", "native", "build.mjs")).href);
const addon = await buildAddon();
const isUsable = addon.status === "built" || addon.status === "current";
const older = [addon.path, join(prebuiltFolder(), "moe_lab.node")].find(existsSync);
const problem = addon.status === "failed" ? `the build failed.\n${addon.detail}` : addon.detail;
if (isUsable) { if (addon.status === "built" || !isQuiet) console.log(`  native backend: ${addon.status}`); }
else if (older !== undefined) console.log(`  native backend: ${relative(root, older)} is used as it is, because ${problem}`);
else console.error(`  native backend: ${problem}\n  Until then the tfjs cpu backend computes everything, and training is some hundred times slower.`);

const distState = stateOfDist(root);
if (distState !== "current") {
  // tsc compiles what has changed since its notes, and does not see that its output is gone.
  if (distState === "incomplete") rmSync(join(root, BUILD_INFO), { force: true });
  run("TypeScript", process.execPath, [join(root, "node_modules", "typescript", "bin", "tsc"), "-p", "tsconfig.build.json"]);
  // It leaves the notes as they are when a source is newer and says the same.
  utimesSync(join(root, BUILD_INFO), new Date(), new Date());
} else say("  TypeScript: current");
