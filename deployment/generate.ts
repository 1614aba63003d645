// Writes deployment/files/ anew. npm run generate:deployment
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { deploymentFiles } from "./files.ts";

const target = join(process.cwd(), "deployment", "files");
rmSync(target, { recursive: true, force: true });
for (const [path, content] of deploymentFiles()) {
  mkdirSync(dirname(join(target, path)), { recursive: true });
  writeFileSync(join(target, path), content);
}
