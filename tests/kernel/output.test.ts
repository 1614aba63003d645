import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { KernelClient } from "../../kernel/client/kernelClient.ts";
import { runCell, startKernel, temporaryFolder } from "./kernelHarness.ts";
import type { CellReport } from "./kernelHarness.ts";

let client: KernelClient;
const run = (code: string): Promise<CellReport> => runCell(client, code);
beforeAll(async () => { client = await startKernel(temporaryFolder()); });
afterAll(async () => { await client.shutdown(); });

/** Streams and displays in the order they came, neighbours of one stream joined. */
function shown(report: CellReport): string[] {
  const parts: { name: string; text: string }[] = [];
  for (const { header, content } of report.messages) {
    if (header.msg_type === "display_data") parts.push({ name: "display", text: String((content.data as Record<string, unknown>)["text/plain"]) });
    if (header.msg_type !== "stream") continue;
    const last = parts.at(-1);
    if (last !== undefined && last.name === content.name) last.text += String(content.text);
    else parts.push({ name: String(content.name), text: String(content.text) });
  }
  return parts.map(({ name, text }) => `${name}: ${text}`);
}

describe("output", () => {
  test("100,000 lines over stdout, stderr and displays arrive complete and in order", async () => {
    const report = await run("for (let i = 0; i < 100_000; i++) { if (i % 10_000 === 5000) display(i); else if (i % 1000 === 0) console.error(i); else console.log(i) }");
    const numbers = shown(report).flatMap((part) => part.split(": ")[1].trimEnd().split("\n")).map(Number);
    expect(numbers.length).toBe(100_000);
    expect(numbers.findIndex((number, i) => number !== i)).toBe(-1);
    expect(shown(report).filter((part) => part.startsWith("display")).length).toBe(10);
  });

  test("a line of 10 million characters arrives whole", async () => {
    const { stdout } = await run("console.log('é'.repeat(10_000_000))");
    expect(stdout === `${"é".repeat(10_000_000)}\n`).toBe(true);
  });

  test("bytes and encoded strings are decoded, also where a character is split", async () => {
    const { stdout } = await run(`process.stdout.write(new Uint8Array([0xe2, 0x82])); process.stdout.write(new Uint8Array([0xac]));
      process.stdout.write("4142", "hex"); process.stdout.write("Qw==", "base64"); process.stdout.write(Buffer.from([0xff]));
      await new Promise<void>((done) => { process.stdout.write("d", "utf8", () => done()) })`);
    expect(stdout).toBe("€ABC\ufffdd");
  });

  test("streams can be piped to stdout, and ending it loses nothing of this cell or of later ones", async () => {
    const { stdout } = await run(`import { Readable } from "node:stream"; import { pipeline } from "node:stream/promises";
      await pipeline(Readable.from(["piped ", "text\\n"]), process.stdout);
      await new Promise<void>((done) => { process.stdout.end("last\\n", () => done()) }); console.log("after")`);
    expect(stdout).toBe("piped text\nlast\nafter\n");
    expect((await run("console.log('next')")).stdout).toBe("next\n");
  });

  test("every method of console writes to the stream that Node.js documents for it", async () => {
    // Source: nodejs.org/api/console.html
    const out = await run(`console.log("log %d", 1); console.info("info"); console.debug("debug"); console.dir({ a: { b: { c: 1 } } }, { depth: 0 });
      console.group("group"); console.log("inside"); console.groupEnd(); console.count(); console.count("named"); console.table([{ a: 1 }]);
      console.time("timer"); console.timeLog("timer"); console.timeEnd("timer"); console.dirxml("xml")`);
    expect(out.stderr).toBe("");
    expect(out.stdout.replace(/timer: .*/g, "timer: T")).toBe([
      "log 1", "info", "debug", "{ a: [Object] }", "group", "  inside", "default: 1", "named: 1",
      "┌─────────┬───┐", "│ (index) │ a │", "├─────────┼───┤", "│ 0       │ 1 │", "└─────────┴───┘", "timer: T", "timer: T", "xml", "",
    ].join("\n"));
    const error = await run("console.error('error'); console.warn('warn'); console.assert(false, 'asserted'); console.trace('traced')");
    expect(error.stdout).toBe("");
    expect(error.stderr).toMatch(/^error\nwarn\nAssertion failed: asserted\nTrace: traced\n {4}at cell-\d+\.ts:1:\d+\n$/);
  });
});

describe("child processes", () => {
  test("that inherit stdout and stderr write into the cell that started them", async () => {
    await run("import { execFileSync, execSync, spawn, spawnSync } from 'node:child_process'");
    const asynchronous = await run(`const child = spawn("sh", ["-c", "printf 'one \\\\303'; sleep 0.1; printf '\\\\251\\\\n'; echo two >&2"], { stdio: "inherit" });
      await new Promise((done) => child.on("close", done)); [child.stdout, child.exitCode]`);
    expect([asynchronous.stdout, asynchronous.stderr, asynchronous.result]).toEqual(["one é\n", "two\n", "[ null, 0 ]"]);
    const synchronous = await run(`const done = spawnSync("sh", ["-c", "echo three; echo four >&2; exit 3"], { stdio: ["ignore", "inherit", "inherit"] });
      console.log(execSync("echo five; echo six >&2", { stdio: "inherit" }), execFileSync("echo", ["seven"], { stdio: "inherit" })); [done.status, done.stdout, done.output]`);
    expect([synchronous.stdout, synchronous.stderr, synchronous.result])
      .toEqual(["three\nfive\nseven\nnull null\n", "four\nsix\n", "[ 3, null, [ null, null, null ] ]"]);
  });

  test("that fail say so as Node.js does", async () => {
    const report = await run(`try { execSync("echo before; exit 2", { stdio: "inherit" }) } catch (error: any) { console.log(error.status) }
      await new Promise<void>((done) => { spawn("no-such-program", [], { stdio: "inherit" }).on("error", (error: any) => { console.log(error.code); done() }) })`);
    expect(report.stdout).toBe("before\n2\nENOENT\n");
  });

  test("with pipes of their own give their output to the program, as before", async () => {
    const report = await run("[execSync('echo piped', { encoding: 'utf8' }), spawnSync('echo', ['piped']).stdout.toString()]");
    expect([report.stdout, report.result]).toEqual(["", "[ 'piped\\n', 'piped\\n' ]"]);
  });
});
