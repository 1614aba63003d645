import { execFile } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { build } from "esbuild";
import { expect, test } from "vitest";

const root = join(import.meta.dirname, "..", "..");
const sources: Readonly<Record<string, string>> = { "moe-lab": "toolkit/index.ts", "moe-lab/datasets": "datasets/index.ts", "moe-lab/plot": "toolkit/plot/index.ts" };

/** The TypeScript of a page, its blocks one after the other. */
function codeOf(page: string): string {
  return [...readFileSync(page, "utf8").matchAll(/^```ts\n([^]*?)^```$/gm)].map(([, code]) => code).join("\n");
}

test.each(["models", "data"])("the code of the guide %s runs as it stands", async (guide) => {
  const folder = join(root, "build", "guides");
  mkdirSync(folder, { recursive: true });
  const outfile = join(folder, `${guide}.mjs`);
  await build({
    stdin: { contents: codeOf(join(root, "docs", "guides", `${guide}.md`)), loader: "ts", resolveDir: root, sourcefile: `${guide}.md` },
    outfile, bundle: true, format: "esm", platform: "node", packages: "external", external: ["#tfjs-gradients"], logLevel: "error",
    alias: Object.fromEntries(Object.entries(sources).map(([name, path]) => [name, join(root, path)])),
  });
  const workingFolder = mkdtempSync(join(folder, "run-"));
  try {
    const { stdout } = await promisify(execFile)(process.execPath, [outfile], { cwd: workingFolder });
    expect(stdout).not.toBe("");
  } finally {
    rmSync(workingFolder, { recursive: true });
  }
}, 120_000);
