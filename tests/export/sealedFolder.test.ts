import { existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { spawnSync } from "node:child_process";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { readSealedFolder, writeFileWhole, writeSealedFolder } from "../../toolkit/export/sealedFolder.ts";

let home: string;
beforeEach(() => { home = mkdtempSync(join(tmpdir(), "moe-lab-sealed-")); });
afterEach(() => { rmSync(home, { recursive: true, force: true }); });

const files = new Map<string, string | Uint8Array>([["a.txt", "hello"], ["b.bin", Uint8Array.of(1, 2, 3)]]);
const write = (path: string, content = files) => { writeSealedFolder(path, "seal.json", { format: 1 }, content); };
const codeOf = (action: () => unknown): unknown => { try { action(); } catch (error) { return (error as { code: string }).code; } return undefined; };

describe("a sealed folder", () => {
  test("is read back with its manifest and files", () => {
    const path = join(home, "one");
    write(path);
    const folder = readSealedFolder(path, "seal.json");
    expect(folder.manifest.format).toBe(1);
    expect(folder.files.get("a.txt")?.toString()).toBe("hello");
    // SHA-256 of "hello", a known value
    expect(folder.manifest.sha256).toMatchObject({ "a.txt": "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824" });
  });

  test("replaces an earlier one of its kind and leaves nothing else behind", () => {
    const path = join(home, "one");
    write(path);
    write(path, new Map([["a.txt", "new"]]));
    expect(readdirSync(path).sort()).toEqual(["a.txt", "seal.json"]);
    expect(readdirSync(home)).toEqual(["one"]);
  });

  test("never replaces a folder that holds something else", () => {
    const path = join(home, "mine");
    mkdirSync(path);
    writeFileSync(join(path, "thesis.txt"), "years of work");
    expect(codeOf(() => { write(path); })).toBe("E_FOLDER_NOT_OURS");
    expect(readFileSync(join(path, "thesis.txt"), "utf8")).toBe("years of work");
  });

  test.each<[string, (path: string) => void]>([
    ["a file cut short", (path) => { truncateSync(join(path, "b.bin"), 2); }],
    ["a changed byte", (path) => { writeFileSync(join(path, "a.txt"), "hellO"); }],
    ["a missing file", (path) => { rmSync(join(path, "a.txt")); }],
    ["a missing manifest", (path) => { rmSync(join(path, "seal.json")); }],
    ["a manifest cut short", (path) => { truncateSync(join(path, "seal.json"), 10); }],
    ["a manifest that points outside", (path) => { writeFileSync(join(path, "seal.json"), '{"sha256":{"../../etc/passwd":"00"}}'); }],
  ])("with %s is refused", (_, damage) => {
    const path = join(home, "one");
    write(path);
    damage(path);
    expect(codeOf(() => readSealedFolder(path, "seal.json"))).toBe("E_FOLDER_CORRUPT");
  });
});

describe("a full disk while saving", () => {
  test("gives E_WRITE_FAILED and leaves the earlier folder and file as they were", () => {
    const path = join(home, "one");
    write(path);
    writeFileWhole(join(home, "plain.txt"), "before");
    const script = join(home, "fill.mjs");
    writeFileSync(script, `
      import { writeFileWhole, writeSealedFolder } from ${JSON.stringify(join(import.meta.dirname, "../../dist/toolkit/export/sealedFolder.js"))};
      const big = new Uint8Array(4_000_000), codes = [];
      for (const action of [() => writeSealedFolder(${JSON.stringify(path)}, "seal.json", {}, new Map([["a.txt", big]])), () => writeFileWhole(${JSON.stringify(join(home, "plain.txt"))}, big)]) {
        try { action(); codes.push("written"); } catch (error) { codes.push(error.code); }
      }
      process.stdout.write(codes.join(" "));`);
    // A file-size limit of 1 MB fails a write half way, as a full disk does.
    const child = spawnSync("bash", ["-c", `trap '' XFSZ; ulimit -f 1000; exec ${JSON.stringify(process.execPath)} ${JSON.stringify(script)}`], { encoding: "utf8" });
    expect(child.stdout).toBe("E_WRITE_FAILED E_WRITE_FAILED");
    expect(readSealedFolder(path, "seal.json").files.get("a.txt")?.toString()).toBe("hello");
    expect(readFileSync(join(home, "plain.txt"), "utf8")).toBe("before");
    expect(readdirSync(home).sort()).toEqual(["fill.mjs", "one", "plain.txt"]);
    expect(existsSync(path)).toBe(true);
  });
});
