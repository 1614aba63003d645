import { hostname } from "node:os";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, describe, expect, test } from "vitest";
import type { JsonObject } from "../../kernel/protocol/json.ts";
import type { Message } from "../../kernel/protocol/wire.ts";
import { runCell } from "./kernelHarness.ts";
import { startWithRawClient } from "./rawClient.ts";

const { client, raw, stop } = await startWithRawClient();
afterAll(stop);

const createSubshell = async (): Promise<string> => String((await raw.ask("control", "create_subshell_request")).content.subshell_id);
const cell = (code: string, more: JsonObject = {}): JsonObject => ({ code, silent: false, store_history: true, allow_stdin: false, ...more });
/** Replies by the id of their request, until all are there. */
async function replies(ids: readonly string[]): Promise<Map<string, Message>> {
  const found = new Map<string, Message>();
  while (!ids.every((id) => found.has(id))) {
    const reply = await raw.receive("shell");
    found.set(String(reply.parentHeader.msg_id), reply);
  }
  return found;
}
const textOf = (id: string): string => raw.published.filter(({ header, parentHeader }) => header.msg_type === "stream" && parentHeader.msg_id === id).map(({ content }) => String(content.text)).join("");

describe("execute_reply", () => {
  test("tells when the cell started, as ipykernel's metadata do", async () => {
    const before = Date.now();
    const reply = await client.execute("await new Promise((r) => setTimeout(r, 60))");
    expect(reply.metadata).toMatchObject({ status: "ok", dependencies_met: true });
    const started = Date.parse(String(reply.metadata.started));
    expect(started).toBeGreaterThanOrEqual(before);
    expect(Date.parse(reply.header.date) - started).toBeGreaterThanOrEqual(59);
    expect((await client.execute("throw 1")).metadata).toMatchObject({ status: "error" });
  });

  test("comes also for a request without code, and to a cell that comes on control", async () => {
    expect((await raw.ask("shell", "execute_request", {})).content).toMatchObject({ status: "error", ename: "TypeError" });
    const reply = await raw.ask("control", "execute_request", cell("1"));
    expect([reply.header.msg_type, reply.content.status]).toEqual(["execute_reply", "ok"]);
  });

  test("of a failing silent cell aborts nobody's cells", async () => {
    const ids = [await raw.send("shell", "execute_request", cell("throw 1", { silent: true })), await raw.send("shell", "execute_request", cell("2"))];
    const found = await replies(ids);
    expect(ids.map((id) => found.get(id)?.content.status)).toEqual(["error", "ok"]);
  });
});

describe("subshells", () => {
  test("are announced, created, listed and deleted", async () => {
    expect((await raw.ask("shell", "kernel_info_request")).content.supported_features).toContain("kernel subshells");
    const ids = [await createSubshell(), await createSubshell()];
    expect(new Set(ids).size).toBe(2);
    expect((await raw.ask("control", "list_subshell_request")).content).toEqual({ status: "ok", subshell_id: ids });
    for (const id of ids) expect((await raw.ask("control", "delete_subshell_request", { subshell_id: id })).content).toEqual({ status: "ok" });
    expect((await raw.ask("control", "list_subshell_request")).content.subshell_id).toEqual([]);
    expect((await raw.ask("control", "delete_subshell_request", { subshell_id: ids[0] })).content).toMatchObject({ status: "error", ename: "UnknownSubshellError" });
  });

  test("run cells while the main shell's cell waits, with the same variables and one count", async () => {
    const subshell = await createSubshell();
    await runCell(client, "let release = () => {}; const told: string[] = []");
    const main = await raw.send("shell", "execute_request", cell("await new Promise<void>((r) => { release = r }); console.log('main'); const late = 1; told.join()"));
    await sleep(100);
    const found = await raw.ask("shell", "execute_request", cell("told.push('sub'); console.log('sub'); release()"), { subshell_id: subshell });
    expect(found.parentHeader.subshell_id).toBe(subshell);
    expect(found.content.status).toBe("ok");
    const reply = (await replies([main])).get(main);
    expect(Number(reply?.content.execution_count)).toBe(Number(found.content.execution_count) - 1);
    await expect.poll(() => [textOf(main), textOf(String(found.parentHeader.msg_id))]).toEqual(["main\n", "sub\n"]);
    expect((await runCell(client, "[late, told]")).result).toBe("[ 1, [ 'sub' ] ]");
    await raw.ask("control", "delete_subshell_request", { subshell_id: subshell });
  });

  test("keep the order of their own cells, and an error in one aborts its cells only", async () => {
    const subshell = await createSubshell();
    const inSubshell = { subshell_id: subshell };
    await runCell(client, "let finishMain = () => {}; const mainMayEnd = new Promise<void>((r) => { finishMain = r })");
    const ids = [
      await raw.send("shell", "execute_request", cell("await mainMayEnd; 'main 1'")),
      await raw.send("shell", "execute_request", cell("setTimeout(finishMain, 300); throw new Error('sub')"), inSubshell),
      await raw.send("shell", "execute_request", cell("'main 2'")),
      await raw.send("shell", "execute_request", cell("'sub 2'"), inSubshell),
    ];
    const found = await replies(ids);
    expect(ids.map((id) => found.get(id)?.content.status)).toEqual(["ok", "error", "ok", "aborted"]);
    expect([...found.keys()].filter((id) => ids.includes(id))).toEqual([ids[1], ids[3], ids[0], ids[2]]);
    for (const id of ids) await expect.poll(() => raw.states(id)).toEqual(["busy", "idle"]);
  });

  test("answer questions while the main shell's cell is busy computing", async () => {
    const subshell = await createSubshell();
    const main = await raw.send("shell", "execute_request", cell("for (const end = Date.now() + 1500; Date.now() < end;);"));
    const question = await raw.ask("shell", "is_complete_request", { code: "1 +" }, { subshell_id: subshell });
    expect(question.header.msg_type).toBe("is_complete_reply");
    await replies([main]);
  });

  test("are interrupted together with the main shell, and state is kept", async () => {
    const subshell = await createSubshell();
    await runCell(client, "const keptOver = 5");
    const ids = [
      await raw.send("shell", "execute_request", cell("await new Promise(() => {})")),
      await raw.send("shell", "execute_request", cell("for (;;);"), { subshell_id: subshell }),
    ];
    await sleep(400);
    expect((await raw.ask("control", "interrupt_request")).content.status).toBe("ok");
    const found = await replies(ids);
    expect(ids.map((id) => found.get(id)?.content.ename)).toEqual(["KeyboardInterrupt", "KeyboardInterrupt"]);
    expect((await runCell(client, "keptOver")).result).toBe("5");
    expect((await raw.ask("shell", "execute_request", cell("keptOver + 1"), { subshell_id: subshell })).content.status).toBe("ok");
  });

  test("that are not there are answered with an error, between busy and idle", async () => {
    const reply = await raw.ask("shell", "execute_request", cell("1"), { subshell_id: "none" });
    expect(reply.content).toMatchObject({ status: "error", ename: "UnknownSubshellError" });
    await expect.poll(() => raw.states(String(reply.parentHeader.msg_id))).toEqual(["busy", "idle"]);
  });

  test("that are deleted abort what waits in them and finish what runs", async () => {
    const subshell = await createSubshell();
    const ids = [await raw.send("shell", "execute_request", cell("await new Promise((r) => setTimeout(r, 300)); 1"), { subshell_id: subshell }), await raw.send("shell", "execute_request", cell("2"), { subshell_id: subshell })];
    await sleep(100);
    expect((await raw.ask("control", "delete_subshell_request", { subshell_id: subshell })).content.status).toBe("ok");
    const found = await replies(ids);
    expect(ids.map((id) => found.get(id)?.content.status)).toEqual(["ok", "aborted"]);
  });

  test("are limited in number", async () => {
    const made: string[] = [];
    for (let i = 0; i < 65; i++) {
      const { content } = await raw.ask("control", "create_subshell_request");
      if (content.status === "ok") made.push(String(content.subshell_id));
      else expect(content).toMatchObject({ status: "error", ename: "TooManySubshellsError" });
    }
    const { content } = await raw.ask("control", "list_subshell_request");
    expect(content.subshell_id).toHaveLength(64);
    for (const id of content.subshell_id as string[]) await raw.ask("control", "delete_subshell_request", { subshell_id: id });
  });
});

describe("comm messages", () => {
  test("reach a cell that waits for them", async () => {
    const main = await raw.send("shell", "execute_request", cell("const answered = new Promise((r) => comms.register('ask', (_comm, data) => { r(data) })); console.log('asks'); await answered"));
    await expect.poll(() => textOf(main)).toBe("asks\n");
    const opened = await raw.send("shell", "comm_open", { comm_id: "c1", target_name: "ask", data: { yes: 1 } });
    expect((await replies([main])).get(main)?.content.status).toBe("ok");
    await expect.poll(() => raw.states(opened)).toEqual(["busy", "idle"]);
  });
});

describe("usage_request", () => {
  test("is answered with the fields and units that ipykernel's reply has", async () => {
    await runCell(client, "for (const end = Date.now() + 300; Date.now() < end;);");
    const { content } = await raw.ask("control", "usage_request");
    const { host_virtual_memory: memory, ...rest } = content as JsonObject & { host_virtual_memory: Record<string, number> };
    expect(rest).toMatchObject({ hostname: hostname(), pid: client.process.pid });
    expect(rest.kernel_memory).toBeGreaterThan(20e6);
    expect(rest.kernel_memory).toBeLessThan(memory.total);
    expect(rest.kernel_cpu).toBeGreaterThan(0);
    expect(rest.cpu_count).toBeGreaterThan(0);
    expect(rest.host_cpu_percent).toBeLessThanOrEqual(100);
    expect(memory.total).toBeGreaterThan(memory.available);
    expect(memory.percent).toBeCloseTo(100 * (memory.total - memory.available) / memory.total, 0);
  });

  test("counts the processes that cells start", async () => {
    await raw.ask("control", "usage_request");
    await runCell(client, "const child = require('node:child_process').spawn(process.execPath, ['-e', 'for (;;);'])");
    await sleep(600);
    const { content } = await raw.ask("control", "usage_request");
    await runCell(client, "child.kill('SIGKILL')");
    expect(content.kernel_cpu).toBeGreaterThan(15);
  });

  test("is for control only", async () => {
    const id = await raw.send("shell", "usage_request");
    await expect.poll(() => raw.states(id)).toEqual(["busy", "idle"]);
    expect((await raw.ask("shell", "connect_request")).header.msg_type).toBe("connect_reply");
  });
});
