// npm run bench -- NAME [NAME …]: runs benchmarks of this folder. Each prints one JSON object a line.
import { spawnSync } from "node:child_process";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { build } from "esbuild";

const folder = import.meta.dirname;
const known = readdirSync(folder).filter((name) => name.endsWith(".ts") && name !== "report.ts").map((name) => name.slice(0, -3));
const names = process.argv.slice(2).filter((argument) => !argument.startsWith("--"));
const unknown = names.filter((name) => !known.includes(name));
if (names.length === 0 || unknown.length > 0) {
  console.error(`usage: npm run bench -- NAME …\nbenchmarks: ${known.join(", ")}${unknown.length > 0 ? `\nunknown: ${unknown.join(", ")}` : ""}`);
  process.exit(2);
}
for (const name of names) {
  const outfile = join(folder, "..", "..", "build", "bench", `${name}.mjs`);
  await build({ entryPoints: [join(folder, `${name}.ts`)], bundle: true, packages: "external", platform: "node", format: "esm", outfile, logLevel: "error" });
  const { status } = spawnSync(process.execPath, [outfile], { stdio: "inherit" });
  if (status !== 0) process.exit(status ?? 1);
}
