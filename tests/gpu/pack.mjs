// Packs what a machine with a GPU needs to build and test the addon there: node tests/gpu/pack.mjs [FOLDER]
// (default build/gpu). That machine needs a C++ compiler and nvcc, no Node.js, no network: copy the folder there and
// run FOLDER/run.sh. The folder stays below 60 MiB.
import { execFileSync } from "node:child_process";
import { cpSync, mkdirSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { createRequire } from "node:module";
import { build } from "esbuild";

const MOST_BYTES = 60 * 2 ** 20;
const root = resolve(import.meta.dirname, "..", "..");
const folder = resolve(process.argv[2] ?? join(root, "build", "gpu"));
rmSync(folder, { recursive: true, force: true });
mkdirSync(folder, { recursive: true });

execFileSync("bash", ["-c", 'set -o pipefail; xz -6 -T2 -c "$1" > "$2"', "pack", process.execPath, join(folder, "node.xz")]);
const headers = dirname(createRequire(import.meta.url).resolve("node-api-headers/package.json"));
for (const part of ["package.json", "index.js", "symbols.js", "include"]) cpSync(join(headers, part), join(folder, "node_modules/node-api-headers", part), { recursive: true });
cpSync(join(root, "toolkit/native"), join(folder, "toolkit/native"), { recursive: true });
cpSync(join(root, "tests/native/cudaEmulator"), join(folder, "tests/native/cudaEmulator"), { recursive: true });
for (const file of ["run.sh", "kernelsTorch.py", "summary.mjs"]) cpSync(join(import.meta.dirname, file), join(folder, file));
writeFileSync(join(folder, "package.json"), JSON.stringify({ name: "moe-lab-gpu-check", type: "module" }));

/** One file without packages; tests run on the small runner beside this file. */
async function bundle(source, name) {
  await build({
    entryPoints: [join(root, source)], outfile: join(folder, "tests", "native", name), bundle: true, platform: "node", format: "esm", logLevel: "error",
    alias: { vitest: join(import.meta.dirname, "vitestOnNode.ts") }, external: ["esbuild"],
    banner: { js: 'import { createRequire as moeCreateRequire } from "node:module"; const require = moeCreateRequire(import.meta.url);' },
  });
}
await bundle("tests/native/cudaRuntime.test.ts", "runtime.mjs");
await bundle("tests/native/cudaKernels.test.ts", "kernels.mjs");
await bundle("tests/gpu/kernelsBench.ts", "bench.mjs");

const bytes = readdirSync(folder, { recursive: true }).map((name) => statSync(join(folder, name))).filter((one) => one.isFile()).reduce((sum, { size }) => sum + size, 0);
console.log(`${folder}: ${(bytes / 2 ** 20).toFixed(1)} MiB`);
if (bytes > MOST_BYTES) throw new Error(`more than ${MOST_BYTES / 2 ** 20} MiB`);
