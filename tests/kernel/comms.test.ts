/** Comms and widgets of a real kernel, over its sockets. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import type { KernelClient } from "../../kernel/client/kernelClient.ts";
import { runNotebook } from "../../kernel/client/runNotebook.ts";
import type { JsonObject } from "../../kernel/protocol/json.ts";
import type { Message } from "../../kernel/protocol/wire.ts";
import { contentsOf, pause, runCell, startKernel, temporaryFolder } from "./kernelHarness.ts";
import type { CellReport } from "./kernelHarness.ts";

let client: KernelClient;
let strays: Message[] = [];

beforeAll(async () => {
  client = await startKernel();
  client.onStrayMessage = (message) => { strays.push(message); };
});
afterAll(() => client.shutdown());
beforeEach(() => { strays = []; });

const run = (code: string): Promise<CellReport> => runCell(client, code);
const send = (type: string, content: JsonObject, extra: { metadata?: object; buffers?: Uint8Array[] } = {}): Promise<void> =>
  client.send("shell", { type, content, ...extra });
const change = (commId: string, state: JsonObject): Promise<void> => send("comm_msg", { comm_id: commId, data: { method: "update", state, buffer_paths: [] } });
/** Waits for a stray iopub message. */
const seen = async (wanted: (message: Message) => boolean): Promise<Message> => {
  await expect.poll(() => strays.some(wanted), { timeout: 5000, interval: 10 }).toBe(true);
  return strays.find(wanted) as Message;
};
const isStream = (text: string) => ({ header, content }: Message): boolean => header.msg_type === "stream" && String(content.text).includes(text);
const isIdle = ({ header, content, parentHeader }: Message): boolean =>
  header.msg_type === "status" && content.execution_state === "idle" && parentHeader.msg_type === "comm_msg";
const parentOf = (report: CellReport): string | undefined => report.messages[0]?.parentHeader.msg_id;
/** Makes a widget in a cell. */
const make = async (code: string): Promise<{ report: CellReport; id: string }> => {
  const report = await run(code);
  expect([report.reply.status, report.reply.evalue]).toEqual(["ok", undefined]);
  return { report, id: String(contentsOf(report, "comm_open").at(-1)?.comm_id) };
};

describe("comms", () => {
  test("carry data, metadata and binary buffers both ways", async () => {
    const report = await run(`const both = comms.open("both.ways", { n: 1 }, { metadata: { version: "7" }, buffers: [new Float32Array([1.5, -2])] });
      both.onMessage = (data, buffers, metadata) => { both.send({ data, metadata, first: buffers[0][0] }, { metadata: { back: true }, buffers: [Uint8Array.from(buffers[0]).reverse()] }); };`);
    const opened = report.messages.find(({ header }) => header.msg_type === "comm_open");
    expect([opened?.content.data, opened?.metadata]).toEqual([{ n: 1 }, { version: "7" }]);
    expect([...new Float32Array(Uint8Array.from(opened?.buffers[0] ?? []).buffer)]).toEqual([1.5, -2]);
    await send("comm_msg", { comm_id: opened?.content.comm_id, data: { x: [1, null] } }, { metadata: { there: 1 }, buffers: [Uint8Array.of(3, 2, 1)] });
    const answer = await seen(({ header }) => header.msg_type === "comm_msg");
    expect([answer.content.data, answer.metadata, [...answer.buffers[0] ?? []]]).toEqual(
      [{ data: { x: [1, null] }, metadata: { there: 1 }, first: 3 }, { back: true }, [1, 2, 3]]);
  });

  test("opened by the front end give the opener data, buffers and metadata", async () => {
    await run("comms.register('opened.here', (comm, data, buffers, metadata) => { comm.send({ data, metadata, bytes: [...buffers[0]] }); })");
    await send("comm_open", { comm_id: "front", target_name: "opened.here", data: { a: 1 } }, { metadata: { m: 2 }, buffers: [Uint8Array.of(4)] });
    expect((await seen(({ header }) => header.msg_type === "comm_msg")).content).toMatchObject({ comm_id: "front", data: { data: { a: 1 }, metadata: { m: 2 }, bytes: [4] } });
    expect((await client.request("shell", "comm_info_request", { target_name: "opened.here" })).content.comms).toEqual({ front: { target_name: "opened.here" } });
  });

  test("output of a callback, also after an await, belongs to the cell that set it", async () => {
    const first = await run("const late = comms.open('late'); late.onMessage = async (data) => { console.log('got', data.n); await null; setTimeout(() => console.log('later'), 5); }");
    await run("'another cell'");
    await send("comm_msg", { comm_id: contentsOf(first, "comm_open")[0]?.comm_id, data: { n: 5 } });
    for (const text of ["got 5", "later"]) expect((await seen(isStream(text))).parentHeader.msg_id).toBe(parentOf(first));
  });

  test("errors of callbacks, also asynchronous ones, are shown in their cell, and the kernel goes on", async () => {
    const report = await run(`const failing = comms.open("failing");
failing.onMessage = (data) => { if (data.now) throw new TypeError("broke now"); return Promise.reject(new Error("broke later")); };`);
    const id = contentsOf(report, "comm_open")[0]?.comm_id;
    await send("comm_msg", { comm_id: id, data: { now: true } });
    await send("comm_msg", { comm_id: id, data: { now: false } });
    const [now, later] = [await seen(isStream("broke now")), await seen(isStream("broke later"))];
    expect(now.content).toMatchObject({ name: "stderr" });
    expect(String(now.content.text)).toMatch(/TypeError: broke now[^]*cell-\d+\.ts:2:/);
    expect([now, later].map(({ parentHeader }) => parentHeader.msg_id)).toEqual([parentOf(report), parentOf(report)]);
    expect((await run("1 + 1")).result).toBe("2");
  });

  test("messages and closings for comms that nobody has are ignored", async () => {
    await send("comm_msg", { comm_id: "nobody", data: { n: 1 } });
    await send("comm_close", { comm_id: "nobody", data: {} });
    await send("comm_msg", {});
    expect((await run("'alive'")).result).toBe("'alive'");
    expect(strays.filter(({ header }) => header.msg_type.startsWith("comm_"))).toEqual([]);
  });

  test("are closed by either side once", async () => {
    const report = await run("const closing = comms.open('closing'); closing.onClose = (data) => { console.log('closed with', data.why); }");
    const id = contentsOf(report, "comm_open")[0]?.comm_id;
    await send("comm_close", { comm_id: id, data: { why: "done" } });
    await seen(isStream("closed with done"));
    expect(contentsOf(await run("closing.send({}); closing.close()"), "comm_msg")).toEqual([]);
    expect((await client.request("shell", "comm_info_request", { target_name: "closing" })).content.comms).toEqual({});
    expect(contentsOf(await run("const own = comms.open('own'); own.close({ bye: 1 }); own.close()"), "comm_close")).toMatchObject([{ data: { bye: 1 } }]);
  });

  test("of the kernel before a restart are unknown to the next one", async () => {
    const fresh = await startKernel();
    expect((await fresh.request("shell", "comm_info_request", {})).content.comms).toEqual({});
    await fresh.shutdown();
  });
});

describe("widgets", () => {
  test("a moved slider changes the kernel's value, and its output goes to the cell that made it", async () => {
    const { report, id } = await make("const slider = new widgets.IntSlider({ max: 10 }); slider.onChange((layer) => { console.log('layer', layer); }); slider");
    expect(contentsOf(report, "execute_result")[0]?.data).toEqual({
      "application/vnd.jupyter.widget-view+json": { version_major: 2, version_minor: 0, model_id: id }, "text/plain": "IntSlider({ max: 10 })",
    });
    await change(id, { value: 4 });
    expect((await seen(isStream("layer 4"))).parentHeader.msg_id).toBe(parentOf(report));
    expect((await run("slider.value")).result).toBe("4");
  });

  test("the change of one page is echoed to all, as the answer to its message, before idle", async () => {
    const { id } = await make("const echoed = new widgets.IntSlider()");
    await change(id, { value: 6 });
    await seen(isIdle);
    const about = strays.filter(({ parentHeader }) => parentHeader.msg_type === "comm_msg");
    expect(about.map(({ header, content }) => content.execution_state ?? [header.msg_type, content.comm_id, content.data])).toEqual(
      ["busy", ["comm_msg", id, { method: "echo_update", state: { value: 6 }, buffer_paths: [] }], "idle"]);
    expect(new Set(about.map(({ parentHeader }) => parentHeader.msg_id)).size).toBe(1);
  });

  test("a running cell that awaits gets values and clicks, and the kernel stays busy", async () => {
    const { id } = await make("const awaited = new widgets.IntSlider()");
    const running = run("console.log('waiting'); await awaited.nextValue()");
    await pause(300);
    await change(id, { value: 3 });
    const report = await running;
    expect(report.result).toBe("3");
    const states = strays.concat(report.messages).filter(({ header }) => header.msg_type === "status");
    expect(states.length).toBeGreaterThan(0);
  });

  test("a callback in a busy cell's way comes when it is through, with the newest value only", async () => {
    const { id } = await make("const values: number[] = []; const dragged = new widgets.IntSlider({ max: 1000 }); dragged.onChange((value) => { values.push(value); })");
    const running = run("const until = Date.now() + 600; while (Date.now() < until); values.length");
    await pause(200);
    for (let value = 1; value <= 200; value++) await change(id, { value });
    expect((await running).result).toBe("0");
    await expect.poll(async () => (await run("values.at(-1)")).result, { timeout: 3000 }).toBe("200");
    expect(Number((await run("values.length")).result)).toBeLessThanOrEqual(3);
  });

  test("an endless callback is stopped by an interrupt, and the next one runs", async () => {
    const { id } = await make("const stuck = new widgets.IntSlider(); stuck.onChange((value) => { console.log('value', value); while (value === 1); })");
    await change(id, { value: 1 });
    await seen(isStream("value 1"));
    await client.interrupt();
    expect((await run("'free'")).result).toBe("'free'");
    await change(id, { value: 2 });
    await seen(isStream("value 2"));
  });

  test("a timer that a callback sets works after its cell was interrupted, and stops with the next interrupt", async () => {
    const waiting = run("const timed = new widgets.Button(); let ticks = 0; timed.onClick(() => { setInterval(() => { ticks += 1; }, 5); }); await new Promise(() => {})");
    await pause(400);
    await client.interrupt();
    const report = await waiting;
    expect(report.reply).toMatchObject({ ename: "KeyboardInterrupt" });
    await send("comm_msg", { comm_id: contentsOf(report, "comm_open").at(-1)?.comm_id, data: { method: "custom", content: { event: "click" } } });
    await expect.poll(async () => Number((await run("ticks")).result), { timeout: 3000 }).toBeGreaterThan(0);
    await client.interrupt();
    const after = (await run("ticks")).result;
    await pause(60);
    expect((await run("ticks")).result).toBe(after);
  });

  test("interact is typed by its controls, shows its result in place and runs again", async () => {
    const { report } = await make(`widgets.interact(({ layer, name, kind, isOn }) => {
        const checks: [number, string, "a" | "b", boolean] = [layer, name, kind, isOn];
        console.log(checks.join("/")); return layer;
      }, { layer: [0, 10], name: "x", kind: ["a", "b"], isOn: true })`);
    expect(report.types.filter((type) => !type.startsWith("comm_"))).toEqual(["execute_input", "display_data"]);
    const outputs = contentsOf(report, "comm_msg").map(({ data }) => (data as { state: JsonObject }).state.outputs).at(-1);
    expect(outputs).toEqual([{ output_type: "stream", name: "stdout", text: "5/x/a/true\n" }, { output_type: "display_data", data: { "text/plain": "5" }, metadata: {} }]);
    const slider = contentsOf(report, "comm_open").find(({ data }) => (data as { state: JsonObject }).state._model_name === "IntSliderModel");
    await change(String(slider?.comm_id), { value: 8 });
    const update = await seen(({ content }) => JSON.stringify(content).includes("8/x/a/true"));
    expect(update.header.msg_type).toBe("comm_msg");
    // Nothing of it goes to the cell.
    expect(strays.filter(({ header }) => header.msg_type === "stream")).toEqual([]);
    const wrong = await run("widgets.interact(({ layer }) => layer.toUpperCase(), { layer: [0, 10] })");
    expect(wrong.reply.evalue).toMatch(/^TS2339:.*toUpperCase/);
  });

  test("wrong options are found by the type checker before the cell runs", async () => {
    expect((await run("new widgets.IntSlider({ maximum: 3 })")).reply.evalue).toMatch(/^TS2353:.*maximum/);
    expect((await run("new widgets.Dropdown({ options: [2, 4] }).value.toFixed(1)")).result).toBe("'2.0'");
  });

  test("an Output widget takes what its work shows, and its error; the rest goes to the cell", async () => {
    const report = await run(`const place = new widgets.Output();
      place.capture(() => { console.log("inside"); display({ "text/html": "<b>1</b>" }); throw new Error("inside broke"); });
      await place.capture(async () => { await null; console.log("later inside"); });
      console.log("outside"); place.outputs.map((output) => output.output_type)`);
    expect(report.stdout).toBe("outside\n");
    expect(report.result).toBe("[ 'stream', 'display_data', 'error', 'stream' ]");
  });

  test("a headless run of a notebook with widgets ends, with their text in it", async () => {
    const folder = temporaryFolder();
    const inputPath = join(folder, "widgets.ipynb");
    const source = "const bar = new widgets.IntProgress({ max: 3 }); display(bar);\nfor (let i = 0; i <= 3; i++) bar.value = i;\nwidgets.interact(({ x }) => `x is ${x}`, { x: [0, 10] })";
    writeFileSync(inputPath, JSON.stringify({ nbformat: 4, nbformat_minor: 5, metadata: {}, cells: [{ id: "a", cell_type: "code", source, metadata: {}, outputs: [], execution_count: null }] }));
    const { notebook, failedCell } = await runNotebook({ inputPath, timeoutSeconds: 30 });
    expect(failedCell).toBeUndefined();
    const texts = notebook.cells[0]?.outputs.map((output) => "data" in output ? output.data["text/plain"] : output);
    expect(texts).toEqual(["IntProgress({ max: 3 })", "IntSlider({ description: 'x', value: 5, max: 10 })\n'x is 5'"]);
  });
});
