import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { pathToFileURL } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Dealer, Request } from "zeromq";
import { KernelClient } from "../../kernel/client/kernelClient.ts";
import { KernelProcessError } from "../../kernel/errors.ts";
import { kernelCommandLine } from "../../kernel/install.ts";
import { channelAddress } from "../../kernel/protocol/connectionFile.ts";
import type { JsonObject } from "../../kernel/protocol/json.ts";
import type { Message } from "../../kernel/protocol/wire.ts";
import { Wire } from "../../kernel/protocol/wire.ts";
import { contentsOf, repositoryFolder, runCell, startKernel } from "./kernelHarness.ts";

let client: KernelClient;

beforeAll(async () => { client = await startKernel(); });
afterAll(() => client.shutdown());

const ask = async (type: string, content: JsonObject): Promise<JsonObject> => (await client.request("shell", type, content)).content;

describe("the wire", () => {
  const shell = (): Dealer => {
    const socket = new Dealer({ linger: 0, receiveTimeout: 700 });
    socket.connect(channelAddress(client.process.connection, "shell"));
    return socket;
  };

  test("a message with a wrong signature is dropped before it is parsed, and the kernel lives", async () => {
    const socket = shell();
    const wrong = new Wire("not the key", "sha256", "stranger");
    await socket.send(wrong.encode({ type: "execute_request", content: { code: "globalThis.hacked = 1" } }));
    await expect(socket.receive()).rejects.toThrow();
    socket.close();
    expect((await runCell(client, "'hacked' in globalThis")).result).toBe("false");
  });

  test("malformed frames are dropped and the next request is answered", async () => {
    const { connection } = client.process;
    const wire = new Wire(connection.key, connection.digest, "tester");
    const socket = shell();
    const dropped = Number((await ask("connect_request", {})).dropped_messages);
    const good = wire.encode({ type: "kernel_info_request", content: {} });
    await socket.send(["nothing"]);
    await socket.send(["<IDS|MSG>", "short"]);
    await socket.send([...good.slice(0, -1), "{}tail"]);
    await socket.send(wire.encode({ type: "unheard_of_request", content: {} }));
    await socket.send(good);
    expect(wire.decode(await socket.receive()).header.msg_type).toBe("kernel_info_reply");
    socket.close();
    expect((await ask("connect_request", {})).dropped_messages).toBe(dropped + 3);
  });

  test("a tampered part no longer fits its signature", () => {
    const wire = new Wire("key", "sha256", "me");
    const frames = wire.encode({ type: "t", content: { a: 1 } }).map((frame) => Buffer.from(frame));
    expect(wire.decode(frames).content).toEqual({ a: 1 });
    frames[5] = Buffer.from('{"a":2}');
    expect(() => wire.decode(frames)).toThrow(/signature/);
  });

  test("the heartbeat echoes while a cell is busy", async () => {
    const heartbeat = new Request({ linger: 0, receiveTimeout: 1000 });
    heartbeat.connect(channelAddress(client.process.connection, "heartbeat"));
    const busy = client.execute("const stop = Date.now() + 1000; while (Date.now() < stop);");
    await sleep(200);
    const startedMs = performance.now();
    await heartbeat.send("beat");
    expect(String((await heartbeat.receive())[0])).toBe("beat");
    expect(performance.now() - startedMs).toBeLessThan(500);
    heartbeat.close();
    await busy;
  });
});

describe("questions", () => {
  test("kernel_info and connect describe the kernel", async () => {
    expect(await ask("kernel_info_request", {})).toMatchObject({
      status: "ok", implementation: "moe-lab", protocol_version: "5.4", language_info: { name: "typescript", file_extension: ".ts", mimetype: "text/typescript" },
    });
    expect(await ask("connect_request", {})).toMatchObject({ shell_port: client.process.connection.ports.shell });
  });

  test("completion knows libraries and earlier cells, and counts code points", async () => {
    await runCell(client, "const trainingSteps = 100; interface Recipe { learningRate: number }; let recipe: Recipe = { learningRate: 1 }");
    expect((await ask("complete_request", { code: "trainingS", cursor_pos: 9 })).matches).toContain("trainingSteps");
    expect((await ask("complete_request", { code: "recipe.le", cursor_pos: 9 })).matches).toEqual(["learningRate"]);
    expect(await ask("complete_request", { code: "'😀😀'.toUpp + 1", cursor_pos: 10 })).toMatchObject({ matches: ["toUpperCase"], cursor_start: 5, cursor_end: 10 });
  });

  test("inspection shows type and documentation", async () => {
    const found = await ask("inspect_request", { code: "recipe.learningRate", cursor_pos: 10, detail_level: 0 });
    expect(found).toMatchObject({ status: "ok", found: true });
    expect((found.data as JsonObject)["text/plain"]).toContain("learningRate: number");
    expect(await ask("inspect_request", { code: "   ", cursor_pos: 1 })).toMatchObject({ status: "ok", found: false, data: {} });
  });

  test.each([["const a = 1", "complete"], ["function f() {", "incomplete"], ["`open", "incomplete"], ["const = 1", "invalid"]])("is_complete says of %s: %s", async (code, status) => {
    expect((await ask("is_complete_request", { code })).status).toBe(status);
  });

  test("history is selected by tail, range and search", async () => {
    const fresh = await startKernel();
    try {
      for (const code of ["1 + 1", "const h = 2", "1 + 1", "h * 3"]) await runCell(fresh, code);
      await runCell(fresh, "'secret'", { storeHistory: false });
      const history = async (content: JsonObject): Promise<unknown> => (await fresh.request("shell", "history_request", content)).content.history;
      expect(await history({ hist_access_type: "tail", n: 2, output: false })).toEqual([[1, 3, "1 + 1"], [1, 4, "h * 3"]]);
      expect(await history({ hist_access_type: "range", session: 1, start: 2, stop: 4, output: true })).toEqual([[1, 2, ["const h = 2", null]], [1, 3, ["1 + 1", "2"]]]);
      expect(await history({ hist_access_type: "search", pattern: "1 ?*", unique: true })).toEqual([[1, 3, "1 + 1"]]);
      expect(await history({ hist_access_type: "search", pattern: "nothing" })).toEqual([]);
    } finally {
      await fresh.shutdown();
    }
  });
});

describe("comms", () => {
  test("are opened from both sides, carry data and buffers, and close", async () => {
    const opened = await runCell(client, "const comm = comms.open('from.kernel', { hello: 1 }); comm.onMessage = (data) => { comm.send({ echo: data }, { buffers: [Uint8Array.of(7)] }) }");
    const commId = contentsOf(opened, "comm_open")[0]?.comm_id;
    expect(contentsOf(opened, "comm_open")[0]).toMatchObject({ target_name: "from.kernel", data: { hello: 1 } });
    expect((await ask("comm_info_request", { target_name: "from.kernel" })).comms).toEqual({ [String(commId)]: { target_name: "from.kernel" } });

    const strays: Message[] = [];
    client.onStrayMessage = (message) => strays.push(message);
    await client.send("shell", { type: "comm_msg", content: { comm_id: commId, data: { x: 2 } } });
    await runCell(client, "comms.register('to.kernel', (c, data) => { c.send({ got: data }); c.close() })");
    await client.send("shell", { type: "comm_open", content: { comm_id: "abc", target_name: "to.kernel", data: { y: 3 } } });
    await client.send("shell", { type: "comm_open", content: { comm_id: "def", target_name: "unknown", data: {} } });
    await runCell(client, "await new Promise((r) => setTimeout(r, 100))");
    client.onStrayMessage = null;
    const seen = strays.filter(({ header }) => header.msg_type.startsWith("comm_"));
    const echo = seen.find(({ content }) => content.comm_id === commId);
    expect(echo?.content.data).toEqual({ echo: { x: 2 } });
    expect([...(echo?.buffers[0] ?? [])]).toEqual([7]);
    expect(seen.filter(({ content }) => content.comm_id === "abc").map(({ header, content }) => [header.msg_type, content.data])).toEqual([["comm_msg", { got: { y: 3 } }], ["comm_close", {}]]);
    expect(seen.filter(({ content }) => content.comm_id === "def").map(({ header }) => header.msg_type)).toEqual(["comm_close"]);
  });
});

describe("the end", () => {
  test.each([["idle", "1"], ["busy", "while (true) {}"], ["waiting", "await new Promise(() => {})"]])("shutdown ends a kernel that is %s", async (_, code) => {
    const doomed = await startKernel();
    const running = doomed.execute(code).catch((error: unknown) => error);
    await sleep(300);
    const exit = await doomed.shutdown();
    expect([exit.code, exit.signal]).toEqual([0, null]);
    expect(exit.stderr).not.toMatch(/abort|Assertion/i);
    await running;
  });

  test("a shutdown reply says whether a restart follows", async () => {
    const doomed = await startKernel();
    const reply = await doomed.request("control", "shutdown_request", { restart: true });
    expect(reply.content).toEqual({ status: "ok", restart: true });
    await doomed.shutdown();
  });

  test("process.exit in a cell ends the kernel with that code, and the client says so", async () => {
    const doomed = await startKernel();
    await expect(doomed.execute("process.exit(3)")).rejects.toThrow(KernelProcessError);
    expect((await doomed.process.exited).code).toBe(3);
    await doomed.close();
  });

  test("a kernel that is killed fails its open requests", async () => {
    const doomed = await startKernel();
    const running = doomed.execute("await new Promise(() => {})");
    await sleep(200);
    doomed.process.kill();
    await expect(running).rejects.toThrow(/E_KERNEL_DIED/);
    await doomed.close();
  });

  test.skipIf(!existsSync("/proc/self"))("a kernel ends when the process that started it is killed", async () => {
    const script = `import { KernelClient, kernelCommandLine } from ${JSON.stringify(pathToFileURL(join(repositoryFolder, "dist/kernel/index.js")).href)};
      const client = await KernelClient.start({ argv: kernelCommandLine(), cwd: "." });
      console.log(client.process.pid);
      setInterval(() => {}, 1000);`;
    const parent = spawn(process.execPath, ["--input-type=module", "-e", script], { stdio: ["ignore", "pipe", "inherit"] });
    const [text] = await once(parent.stdout, "data") as [Buffer];
    const kernelPid = Number(String(text));
    parent.kill("SIGKILL");
    await expect.poll(() => existsSync(`/proc/${kernelPid}`), { timeout: 15_000, interval: 200 }).toBe(false);
  });

  test("a command that is no kernel is reported with its last words", async () => {
    const [node = ""] = kernelCommandLine();
    await expect(KernelClient.start({ argv: [node, "-e", "console.error('wrong program')"], cwd: repositoryFolder })).rejects.toThrow(/wrong program/);
  });
});
