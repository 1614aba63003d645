// npm run study -- NAME [--seeds N] [--steps N]: trains the variants of a study one after the other and compares them.
// Prints a line a run and then tables; every evaluation goes to build/studies/NAME.jsonl, from which the tables can be made again.
// docs/results.md holds what came out.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { build } from "esbuild";

const folder = import.meta.dirname, outputFolder = join(folder, "..", "..", "build", "studies");
const known = readdirSync(folder).filter((name) => name.endsWith(".ts") && name !== "study.ts").map((name) => name.slice(0, -3));
const { positionals: [name, ...others], values: options } = parseArgs({
  allowPositionals: true, options: { seeds: { type: "string" }, steps: { type: "string" } },
});
if (!known.includes(name) || others.length > 0) {
  console.error(`usage: npm run study -- NAME [--seeds N] [--steps N]\nstudies: ${known.join(", ")}`);
  process.exit(2);
}
const outfile = join(outputFolder, `${name}.mjs`);
mkdirSync(outputFolder, { recursive: true });
await build({ entryPoints: [join(folder, `${name}.ts`)], bundle: true, packages: "external", external: ["#tfjs-gradients"], platform: "node", format: "esm", outfile, logLevel: "error" });
const settings = { seeds: options.seeds && Number(options.seeds), steps: options.steps && Number(options.steps), recordsPath: join(outputFolder, `${name}.jsonl`) };
const [status] = await once(spawn(process.execPath, [outfile, JSON.stringify(settings)], { stdio: "inherit" }), "exit");
process.exit(status ?? 1);
