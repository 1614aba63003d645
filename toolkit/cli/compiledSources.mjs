// Whether dist/ is what the sources say. Plain JavaScript, because setup.mjs asks before anything is compiled.
import { existsSync, readdirSync, statSync } from "node:fs";
import { join } from "node:path";

/** Folders that tsconfig.build.json compiles. */
const FOLDERS = ["kernel", "toolkit", "serve", "datasets"];
/** Where tsc notes what it has compiled; it looks at nothing else. */
export const BUILD_INFO = join("build", "dist.tsbuildinfo");

/** @param {string} root the project's folder
 *  @returns {"current" | "outdated" | "incomplete"} "incomplete" when a compiled file is not there, whatever tsc's notes say */
export function stateOfDist(root) {
  const sources = FOLDERS.flatMap((folder) => readdirSync(join(root, folder), { recursive: true, encoding: "utf8" }).map((name) => join(folder, name)))
    .filter((path) => path.endsWith(".ts"));
  const compiled = [".js", ".d.ts"].flatMap((extension) => sources.map((path) => join(root, "dist", path.replace(/\.ts$/, extension))));
  if (!compiled.every((path) => existsSync(path))) return "incomplete";
  const notes = statSync(join(root, BUILD_INFO), { throwIfNoEntry: false });
  const isNewer = (path) => statSync(join(root, path)).mtimeMs > (notes?.mtimeMs ?? 0);
  return [...sources, "tsconfig.json", "tsconfig.build.json"].some(isNewer) ? "outdated" : "current";
}
