import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { KernelClient } from "../../kernel/client/kernelClient.ts";
import { globalPackage, startKernelOf } from "./globalPackage.ts";
import { runCell, temporaryFolder } from "./kernelHarness.ts";
import type { CellReport } from "./kernelHarness.ts";

let client: KernelClient;
let folder: string;
let packageFolder: string;

beforeAll(async () => {
  packageFolder = globalPackage();
  folder = temporaryFolder();
  client = await startKernelOf(packageFolder, folder);
});
afterAll(() => client.shutdown());

/** Runs a cell that must succeed. */
async function run(code: string): Promise<CellReport> {
  const report = await runCell(client, code);
  expect(report.reply.evalue, code).toBeUndefined();
  return report;
}

function write(path: string, text: string): void {
  mkdirSync(dirname(join(folder, path)), { recursive: true });
  writeFileSync(join(folder, path), text);
}

async function completions(code: string): Promise<unknown> {
  return (await client.request("shell", "complete_request", { code, cursor_pos: code.length })).content.matches;
}

describe("in a folder without packages, the kernel of a global installation", () => {
  test("finds moe-lab, its subpaths and TensorFlow.js, which is the toolkit's own", async () => {
    const report = await run("import { tf } from 'moe-lab'\nimport { Figure } from 'moe-lab/plot'\nimport * as core from '@tensorflow/tfjs-core'\n"
      + "[core.tensor === tf.tensor, core.engine() === tf.engine(), core.tensor1d([1, 2]).add(1) instanceof tf.Tensor, typeof Figure, (await import('moe-lab')).tf === tf]");
    expect(report.result).toBe("[ true, true, true, 'function', true ]");
  });

  test("checks its types", async () => {
    expect((await runCell(client, "const wrong: string = tf.tensor1d([1])")).reply.evalue).toMatch(/^TS2322: Type 'Tensor1D'/);
    expect((await runCell(client, "import { nothing } from 'moe-lab'")).reply.evalue).toMatch(/^TS2305:/);
    expect((await runCell(client, "import x from 'moe-lab/nothing'")).reply.evalue).toMatch(/^TS2307:/);
  });

  test("completes its modules and their members", async () => {
    expect(await completions("import { tf } from 'moe")).toEqual(["moe-lab"]);
    expect(await completions("import { Figure } from 'moe-lab/pl")).toEqual(["moe-lab/plot"]);
    expect(await completions("import * as core from '@tensorflow/tfjs-co")).toEqual(["@tensorflow/tfjs-core"]);
    expect(await completions("import * as plot from 'moe-lab/plot'; plot.lineCh")).toEqual(["lineChart"]);
  });

  test("finds them for require, import.meta.resolve and local modules of every kind", async () => {
    write("typed.ts", "import { tf } from 'moe-lab'\nexport const one: tf.Scalar = tf.scalar(1)");
    write("plain.mjs", "import * as core from '@tensorflow/tfjs-core'\nexport { core }");
    write("common.cts", "const core = require('@tensorflow/tfjs-core')\nmodule.exports = { core }");
    write("common.cjs", "exports.core = require('@tensorflow/tfjs-core')");
    const report = await run("import { one } from './typed'\nconst { core: plain } = await import('./plain.mjs' as string);\n"
      + "[one instanceof tf.Tensor, plain.Tensor === tf.Tensor, require('./common.cts').core.Tensor === tf.Tensor, require('./common.cjs').core.Tensor === tf.Tensor, "
      + "require('@tensorflow/tfjs-core').Tensor === tf.Tensor, import.meta.resolve('moe-lab').endsWith('/lib/node_modules/moe-lab/dist/toolkit/index.js')]");
    expect(report.result).toBe("[ true, true, true, true, true, true ]");
    expect((await runCell(client, "const text: string = one")).reply.evalue).toMatch(/^TS2322:/);
  });

  test("finds nothing else of that place", async () => {
    mkdirSync(join(packageFolder, "..", "neighbour"));
    writeFileSync(join(packageFolder, "..", "neighbour", "index.js"), "");
    expect((await runCell(client, "import 'neighbour'")).reply.evalue).toMatch(/^(TS2307|TS2882): .*'neighbour'/);
    expect((await runCell(client, "await import('neighbour')")).reply).toMatchObject({ status: "error", evalue: expect.stringContaining("Cannot find package 'neighbour'") as string });
    expect((await runCell(client, "require('neighbour')")).reply.evalue).toMatch(/^Cannot find module 'neighbour'/);
  });

  test("leaves a package to the notebook's folder once it is installed there, even if it is broken", async () => {
    expect((await run("import { parse } from 'yaml'\nparse('a: 1').a")).result).toBe("1");
    write("node_modules/yaml/package.json", JSON.stringify({ name: "yaml", main: "index.js", types: "index.d.ts" }));
    write("node_modules/yaml/index.js", "exports.parse = () => 'own'");
    write("node_modules/yaml/index.d.ts", "export function parse(text: string): 'own'");
    expect((await run("import { parse } from 'yaml'\nconst kind: 'own' = parse('a: 1')\nkind")).result).toBe("'own'");
    expect((await run("require('yaml').parse()")).result).toBe("'own'");
    write("node_modules/zod/package.json", JSON.stringify({ name: "zod", main: "gone.js" }));
    expect((await runCell(client, "import { z } from 'zod'")).reply.evalue).toMatch(/^TS2307:/);
    expect((await runCell(client, "await import('zod')")).reply).toMatchObject({ status: "error", ename: "Error", evalue: expect.stringContaining("zod") as string });
  });
});
