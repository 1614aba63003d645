import { execFile } from "node:child_process";
import { cpSync, existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { build } from "esbuild";
import { afterAll, beforeAll, describe, expect, test } from "vitest";

const root = join(import.meta.dirname, "..", "..");
const run = promisify(execFile);
/** A copy of the package that has no addon yet. */
let folder: string;

const program = `
  import * as tf from "@tensorflow/tfjs-core";
  import { chooseBackend } from "./choose.mjs";
  const request = process.argv[2];
  try {
    const chosen = await chooseBackend(request);
    const again = await chooseBackend(request);
    const sum = tf.matMul(tf.ones([2, 3]), tf.ones([3, 2])).dataSync();
    console.log(JSON.stringify({ ...chosen, again: again.name, sum: Array.from(sum) }));
  } catch (error) {
    console.log(JSON.stringify({ error: error.code, name: error.name, fix: error.fix }));
  }`;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "moe-lab-fallback-"));
  mkdirSync(join(folder, "toolkit"));
  for (const part of ["package.json", "build/tfjsGradients.mjs", "toolkit/native"]) cpSync(join(root, part), join(folder, part), { recursive: true });
  symlinkSync(join(root, "node_modules"), join(folder, "node_modules"));
  await build({
    entryPoints: [join(root, "toolkit/backend/choose.ts")], outfile: join(folder, "toolkit/backend/choose.mjs"),
    bundle: true, format: "esm", platform: "node", packages: "external", external: ["#tfjs-gradients"], logLevel: "error",
  });
  writeFileSync(join(folder, "toolkit/backend/program.mjs"), program);
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

async function runProgram(variables: Record<string, string>, ...args: string[]): Promise<{ answer: Record<string, unknown>; messages: string[] }> {
  const { stdout, stderr } = await run(process.execPath, [join(folder, "toolkit/backend/program.mjs"), ...args], { env: { ...process.env, ...variables } });
  return { answer: JSON.parse(stdout) as Record<string, unknown>, messages: stderr.split("\n").filter((line) => line.trim() !== "") };
}

describe("without the addon for GPUs", () => {
  test("the host computes when nobody asked for a GPU, and says nothing", async () => {
    const { answer, messages } = await runProgram({ MOE_LAB_ADDON: join(root, "build/native/moe_lab.node"), MOE_LAB_CUDA_ADDON: join(folder, "none.node") });
    expect(answer).toMatchObject({ name: "native", device: "cpu", sum: [3, 3, 3, 3] });
    expect(messages).toEqual([]);
  });

  test("a GPU that was asked for is refused with what is missing", async () => {
    const { answer } = await runProgram({ MOE_LAB_ADDON: join(root, "build/native/moe_lab.node"), MOE_LAB_CUDA_ADDON: join(folder, "none.node"), MOE_LAB_DEVICE: "cuda" });
    expect(answer).toMatchObject({ error: "E_CUDA_MISSING", name: "BackendError", fix: expect.stringContaining("--cuda") as string });
  });
});

describe("without a compiler and without the addon", () => {
  const hidden = { MOE_LAB_NO_COMPILER: "1" };

  test("the cpu backend computes, and exactly one message says why and what to do", async () => {
    const { answer, messages } = await runProgram(hidden);
    expect(answer).toMatchObject({ name: "cpu", again: "cpu", threads: 1, sum: [3, 3, 3, 3] });
    expect(messages).toHaveLength(1);
    expect(messages[0]).toMatch(/"cpu".*no C\+\+ compiler.*Install g\+\+/);
  });

  test("an addon that the system refuses is named, with what the system says", async () => {
    const path = join(folder, "broken.node");
    writeFileSync(path, "not an addon");
    const { answer, messages } = await runProgram({ ...hidden, MOE_LAB_ADDON: path });
    expect(answer).toMatchObject({ name: "cpu" });
    expect(messages).toHaveLength(1);
    expect(messages[0]).toContain(`${path} could not be loaded (`);
  });

  test("asking for native is an error that says what to do", async () => {
    const { answer } = await runProgram(hidden, "native");
    expect(answer).toMatchObject({ error: "E_NATIVE_MISSING", name: "BackendError" });
    expect(answer.fix).toMatch(/install g\+\+/);
  });

  test("asking for cpu says nothing", async () => {
    const { answer, messages } = await runProgram({ ...hidden, MOE_LAB_BACKEND: "cpu" });
    expect(answer).toMatchObject({ name: "cpu", sum: [3, 3, 3, 3] });
    expect(messages).toEqual([]);
  });

  test("an unknown backend is an error", async () => {
    expect((await runProgram(hidden, "abacus")).answer).toMatchObject({ error: "E_BACKEND_NAME", name: "ConfigError" });
  });
});

describe("with a compiler", () => {
  test("the addon is built at first use, without a word, and used with the threads asked for", async () => {
    const objects = join(root, "build/native/objects"); // compiled already: only linking is left to do
    if (existsSync(objects)) cpSync(objects, join(folder, "build/native/objects"), { recursive: true });
    const { answer, messages } = await runProgram({ MOE_LAB_THREADS: "3" });
    expect(answer).toMatchObject({ name: "native", threads: 3, sum: [3, 3, 3, 3] });
    expect(messages).toEqual([]);
  }, 120_000);

  test("an addon that can't be loaded is an error with the cause", async () => {
    writeFileSync(join(folder, "build/native/moe_lab.node"), "not an addon");
    const { answer, messages } = await runProgram({ MOE_LAB_NO_COMPILER: "1" });
    expect(answer).toMatchObject({ name: "cpu" });
    expect(messages).toHaveLength(1);
  });
});
