import { readdirSync, readFileSync, statSync } from "node:fs";
import { dirname, join, normalize, relative, sep } from "node:path";
import { describe, expect, test } from "vitest";

const root = join(import.meta.dirname, "..", "..");

/** What each folder may import beside itself; docs/architecture.md says why. */
const mayImport: Record<string, readonly string[]> = {
  "toolkit/errors.ts": [],
  "toolkit/random.ts": ["toolkit/errors.ts"],
  "toolkit/environment.ts": ["toolkit/errors.ts"],
  "toolkit/backend": ["toolkit/errors.ts", "toolkit/environment.ts"],
  "toolkit/ops": ["toolkit/backend", "toolkit/errors.ts"],
  "toolkit/nn": ["toolkit/ops", "toolkit/backend", "toolkit/errors.ts", "toolkit/random.ts"],
  "toolkit/moe": ["toolkit/nn", "toolkit/ops", "toolkit/backend", "toolkit/errors.ts", "toolkit/random.ts"],
  "toolkit/models": ["toolkit/moe", "toolkit/nn", "toolkit/ops", "toolkit/backend", "toolkit/errors.ts", "toolkit/random.ts"],
  "toolkit/surgery": ["toolkit/models", "toolkit/moe", "toolkit/nn", "toolkit/ops", "toolkit/backend", "toolkit/errors.ts", "toolkit/random.ts"],
  "toolkit/tokenizer": ["toolkit/errors.ts"],
  "toolkit/data": ["toolkit/errors.ts", "toolkit/random.ts"],
  "toolkit/plot": [],
  "toolkit/export": ["toolkit/models", "toolkit/tokenizer", "toolkit/moe", "toolkit/nn", "toolkit/ops", "toolkit/backend", "toolkit/errors.ts"],
  "toolkit/generate": ["toolkit/models", "toolkit/tokenizer", "toolkit/moe", "toolkit/nn", "toolkit/ops", "toolkit/backend", "toolkit/errors.ts", "toolkit/random.ts"],
  "toolkit/train": ["toolkit/export", "toolkit/data", "toolkit/plot", "toolkit/models", "toolkit/tokenizer", "toolkit/moe", "toolkit/nn", "toolkit/ops", "toolkit/backend", "toolkit/errors.ts", "toolkit/random.ts"],
  "toolkit/analysis": ["toolkit/plot", "toolkit/data", "toolkit/models", "toolkit/tokenizer", "toolkit/moe", "toolkit/ops", "toolkit/backend", "toolkit/errors.ts"],
  "serve": ["toolkit/models", "toolkit/tokenizer", "toolkit/generate", "toolkit/export", "toolkit/backend", "toolkit/errors.ts", "toolkit/random.ts"],
  "kernel": [],
  "datasets": ["toolkit/data", "toolkit/random.ts", "toolkit/errors.ts"],
};
/** The edges: they may import everything but tests, notebooks and deployment. */
const edges = ["toolkit/cli", "toolkit/index.ts"];

function sources(folder: string): string[] {
  return readdirSync(join(root, folder), { recursive: true, encoding: "utf8" })
    .map((name) => join(folder, name))
    .filter((path) => path.endsWith(".ts") && statSync(join(root, path)).isFile());
}

function areaOf(path: string): string {
  const parts = path.split(sep);
  return parts[0] === "toolkit" ? parts.slice(0, 2).join("/") : parts[0];
}

function importsOf(path: string): string[] {
  const text = readFileSync(join(root, path), "utf8");
  return [...text.matchAll(/(?:from|import|import\()\s*"(\.[^"]+)"/g)].map((match) => relative(root, normalize(join(root, dirname(path), match[1]))));
}

const files = ["toolkit", "kernel", "serve", "datasets"].flatMap(sources);

describe("who imports whom", () => {
  test("every source folder has a rule", () => {
    const areas = new Set(files.map(areaOf));
    expect([...areas].filter((area) => !(area in mayImport) && !edges.includes(area))).toEqual([]);
  });

  test("each file imports only what its folder may import", () => {
    const wrong = files.flatMap((path) => {
      const area = areaOf(path);
      return importsOf(path).filter((target) => {
        const targetArea = areaOf(target);
        if (targetArea === area) return false;
        if (edges.includes(area)) return ["tests", "notebooks", "deployment"].includes(targetArea);
        return !mayImport[area]?.includes(targetArea);
      }).map((target) => `${path} imports ${target}`);
    });
    expect(wrong).toEqual([]);
  });

  test("only toolkit/backend/binding.ts loads the native addon", () => {
    expect(files.filter((path) => /\.node["'`]/.test(readFileSync(join(root, path), "utf8")))).toEqual([join("toolkit", "backend", "binding.ts")]);
  });

  test("only the edges read the environment", () => {
    // kernelProcess.ts hands it on to the kernel that it starts.
    const allowed = [/^kernel\/client\/kernelProcess\.ts$/, /^toolkit\/environment\.ts$/, /^toolkit\/cli\//, /^kernel\/main\.ts$/, /^serve\/config\.ts$/];
    expect(files.filter((path) => /process\.env/.test(readFileSync(join(root, path), "utf8")) && !allowed.some((pattern) => pattern.test(path)))).toEqual([]);
  });
});

describe("names of files and folders", () => {
  test("there are no drawers", () => {
    expect(files.filter((path) => /(utils?|helpers?|misc|common|manager|handler|enhanced)(\/|\.ts|s\.ts)/i.test(path) || /V\d\.ts$/.test(path))).toEqual([]);
  });
});
