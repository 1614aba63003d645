import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { KernelClient } from "../../kernel/client/kernelClient.ts";
import { runCell, startKernel, temporaryFolder } from "./kernelHarness.ts";

let client: KernelClient;

beforeAll(async () => { client = await startKernel(temporaryFolder()); });
afterAll(() => client.shutdown());

const run = (code: string): ReturnType<typeof runCell> => runCell(client, code);

describe("results that are hard to show", () => {
  // Longest text of a front end's output, and what the cell itself may add.
  const MOST = 101_000;

  test.each([
    ["an array of ten million entries", "new Array(10_000_000).fill(1)", /9999900 more items/],
    ["a string of 100 million characters", "'x'.repeat(100_000_000)", /99990000 more characters/],
    ["an object of 50,000 properties", "Object.fromEntries(Array.from({ length: 50_000 }, (_, i) => [`k${i}`, i]))", /k999: 999,\n {2}\.\.\. 49000 more properties\n\}$/],
    ["large values within a value", "Array.from({ length: 100 }, () => Array.from({ length: 100 }, () => 'x'.repeat(1000)))", /… \d+ more characters$/],
    ["a circle", "const circle: any = { a: 1 }; circle.self = circle; circle", /\[Circular \*1\]/],
    ["a deep value", "let deep: any = {}; for (let i = 0; i < 100_000; i++) deep = { deep }; deep", /\[Object\]/],
    ["a getter that throws", "({ get a() { throw new Error('getter') }, b: 1 })", /a: \[Getter\], b: 1/],
    ["an inspection that throws", "({ [Symbol.for('nodejs.util.inspect.custom')]() { throw new Error('no text') } })", /showing this value threw Error: no text/],
    ["a tag that throws", "({ get [Symbol.toStringTag]() { throw new Error('no tag') } })", /showing this value threw Error: no tag/],
    ["a proxy all of whose traps throw", "new Proxy({ inside: 1 }, new Proxy({}, { get: () => () => { throw new Error('trap') } }))", /inside: 1/],
    ["a revoked proxy", "const revocable = Proxy.revocable({}, {}); revocable.revoke(); revocable.proxy", /Revoked Proxy/],
  ])("%s", async (_name, code, shown) => {
    const report = await run(code);
    expect(report.reply.evalue).toBeUndefined();
    expect(report.result).toMatch(shown);
    expect(report.result?.length).toBeLessThan(MOST);
  });
});

describe("thrown values that are hard to report", () => {
  test.each([
    ["undefined", "throw undefined", { ename: "undefined", evalue: "undefined" }],
    ["null", "throw null", { ename: "null", evalue: "null" }],
    ["NaN", "throw NaN", { ename: "number", evalue: "NaN" }],
    ["a bigint", "throw 10n", { ename: "bigint", evalue: "10n" }],
    ["a symbol", "throw Symbol('s')", { ename: "symbol", evalue: "Symbol(s)" }],
    ["an object without prototype", "throw Object.create(null)", { ename: "object", evalue: "[Object: null prototype] {}" }],
    ["an error whose message is an object", "throw Object.assign(new Error(), { message: { a: 1 }, name: 5 })", { ename: "Error", evalue: "{ a: 1 }" }],
    ["an error whose properties throw", "throw Object.defineProperties(new Error('x'), { message: { get() { throw 1 } }, stack: { get() { throw 2 } }, name: { get() { throw 3 } } })", { ename: "Error" }],
    ["a proxy all of whose traps throw", "throw new Proxy(new Error('x'), new Proxy({}, { get: () => () => { throw new Error('trap') } }))", { ename: "object" }],
  ])("%s", async (_name, code, reply) => {
    expect((await run(code)).reply).toMatchObject({ status: "error", ...reply });
    expect((await run("6 * 7")).result).toBe("42");
  });

  test("the same of a forgotten promise or a timer does not end the kernel", async () => {
    const evil = "new Proxy(new Error('x'), new Proxy({}, { get: () => () => { throw new Error('trap') } }))";
    const report = await run(`Promise.reject(${evil}); Promise.reject({ [Symbol.for('nodejs.util.inspect.custom')]() { throw 1 } }); setTimeout(() => { throw ${evil} }, 1); await new Promise((done) => { setTimeout(done, 30) })`);
    expect(report.reply.evalue).toBeUndefined();
    expect(report.stderr).toMatch(/Unhandled rejection[^]*showing this value threw 1/);
    expect((await run("6 * 7")).result).toBe("42");
  });

  test("a message of five million characters is cut", async () => {
    const { reply } = await run("throw new Error('m'.repeat(5_000_000))");
    expect(reply.evalue).toMatch(/^m{10000}… 4990000 more characters$/);
    expect((reply.traceback as string[]).join("").length).toBeLessThan(100_000);
  });
});

describe("cells that change the language itself", () => {
  // Each is undone by the kernel or the next cell, and the kernel answers after each.
  test.each([
    ["Object.prototype gets properties", "(Object.prototype as any).evil = 'e'; Object.defineProperty(Object.prototype, 'data', { get() { throw new Error('g') }, configurable: true })", "delete (Object.prototype as any).evil; delete (Object.prototype as any).data"],
    ["globals are overwritten", "Object.assign(globalThis, { JSON: 1, Promise: 2, Object: 3, Array: 4, Map: 5, Set: 6, Error: 7, Reflect: 8, console: 9 })", "%reset"],
    ["a global getter throws", "Object.defineProperty(globalThis, 'badGlobal', { get() { throw new Error('bg') }, configurable: true, enumerable: true })", "delete (globalThis as any).badGlobal"],
    ["stack traces are prepared by a function that throws", "Error.prepareStackTrace = () => { throw new Error('pst') }", "Error.prepareStackTrace = undefined"],
    ["there are no stack traces", "Error.stackTraceLimit = 0", "Error.stackTraceLimit = 50"],
    ["prototypes are frozen", "for (const type of [Object, Array, Function, Error, Promise]) Object.freeze(type.prototype)", "1"],
  ])("%s", async (_name, damage, repair) => {
    expect((await run(damage)).reply.evalue).toBeUndefined();
    expect((await run("const six = 6; [six * 7, { a: [1] }]")).result).toBe("[ 42, { a: [ 1 ] } ]");
    expect((await run("throw 'still reported'")).reply.evalue).toBe("'still reported'");
    expect((await run("null!.x")).reply).toMatchObject({ status: "error" });
    expect((await run(repair)).reply.evalue).toBeUndefined();
    expect((await run("try { throw new TypeError('whole again') } catch (e) { (e as Error).message }; [JSON.stringify([1]), await Promise.all([2]), new Map().size]")).result).toBe("[ '[1]', [ 2 ], 0 ]");
  });
});
