import { mkdirSync, mkdtempSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { expect, test } from "vitest";

const { BUILD_INFO, stateOfDist } = await import(new URL("../../toolkit/cli/compiledSources.mjs", import.meta.url).href) as { BUILD_INFO: string; stateOfDist: (root: string) => string };

/** A project whose dist/ was made after its sources. */
function project(): { readonly root: string; readonly write: (path: string, secondsAgo: number) => void } {
  const root = mkdtempSync(join(tmpdir(), "moe lab dist "));
  const write = (path: string, secondsAgo: number): void => {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), "");
    const time = new Date(Date.now() - 1000 * secondsAgo);
    utimesSync(join(root, path), time, time);
  };
  for (const path of ["kernel/main.ts", "toolkit/cli/main.ts", "serve/main.ts", "datasets/a/index.ts", "datasets/a/CARD.md", "tsconfig.json", "tsconfig.build.json"]) write(path, 20);
  for (const path of ["kernel/main", "toolkit/cli/main", "serve/main", "datasets/a/index"]) for (const extension of ["js", "d.ts"]) write(`dist/${path}.${extension}`, 10);
  write(BUILD_INFO, 10);
  return { root, write };
}

test("dist/ is current when every source was compiled after it changed", () => {
  expect(stateOfDist(project().root)).toBe("current");
});

test.each(["dist", "dist/kernel", "dist/toolkit/cli/main.js", "dist/datasets/a/index.d.ts"])("dist/ is incomplete when %s was deleted by hand", (path) => {
  const { root } = project();
  rmSync(join(root, path), { recursive: true });
  expect(stateOfDist(root)).toBe("incomplete");
});

test("a new source makes it incomplete, a changed one or a changed setting outdated, as do missing notes of the compiler", () => {
  const { root, write } = project();
  write("kernel/main.ts", 0);
  expect(stateOfDist(root)).toBe("outdated");
  write("kernel/main.ts", 20);
  write("tsconfig.build.json", 0);
  expect(stateOfDist(root)).toBe("outdated");
  write("tsconfig.build.json", 20);
  write("datasets/a/CARD.md", 0);
  expect(stateOfDist(root)).toBe("current");
  rmSync(join(root, BUILD_INFO));
  expect(stateOfDist(root)).toBe("outdated");
  write("serve/new.ts", 20);
  expect(stateOfDist(root)).toBe("incomplete");
});
