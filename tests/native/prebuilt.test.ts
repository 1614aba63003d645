import { execFile, spawnSync } from "node:child_process";
import { copyFileSync, cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { build } from "esbuild";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { nativeBinding } from "../../toolkit/backend/binding.ts";

interface BuildResult { status: string; path: string; detail: string }
type Build = (options: { prebuilt?: boolean; isa?: string; output: string }) => Promise<BuildResult>;

const root = join(import.meta.dirname, "..", "..");
const run = promisify(execFile);
const best = nativeBinding().instructionSet();
const isX64 = process.arch === "x64";

const temporary = mkdtempSync(join(tmpdir(), "moe-lab-prebuilt-"));
/** The package as npm packs it: with a prebuilt addon, without build/native. */
const folder = join(temporary, "installed", "package");
const [local, prebuilt] = [join(folder, "build/native"), join(folder, "prebuilt", `${process.platform}-${process.arch}`)];
const programs = {
  "product.js": `
    import * as tf from "@tensorflow/tfjs-core";
    import { chooseBackend } from "./choose.js";
    const { name, reason } = await chooseBackend();
    console.log(JSON.stringify({ name, reason, product: Array.from(tf.matMul([[1, 2], [3, 4]], [[5, 6], [7, 8]]).dataSync()) }));`,
  "load.js": `
    import { nativeBinding } from "./binding.js";
    try { nativeBinding(); } catch (error) { console.log(JSON.stringify({ error: error.code, what: error.what })); }`,
};
const product = [19, 22, 43, 50];

/** Builds moe_lab.node with other instruction sets than this machine's best; returns its path. */
async function buildAddon(options: { prebuilt?: boolean; isa?: string }, output: string): Promise<string> {
  const script = await import(join(root, "toolkit/native/build.mjs")) as { buildAddon: Build };
  const { status, path, detail } = await script.buildAddon({ ...options, output });
  expect(["built", "current"], detail).toContain(status);
  return path;
}

beforeAll(async () => {
  const source = join(temporary, "source");
  for (const part of ["package.json", "build/tfjsGradients.mjs", "toolkit/native"]) cpSync(join(root, part), join(source, part), { recursive: true });
  await build({
    entryPoints: ["choose", "binding"].map((name) => join(root, `toolkit/backend/${name}.ts`)), outdir: join(source, "dist/toolkit/backend"),
    bundle: true, format: "esm", platform: "node", packages: "external", external: ["#tfjs-gradients"], logLevel: "error",
  });
  for (const [name, text] of Object.entries(programs)) writeFileSync(join(source, "dist/toolkit/backend", name), text);
  await buildAddon({ prebuilt: true }, join(source, "prebuilt", `${process.platform}-${process.arch}`));
  const { stdout } = await run("npm", ["pack", "--silent", "--ignore-scripts"], { cwd: source });
  mkdirSync(join(temporary, "installed"));
  await run("tar", ["xzf", join(source, stdout.trim()), "-C", join(temporary, "installed")]);
  symlinkSync(join(root, "node_modules"), join(folder, "node_modules"));
}, 300_000);
afterEach(() => rmSync(local, { recursive: true, force: true }));
afterAll(() => rmSync(temporary, { recursive: true, force: true }));

interface Answer { name?: string; reason?: string; product?: number[]; error?: string; what?: string }
interface Circumstances { program?: keyof typeof programs; variables?: Record<string, string>; command?: readonly string[] }

/** What the installed package does where there is no compiler, and its messages. */
async function runInstalled({ program = "product.js", variables = {}, command = [process.execPath] }: Circumstances = {}): Promise<Answer & { messages: string }> {
  const [file, ...args] = [...command, join(folder, "dist/toolkit/backend", program)];
  const { stdout, stderr } = await run(file, args, { env: { ...process.env, MOE_LAB_NO_COMPILER: "1", MOE_LAB_ADDON: "", ...variables } });
  return { ...JSON.parse(stdout) as Answer, messages: stderr };
}

describe("a packed package with a prebuilt addon", () => {
  test("computes natively without a compiler and without a word, with the best instruction set of the processor", async () => {
    expect(await runInstalled()).toEqual({ name: "native", reason: `C++ kernels, ${best}`, product, messages: "" });
  });

  test("passes over a local build that can't be loaded", async () => {
    mkdirSync(local, { recursive: true });
    writeFileSync(join(local, "moe_lab.node"), "not an addon");
    expect(await runInstalled()).toMatchObject({ name: "native", reason: `C++ kernels, ${best}`, product });
  });

  test.runIf(isX64)("prefers a local build, and MOE_LAB_ADDON to both", async () => {
    const other = join(temporary, "other");
    const baseline = await buildAddon({ isa: "baseline" }, other);
    mkdirSync(local, { recursive: true });
    copyFileSync(baseline, join(local, "moe_lab.node"));
    expect(await runInstalled()).toMatchObject({ reason: "C++ kernels, baseline", product });
    rmSync(local, { recursive: true });
    expect(await runInstalled({ variables: { MOE_LAB_ADDON: baseline } })).toMatchObject({ reason: "C++ kernels, baseline", product });
  }, 300_000);

  test.runIf(process.platform === "linux")("needs no newer glibc than Node.js 20 itself: 2.28", () => {
    const names = readFileSync(join(prebuilt, "moe_lab.node"), "latin1").matchAll(/\0GLIBC_2\.(\d+)/g);
    const newest = Math.max(...Array.from(names, ([, minor]) => Number(minor)));
    expect(newest).toBeGreaterThan(0);
    expect(newest).toBeLessThanOrEqual(28);
  });
});

// qemu's emulation of older processors, which this machine may not have: .ci/processors installs it.
const isQemuThere = isX64 && spawnSync("qemu-x86_64", ["--version"]).status === 0;

describe.runIf(isQemuThere)("on an emulated x86-64 processor", () => {
  const on = (model: string): string[] => ["qemu-x86_64", "-cpu", model, process.execPath];

  test("with AVX2 but without AVX-512, the prebuilt addon computes with AVX2", async () => {
    expect(await runInstalled({ command: on("Haswell,-rtm") })).toMatchObject({ reason: "C++ kernels, avx2", product });
  }, 120_000);

  test("without AVX2, the prebuilt addon computes with the baseline", async () => {
    expect(await runInstalled({ command: on("Nehalem") })).toMatchObject({ reason: "C++ kernels, baseline", product });
  }, 120_000);

  test("an addon without code for it is passed over, and an error where there is no other", async () => {
    mkdirSync(local, { recursive: true });
    const avx2 = await buildAddon({ isa: "avx2" }, join(temporary, "avx2"));
    copyFileSync(avx2, join(local, "moe_lab.node"));
    expect(await runInstalled({ command: on("Nehalem") })).toMatchObject({ reason: "C++ kernels, baseline", product });
    expect(await runInstalled({ command: on("Nehalem"), program: "load.js", variables: { MOE_LAB_ADDON: avx2 } }))
      .toMatchObject({ error: "E_NATIVE_PROCESSOR", what: `${avx2} holds no code for this processor` });
  }, 300_000);
});
