import { spawnSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { kernelCommandLine } from "../../kernel/install.ts";
import { createConnectionFile } from "../../kernel/protocol/connectionFile.ts";
import { Wire } from "../../kernel/protocol/wire.ts";
import { heartbeatDuring } from "./heartbeatClient.ts";
import { buildKernel, runCell, temporaryFolder } from "./kernelHarness.ts";
import { RawClient, startWithRawClient } from "./rawClient.ts";

const { client, raw, stop } = await startWithRawClient();
afterAll(stop);

const dropped = async (): Promise<number> => Number((await raw.ask("control", "connect_request")).content.dropped_messages);
/** A cell behind a failing one of another client may be aborted with it, so it is tried until it runs. */
const alive = (): Promise<void> => expect.poll(async () => (await runCell(client, "6 * 7")).result).toBe("42");

describe("bad messages", () => {
  test("with wrong frames, signatures, JSON or UTF-8 on any channel are dropped and counted, and the kernel goes on", async () => {
    const before = await dropped();
    const stranger = new Wire("not the key", "sha256", "stranger");
    const good = raw.frames("kernel_info_request", {});
    const wrong: (Buffer | Uint8Array | string)[][] = [
      ["nothing"], [""], ["<IDS|MSG>"], ["<IDS|MSG>", "short"], good.slice(0, -1), [...good.slice(0, -1), "{}tail"],
      [...good.slice(0, 2), Buffer.from([0xff, 0xfe]), ...good.slice(3)], stranger.encode({ type: "execute_request", content: { code: "globalThis.hacked = 1" } }),
      stranger.encode({ type: "shutdown_request", content: { restart: false } }), Array<string>(5000).fill("x"),
    ];
    for (const channel of ["shell", "control", "stdin"] as const) for (const frames of wrong) await raw.sockets[channel].send(frames);
    await expect.poll(dropped).toBe(before + 3 * wrong.length);
    expect((await runCell(client, "'hacked' in globalThis")).result).toBe("false");
  });

  test("that are recorded and sent again are dropped", async () => {
    await runCell(client, "let times = 0");
    const before = await dropped();
    const recorded = raw.frames("execute_request", { code: "times += 1", silent: true });
    for (let i = 0; i < 3; i++) await raw.sockets.shell.send(recorded);
    await raw.receive("shell");
    await expect.poll(dropped).toBe(before + 2);
    expect((await runCell(client, "times")).result).toBe("1");
  });

  test("of unknown types are ignored between busy and idle, with any content", async () => {
    for (const channel of ["shell", "control"] as const) {
      const id = await raw.send(channel, "unheard_of_request", { a: [1] });
      await expect.poll(() => raw.states(id)).toEqual(["busy", "idle"]);
    }
    await raw.send("stdin", "unheard_of_request");
    for (const type of ["execute_reply", "status", "constructor", "__proto__", "", "x".repeat(10_000)]) await raw.send("shell", type);
    await alive();
  });

  test.each([
    "execute_request", "complete_request", "inspect_request", "is_complete_request", "history_request", "comm_info_request", "comm_open", "comm_msg", "comm_close",
  ])("of the type %s with fields of wrong types leave the kernel alive", async (type) => {
    const odd = [null, 0, -1, 1e308, "", "x", [], {}, [[]], true];
    const fields = ["code", "cursor_pos", "detail_level", "silent", "store_history", "user_expressions", "allow_stdin", "stop_on_error", "hist_access_type", "n", "session", "start", "stop", "pattern", "comm_id", "target_name", "data"];
    for (const [index, value] of odd.entries()) await raw.send("shell", type, Object.fromEntries(fields.map((field, at) => [field, odd[(at + index) % odd.length] ?? value])));
    await alive();
  });

  test("of an answer to a question that was interrupted do not answer the next one", async () => {
    const ask = (): Promise<string> => raw.send("shell", "execute_request", { code: "input('who? ')", allow_stdin: true, stop_on_error: false });
    const reply = async (parentHeader: object, value: string): Promise<void> => {
      await raw.sockets.stdin.send(raw.wire.encode({ type: "input_reply", content: { value }, parentHeader }));
    };
    const results = (id: string): unknown[] => raw.published.filter(({ header, parentHeader }) => header.msg_type === "execute_result" && parentHeader.msg_id === id).map(({ content }) => (content.data as Record<string, unknown>)["text/plain"]);
    while (raw.sockets.shell.readable) await raw.receive("shell");
    await ask();
    const first = await raw.receive("stdin");
    await raw.ask("control", "interrupt_request");
    const id = await ask();
    const second = await raw.receive("stdin");
    await reply(first.header, "late");
    await reply(second.header, "Ada");
    await expect.poll(() => results(id)).toEqual(["'Ada'"]);
    const simple = await ask();
    await raw.receive("stdin");
    await reply({}, "no parent named");
    await expect.poll(() => results(simple)).toEqual(["'no parent named'"]);
    while (raw.sockets.shell.readable) await raw.receive("shell");
  });
});

describe("iopub", () => {
  test("welcomes each subscriber with its topic, not only the first", async () => {
    for (const topic of ["", "kernel.moe-lab.status", ""]) {
      const other = new RawClient(client.process.connection, topic);
      const welcome = (): unknown[] => other.published.filter(({ header }) => header.msg_type === "iopub_welcome").map(({ content }) => content);
      if (topic === "") await expect.poll(welcome).toEqual([{ subscription: "" }]);
      else await expect.poll(() => raw.published.filter(({ content }) => content.subscription === topic)).toHaveLength(1);
      other.close();
    }
  });
});

describe("the heartbeat", () => {
  test.each([
    ["a busy loop", "for (const end = Date.now() + 700; Date.now() < end;);"],
    ["a flood of output", "for (const end = Date.now() + 700; Date.now() < end;) console.log('line')"],
    ["a long native call", "require('node:child_process').spawnSync('sleep', ['0.7'])"],
    ["a type check of a new library", "import ts from 'typescript'\nts.version"],
  ])("comes back during %s", async (_, code) => {
    const { beats, slowestMs } = await heartbeatDuring(client.process.connection, () => client.execute(code));
    expect(beats).toBeGreaterThan(20);
    // A hang limit: the machine that runs this test may be busy itself.
    expect(slowestMs).toBeLessThan(1000);
  });
});

describe("a connection file", () => {
  const start = (argument: readonly string[]): { status: number | null; stderr: string } => {
    buildKernel();
    const [node = "", ...rest] = kernelCommandLine().slice(0, -1);
    const { status, stderr } = spawnSync(node, [...rest, ...argument], { encoding: "utf8", timeout: 30_000 });
    return { status, stderr };
  };
  const good = { transport: "tcp", ip: "127.0.0.1", shell_port: 1, control_port: 2, stdin_port: 3, iopub_port: 4, hb_port: 5, key: "k", signature_scheme: "hmac-sha256" };

  test("that is missing, is a folder, is no JSON or has wrong fields is named in one line, without a stack, and the exit code is 2", () => {
    const folder = temporaryFolder();
    const file = (name: string, text: string): string => {
      const path = join(folder, name);
      writeFileSync(path, text);
      return path;
    };
    const cases: [string[], RegExp][] = [
      [[], /^usage:/],
      [[join(folder, "absent.json")], /there is no such file/],
      [[folder], /can't be read \(EISDIR\)/],
      [[file("broken.json", "{")], /not JSON/],
      [[file("port.json", JSON.stringify({ ...good, hb_port: 70_000 }))], /hb_port must be a whole number from 1 to 65535/],
    ];
    for (const [argument, expected] of cases) {
      const { status, stderr } = start(argument);
      expect(stderr).toMatch(expected);
      expect(stderr.trim().split("\n")).toHaveLength(1);
      expect(status).toBe(2);
    }
  });

  test("with a port that is in use is refused with the address", async () => {
    const { path, connection } = await createConnectionFile();
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(connection.ports.iopub, "127.0.0.1", resolve));
    const { status, stderr } = start([path]);
    server.close();
    expect(stderr).toContain(String(connection.ports.iopub));
    expect(stderr).not.toMatch(/^\s+at /m);
    expect(status).toBe(2);
  });
});
