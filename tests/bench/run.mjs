// npm run bench -- NAME [NAME …] [--case TEXT] [--json]: runs benchmarks of this folder, of them only the cases that hold TEXT.
// Prints a table, or with --json one JSON object a line: {bench, case, value, unit, runs, spread, …}, as report.ts has them.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { parseArgs } from "node:util";
import { build } from "esbuild";
import { buildBandwidth } from "./ops/buildBandwidth.mjs";

const folder = import.meta.dirname, outputFolder = join(folder, "..", "..", "build", "bench");
const known = readdirSync(folder).filter((name) => name.endsWith(".ts") && name !== "report.ts").map((name) => name.slice(0, -3));
const { positionals: names, values: options } = parseArgs({
  allowPositionals: true, options: { json: { type: "boolean", default: false }, case: { type: "string", default: "" } },
});
const unknown = names.filter((name) => !known.includes(name));
if (names.length === 0 || unknown.length > 0) {
  console.error(`usage: npm run bench -- NAME … [--case TEXT] [--json]\nbenchmarks: ${known.join(", ")}${unknown.length > 0 ? `\nunknown: ${unknown.join(", ")}` : ""}`);
  process.exit(2);
}

/** A line of the table; `ratio`, where there is one, says how the figure compares with another of the same rounds. */
function asText({ case: name, value, unit, spread, runs, bench, ratio, ratioSpread, to, toValue, bar, atMost, ...others }) {
  const figure = `${name.padEnd(76)} ${String(value).padStart(9)} ${unit.padEnd(9)}${runs > 1 ? `± ${spread}`.padEnd(11) : ""}`;
  const comparison = ratio === undefined ? "" : `${`${ratio} ± ${ratioSpread}`.padEnd(16)} of ${to}, ${toValue}`;
  const isReached = ratio === undefined ? value <= atMost : ratio >= bar;
  const verdict = bar ?? atMost ? `  (${bar === undefined ? `at most ${atMost}` : `at least ${bar}`}: ${isReached ? "reached" : "missed"})` : "";
  const rest = Object.entries(others).filter(([key]) => !key.startsWith("peer")).map(([key, other]) => ` ${other} ${key}`).join("");
  return `${figure}${comparison}${rest}${verdict}`.trimEnd();
}

for (const name of names) {
  const outfile = join(outputFolder, `${name}.mjs`);
  await build({ entryPoints: [join(folder, `${name}.ts`)], bundle: true, packages: "external", platform: "node", format: "esm", outfile, logLevel: "error" });
  const bandwidthAddon = name === "ops" ? buildBandwidth(outputFolder) : undefined;
  const child = spawn(process.execPath, [outfile, JSON.stringify({ filter: options.case, bandwidthAddon })], { stdio: ["ignore", "pipe", "inherit"] });
  for await (const line of createInterface({ input: child.stdout })) console.log(options.json ? line : asText(JSON.parse(line)));
  const [status] = child.exitCode === null ? await once(child, "exit") : [child.exitCode];
  if (status !== 0) process.exit(status ?? 1);
}
