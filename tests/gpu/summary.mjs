// node summary.mjs FOLDER: a table of the *.jsonl files that run.sh left there.
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";

for (const file of ["bench.jsonl", "torch.jsonl"].map((name) => join(process.argv[2], name)).filter(existsSync)) {
  for (const line of readFileSync(file, "utf8").split("\n").filter((text) => text.startsWith("{"))) {
    const { bench, case: name, value, unit, spread, failure } = JSON.parse(line);
    console.log(`${bench.padEnd(16)} ${name.padEnd(84)} ${failure ?? `${String(value).padStart(8)} ± ${spread} ${unit}`}`);
  }
}
