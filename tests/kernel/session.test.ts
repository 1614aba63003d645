import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { KernelClient } from "../../kernel/client/kernelClient.ts";
import type { Message } from "../../kernel/protocol/wire.ts";
import { contentsOf, pause, runCell, startKernel } from "./kernelHarness.ts";

let client: KernelClient;

beforeAll(async () => { client = await startKernel(); });
afterAll(() => client.shutdown());

const run: (code: string, options?: Parameters<typeof runCell>[2]) => ReturnType<typeof runCell> = (code, options) => runCell(client, code, options);

describe("output", () => {
  test("100,000 lines arrive complete, in order, in few messages", async () => {
    const report = await run("for (let i = 0; i < 100_000; i++) console.log(i)");
    expect(report.stdout).toBe(Array.from({ length: 100_000 }, (_, i) => `${i}\n`).join(""));
    expect(contentsOf(report, "stream").length).toBeLessThan(500);
  });

  test("stdout, stderr and displays keep their order", async () => {
    const report = await run("console.log('a'); console.error('b'); console.log('c'); display('d'); process.stdout.write('e'); undefined");
    expect(report.messages.slice(1).map(({ content }) => content.text ?? content.data)).toEqual(["a\n", "b\n", "c\n", { "text/plain": "'d'" }, "e"]);
  });

  test("a line is shown while its cell is still busy", async () => {
    const startedMs = performance.now();
    let seenMs = Infinity;
    await run("console.log('now'); const until = Date.now() + 1500; while (Date.now() < until);", {
      onMessage: ({ header }) => { if (header.msg_type === "stream") seenMs = performance.now() - startedMs; },
    });
    expect(seenMs).toBeLessThan(1200);
  });

  test("characters that are written in pieces are put together", async () => {
    expect((await run("const bytes = Buffer.from('é€😀'); for (const byte of bytes) process.stdout.write(Uint8Array.of(byte))")).stdout).toBe("é€😀");
  });

  test("output of a timer belongs to the cell that set it, also while another runs and after an await", async () => {
    const strays: Message[] = [];
    client.onStrayMessage = (message) => strays.push(message);
    const first = await run("setTimeout(async () => { console.log('late 1'); await null; console.log('late 2') }, 150); const wait = (ms: number) => new Promise((r) => setTimeout(r, ms))");
    const second = await run("await wait(400); console.log('own')");
    client.onStrayMessage = null;
    expect(second.stdout).toBe("own\n");
    const late = strays.filter(({ header }) => header.msg_type === "stream");
    expect(late.map(({ content }) => content.text).join("")).toBe("late 1\nlate 2\n");
    expect(late[0]?.parentHeader.msg_id).toBe(first.messages[0]?.parentHeader.msg_id);
  });
});

describe("display", () => {
  test("a display id is shown, updated and cleared", async () => {
    const report = await run("display({ 'text/plain': '1' }, { display_id: 'bar' }); display({ 'text/plain': '2' }, { display_id: 'bar', update: true }); clearOutput(true)");
    expect(report.types).toEqual(["execute_input", "display_data", "update_display_data", "clear_output"]);
    expect(report.messages[2]?.content).toEqual({ data: { "text/plain": "2" }, metadata: {}, transient: { display_id: "bar" } });
    expect(report.messages[3]?.content).toEqual({ wait: true });
  });

  test("an asynchronous display comes before the cell ends", async () => {
    const report = await run("display({ async [Symbol.for('Jupyter.display')]() { await new Promise((r) => setTimeout(r, 50)); return { 'text/html': 'late' } } })");
    expect(contentsOf(report, "display_data")[0]?.data).toEqual({ "text/html": "late" });
  });

  test("objects without MIME keys are shown as text", async () => {
    expect(contentsOf(await run("display({ a: 1 }); display([1], { metadata: { width: 5 } })"), "display_data")).toEqual([
      { data: { "text/plain": "{ a: 1 }" }, metadata: {}, transient: { display_id: expect.any(String) as string } },
      { data: { "text/plain": "[ 1 ]" }, metadata: { width: 5 }, transient: { display_id: expect.any(String) as string } },
    ]);
  });
});

describe("rich values in cells", () => {
  test("a template, a table and an image are shown as the last expression", async () => {
    const data = async (code: string): Promise<unknown> => contentsOf(await run(code), "execute_result")[0]?.data;
    expect(await data("const what = '<x>'; html`<b>${what}</b>`")).toEqual({ "text/html": "<b>&lt;x&gt;</b>", "text/plain": "<x>" });
    expect(await data("[{ a: 1, b: 'x' }, { a: 2, b: 'y' }]")).toEqual({ "text/html": expect.stringContaining("<table") as string, "text/plain": "a  b\n1  x\n2  y" });
    expect(await data("const own: DisplayValue = md`# ${1}`; ({ [display.$display]: () => own })")).toEqual({ "text/markdown": "# 1", "text/plain": "# 1" });
  });

  test("what display() returns is no result, and its update in a later cell replaces the output", async () => {
    const first = await run("const shown = display.markdown('*1*')\nshown");
    expect(first.types).toEqual(["execute_input", "display_data"]);
    const second = await run("shown.update('*2*')");
    expect(second.types).toEqual(["execute_input", "update_display_data"]);
    const { data, transient } = second.messages[1]?.content ?? {};
    expect(data).toEqual({ "text/markdown": "*2*", "text/plain": "*2*" });
    expect(transient).toEqual(first.messages[1]?.content.transient);
    expect((await run("shown.id.length > 0 && shown.nothing")).reply.evalue).toMatch(/^TS2339:/);
  });

  test("a wrong argument is the cell's error", async () => {
    expect((await run("display.png('picture.png')")).reply).toMatchObject({ status: "error", ename: "DisplayError", evalue: expect.stringMatching(/base64.*\[E_DISPLAY_BASE64\]$/) as string });
    expect((await run("display({ 'text/html': 5 })")).reply).toMatchObject({ ename: "DisplayError" });
    expect((await run("({ [Symbol.for('Jupyter.display')]: () => ({ 'image/png': '?' }) })")).reply).toMatchObject({ ename: "DisplayError" });
  });

  test("a name that a cell declares takes the place of a helper", async () => {
    expect((await run("const html = 5, svg = 'mine'; [html, svg]")).result).toBe("[ 5, 'mine' ]");
    expect((await run("html + 1")).result).toBe("6");
  });
});

describe("interrupt", () => {
  const stopped = async (code: string, interrupts = 1): Promise<{ reply: Record<string, unknown>; elapsedMs: number; stdout: string }> => {
    const running = run(code, { onInput: () => new Promise(() => undefined) });
    await pause(400);
    const startedMs = performance.now();
    for (let i = 0; i < interrupts; i++) await client.interrupt();
    const { reply, stdout } = await running;
    return { reply, elapsedMs: performance.now() - startedMs, stdout };
  };

  test.each([
    ["a busy loop", "while (true) {}"],
    ["a busy loop after an await", "await null; while (true) {}"],
    ["an await that never ends", "await new Promise(() => {})"],
    ["a loop over timers", "for (;;) await new Promise((r) => setTimeout(r, 1))"],
    ["a loop over promise timers", "const { setTimeout: sleep } = await import('node:timers/promises'); for (;;) await sleep(1)"],
    ["a loop over microtasks", "for (;;) await null"],
    ["a busy timer callback", "setTimeout(() => { for (;;); }, 1); await new Promise(() => {})"],
    ["a loop that prints", "for (let i = 0; ; i++) console.log(i)"],
    ["input", "input('never answered')"],
    ["a busy display method", "({ [Symbol.for('Jupyter.display')]() { for (;;); } })"],
    ["an async function that was called earlier", "async function spin() { await null; for (;;); }\nawait spin()"],
  ])("stops %s and keeps the state", async (_, code) => {
    await run("const kept = { value: 41 }");
    const { reply, elapsedMs } = await stopped(code);
    expect(reply).toMatchObject({ status: "error", ename: "KeyboardInterrupt" });
    expect(elapsedMs).toBeLessThan(3000);
    expect((await run("kept.value + 1")).result).toBe("42");
    expect((await run("await Promise.resolve('alive')")).result).toBe("'alive'");
  });

  test("leaves nothing behind that a garbage collection trips over", async () => {
    await run("import v8 from 'node:v8'; import vm from 'node:vm'; v8.setFlagsFromString('--expose-gc'); const collect: any = vm.runInNewContext('gc')");
    for (const code of ["await new Promise(() => {})", "await null; await new Promise(() => {})", "setTimeout(() => { collect() }, 50); await new Promise(() => {})"]) {
      expect((await stopped(code)).reply.ename).toBe("KeyboardInterrupt");
      expect((await run("collect(); collect(); 'alive'")).result).toBe("'alive'");
    }
  });

  test("clears the timers and intervals of the stopped cell and aborts its signal", async () => {
    await run("let ticks = 0; let wasAborted = false");
    await stopped("cellSignal.addEventListener('abort', () => { wasAborted = true }); setInterval(() => { ticks += 1 }, 5); await new Promise(() => {})", 2);
    const after = (await run("ticks")).result;
    await pause(100);
    expect((await run("ticks")).result).toBe(after);
    expect(Number(after)).toBeGreaterThan(0);
    expect((await run("wasAborted")).result).toBe("true");
    expect((await run("cellSignal.aborted")).result).toBe("false");
  });

  const stepsUntilAsked = `
    let steps = 0;
    for (const signal = cellSignal; !signal.aborted; steps++) {
      for (const until = Date.now() + 100; Date.now() < until;);
      await new Promise((next) => { setTimeout(next, 1); });
    }
    await new Promise((saved) => { setTimeout(saved, 50); });
    console.log("saved"); steps > 0`;

  test("lets a cell that has read cellSignal finish its step and end by itself", async () => {
    const { reply, stdout, elapsedMs } = await stopped(stepsUntilAsked);
    expect(reply.status).toBe("ok");
    expect(stdout).toBe("saved\n");
    expect(elapsedMs).toBeLessThan(3000);
    expect(Number((await run("steps")).result)).toBeGreaterThan(0);
  });

  test("aborts the cells behind one that ended by itself", async () => {
    const running = [run(stepsUntilAsked), run("1"), run("2")];
    await pause(400);
    await client.interrupt();
    const replies = (await Promise.all(running)).map(({ reply }) => reply);
    expect(replies.map(({ status }) => status)).toEqual(["ok", "aborted", "aborted"]);
    // A front end would write the number beside a cell that did not run.
    expect(replies.map(({ execution_count: count }) => typeof count)).toEqual(["number", "undefined", "undefined"]);
  });

  test.each([
    ["a busy loop", "cellSignal; for (;;);"],
    ["an await that never ends", "cellSignal; await new Promise(() => {})"],
  ])("that comes a second time stops %s that has read cellSignal without heeding it", async (_, code) => {
    const { reply, elapsedMs } = await stopped(code, 2);
    expect(reply).toMatchObject({ status: "error", ename: "KeyboardInterrupt" });
    expect(elapsedMs).toBeLessThan(3000);
    expect((await run("await Promise.resolve('alive')")).result).toBe("'alive'");
  });

  test("of a busy cell is told to the libraries that listen, before the next cell runs", async () => {
    await run("import { subscribe } from 'node:diagnostics_channel'; let told = 0; subscribe('moe-lab:cell-stopped', () => { told += 1; })");
    await stopped("for (;;);");
    expect((await run("told")).result).toBe("1");
  });

  test("with no cell running stops what runs in the background", async () => {
    await run("let beats = 0; const beat = setInterval(() => { beats += 1 }, 5)");
    await client.interrupt();
    await pause(30);
    const after = (await run("beats")).result;
    await pause(60);
    expect((await run("beats")).result).toBe(after);
  });

  test("ends an asynchronous loop that goes over files and timers", async () => {
    await run("let rounds = 0; import { stat } from 'node:fs/promises'");
    await stopped("for (;;) { await stat('.'); rounds += 1; await new Promise((r) => setTimeout(r, 1)) }");
    await pause(50);
    const after = (await run("rounds")).result;
    await pause(100);
    expect((await run("rounds")).result).toBe(after);
  });

  test("stops a cell that still waits for the compiler to load", async () => {
    const fresh = await startKernel();
    const running = runCell(fresh, "while (true) {}");
    await fresh.interrupt();
    await pause(100);
    await fresh.interrupt();
    expect((await running).reply).toMatchObject({ status: "error", ename: "KeyboardInterrupt" });
    await fresh.shutdown();
  });

  test("of a cell is reported idle only when the main thread is free", async () => {
    // Native code is not interrupted.
    const { reply, elapsedMs } = await stopped("require('node:crypto').pbkdf2Sync('a', 'b', 4_000_000, 64, 'sha512'); for (;;);");
    expect(reply.ename).toBe("KeyboardInterrupt");
    expect(elapsedMs).toBeGreaterThan(900);
  });
});

describe("input", () => {
  test("asks the front end and waits for its answer", async () => {
    const asked: unknown[] = [];
    const report = await run("const answer = input('name? '); const secret = input('key? ', true); [answer, secret]", {
      onInput: (prompt, isPassword) => { asked.push([prompt, isPassword]); return prompt === "name? " ? "Zoë 😀" : "x".repeat(100_000); },
    });
    expect(asked).toEqual([["name? ", false], ["key? ", true]]);
    expect(report.result).toContain("'Zoë 😀'");
    expect((await run("secret.length")).result).toBe("100000");
  });

  test("is refused where nobody can answer", async () => {
    expect((await run("input()")).reply).toMatchObject({ status: "error", ename: "InputError" });
  });
});

describe("the package itself", () => {
  test("is imported by its own name, with types, from a notebook inside its repository", async () => {
    expect((await run("import { KERNEL_NAME, runNotebook } from 'moe-lab/kernel'\nKERNEL_NAME")).result).toBe("'moe-lab'");
    expect((await run("runNotebook({ inputPath: 5 })")).reply.evalue).toMatch(/^TS2322:/);
  });
});

describe("execute options", () => {
  test("a silent cell publishes nothing and is not counted", async () => {
    const before = (await run("1")).reply.execution_count;
    const silent = await run("console.log('quiet'); 5", { silent: true });
    expect(silent.types).toEqual([]);
    expect((await run("2", { storeHistory: false })).reply.execution_count).toBe(before);
    expect((await run("3")).reply.execution_count).toBe(Number(before) + 1);
  });

  test("user expressions are evaluated after the cell", async () => {
    const { reply } = await run("const base = 20", { userExpressions: { plus: "base + 1", wrong: "nowhere.at.all", broken: "1 +" } });
    expect(reply.user_expressions).toMatchObject({
      plus: { status: "ok", data: { "text/plain": "21" } }, wrong: { status: "error", ename: "ReferenceError" }, broken: { status: "error", ename: "SyntaxError" },
    });
  });

  test("an error aborts the cells behind it, unless stop_on_error is false", async () => {
    const statuses = async (stopOnError: boolean, code: string): Promise<unknown[]> => {
      const replies = await Promise.all([run(code, { stopOnError }), run("1"), run("2")]);
      return replies.map(({ reply }) => reply.status);
    };
    expect(await statuses(true, "throw new Error('x')")).toEqual(["error", "aborted", "aborted"]);
    expect(await statuses(true, "nowhere")).toEqual(["error", "aborted", "aborted"]);
    expect(await statuses(false, "throw new Error('x')")).toEqual(["error", "ok", "ok"]);
  });
});
