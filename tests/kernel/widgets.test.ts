/** Widgets against the documented facts of ipywidgets: packages/schema/messages.md (protocol 2.1) and
 *  jupyterwidgetmodels.latest.md; widgetStates.json holds what ipywidgets 8 itself sends (tests/peers/frontEnds.test.ts records
 *  it anew and compares). */
/* eslint-disable @typescript-eslint/no-unsafe-assignment, @typescript-eslint/no-unsafe-call, @typescript-eslint/no-unsafe-member-access,
   @typescript-eslint/no-unsafe-return, @typescript-eslint/no-unsafe-argument -- the types of widgets are a text for cells (declarations.ts); comms.test.ts goes through them */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import ts from "typescript";
import { beforeEach, describe, expect, test } from "vitest";
import { AMBIENT_DECLARATIONS } from "../../kernel/compile/ambient.ts";
import { WidgetError } from "../../kernel/errors.ts";
import type { JsonObject } from "../../kernel/protocol/json.ts";
import { joinBuffers, splitBuffers } from "../../kernel/widgets/buffers.ts";
import { MODELS } from "../../kernel/widgets/models.ts";
import { pause } from "./kernelHarness.ts";
import { WidgetBench } from "./widgetHarness.ts";
import type { AnyWidget } from "./widgetHarness.ts";

let bench: WidgetBench;
let widgets: Record<string, AnyWidget>;
beforeEach(() => {
  bench = new WidgetBench();
  ({ widgets } = bench);
});

/** The classes of the declarations and the properties of their objects. */
function declaredProperties(): Map<string, string[]> {
  const path = "/ambient.d.ts";
  const options: ts.CompilerOptions = { lib: ["lib.es2023.d.ts"], types: [], strict: true };
  const host = ts.createCompilerHost(options);
  const readLibrary = host.getSourceFile.bind(host);
  host.getSourceFile = (name, languageVersion, ...rest) =>
    name === path ? ts.createSourceFile(name, AMBIENT_DECLARATIONS, languageVersion) : readLibrary(name, languageVersion, ...rest);
  const program = ts.createProgram([path], options, host);
  expect(program.getSemanticDiagnostics(program.getSourceFile(path)).filter(({ code }) => code !== 2304).map(({ messageText }) => messageText)).toEqual([]);
  const checker = program.getTypeChecker();
  const namespace = checker.resolveName("widgets", program.getSourceFile(path), ts.SymbolFlags.Namespace, false);
  const classes = namespace === undefined ? [] : checker.getExportsOfModule(namespace).filter(({ flags }) => flags & ts.SymbolFlags.Class);
  return new Map(classes.map((symbol) => [symbol.name, checker.getDeclaredTypeOfSymbol(symbol).getProperties().map(({ name }) => name)]));
}

const codeOf = (work: () => unknown): string | undefined => {
  try {
    work();
  } catch (error) {
    if (error instanceof WidgetError) return error.code;
    throw error;
  }
  return undefined;
};

describe("models", () => {
  const recorded = JSON.parse(readFileSync(join(import.meta.dirname, "widgetStates.json"), "utf8")) as Record<string, JsonObject>;
  const kindOf = (value: unknown): string => value === null ? "null" : Array.isArray(value) ? "array" : typeof value;

  test.each(Object.keys(recorded))("%s sends no attribute that ipywidgets does not, and each with its default", (name) => {
    const theirs = recorded[name] ?? {};
    const made = new widgets[name]("_options_labels" in theirs ? { options: ["a", "b"] } : {});
    const opened = bench.news().find(({ commId }) => commId === made.modelId);
    const { state } = opened?.data as { state: JsonObject };
    for (const [attribute, value] of Object.entries(state)) {
      expect(Object.keys(theirs)).toContain(attribute);
      if (String(theirs[attribute]).startsWith("IPY_MODEL_")) expect(value).toMatch(/^IPY_MODEL_/);
      else expect({ [attribute]: value }).toEqual({ [attribute]: theirs[attribute] });
      expect(kindOf(value)).toBe(kindOf(theirs[attribute]));
    }
  });

  test("the type checker knows each class, with the properties that it has when it runs", () => {
    // Properties of the protocol that cells set by others: options, capture().
    const hidden = new Set(["optionsLabels", "msgId"]);
    const declared = declaredProperties();
    expect([...declared.keys()].filter((name) => name in recorded).sort()).toEqual(Object.keys(recorded).filter((name) => !name.endsWith("Style")).sort());
    for (const [name, properties] of declared) {
      const model = MODELS.get(name);
      if (model === undefined) continue;
      const made = new widgets[name]();
      expect({ [name]: properties.filter((property) => !(property in made)) }).toEqual({ [name]: [] });
      const own = [...model.properties.keys(), ...(model.hasLayout ? ["layout"] : []), ...(model.style === null ? [] : ["style"])];
      expect({ [name]: own.filter((property) => !properties.includes(property) && !hidden.has(property)) }).toEqual({ [name]: [] });
    }
  });

  test("every class is recorded", () => {
    const classes = Object.entries(widgets).filter(([name, value]) => /^[A-Z]/.test(name) && name !== "Widget" && typeof value === "function").map(([name]) => name);
    expect(classes.sort()).toEqual(Object.keys(recorded).sort());
  });
});

describe("a widget", () => {
  test("is opened after its layout and style, under protocol 2.1, with references to them", () => {
    const slider = new widgets.IntSlider({ value: 3, max: 11, description: "layer", readoutFormat: "d" });
    const [layout, style, opened] = bench.news();
    expect([layout, style, opened].map((message) => [message?.kind, message?.targetName, message?.metadata])).toEqual(
      Array(3).fill(["comm_open", "jupyter.widget", { version: "2.1.0" }]));
    expect(opened?.commId).toBe(slider.modelId);
    expect(opened?.data).toMatchObject({
      buffer_paths: [],
      state: {
        _model_module: "@jupyter-widgets/controls", _model_module_version: "2.0.0", _model_name: "IntSliderModel",
        _view_module: "@jupyter-widgets/controls", _view_module_version: "2.0.0", _view_name: "IntSliderView",
        value: 3, min: 0, max: 11, step: 1, description: "layer", layout: `IPY_MODEL_${layout?.commId}`, style: `IPY_MODEL_${style?.commId}`,
      },
    });
  });

  test("shows itself as a widget view with a text for front ends without widgets", () => {
    const slider = new widgets.IntSlider({ value: 3, description: "layer" });
    expect(slider[Symbol.for("Jupyter.display")]()).toEqual({
      "application/vnd.jupyter.widget-view+json": { version_major: 2, version_minor: 0, model_id: slider.modelId },
      "text/plain": "IntSlider({ description: 'layer', value: 3 })",
    });
  });

  test("that is set in a cell sends an update", () => {
    const slider = new widgets.FloatSlider({ max: 1 });
    bench.news();
    slider.value = 0.25;
    expect(bench.news().map(({ kind, commId, data }) => [kind, commId, data])).toEqual(
      [["comm_msg", slider.modelId, { method: "update", state: { value: 0.25 }, buffer_paths: [] }]]);
    slider.value = 0.25;
    expect(bench.news()).toEqual([]);
  });

  test("that the user moves changes here, tells the listeners, and sends nothing back", () => {
    const slider = new widgets.IntSlider();
    const seen: unknown[] = [];
    slider.onChange((value: number, old: number) => { seen.push([value, old]); });
    slider.observe(({ name, new: value }: { name: string; new: unknown }) => { seen.push([name, value]); }, ["max", "value"]);
    bench.news();
    bench.change(slider, { value: 7 });
    bench.change(slider, { value: 7 });
    expect(slider.value).toBe(7);
    expect(seen).toEqual([[7, 0], ["value", 7]]);
    expect(bench.news()).toEqual([]);
  });

  test("ends an observation", () => {
    const slider = new widgets.IntSlider();
    let calls = 0;
    const end = slider.onChange(() => { calls += 1; });
    bench.change(slider, { value: 1 });
    end();
    bench.change(slider, { value: 2 });
    expect(calls).toBe(1);
  });

  test("answers values of the front end that it can't have with the right ones", () => {
    const slider = new widgets.IntSlider({ value: 5, max: 10 });
    bench.news();
    bench.change(slider, { value: 99 });
    expect(slider.value).toBe(10);
    expect(bench.updates()).toEqual([{ commId: slider.modelId, state: { value: 10 } }]);
    bench.change(slider, { value: "high", max: null, unknown: 1 });
    expect([slider.value, slider.max]).toEqual([10, 10]);
    expect(bench.updates()).toEqual([{ commId: slider.modelId, state: { value: 10, max: 10 } }]);
    bench.change(slider, { min: 20 });
    expect([slider.min, slider.max]).toEqual([0, 10]);
  });

  test.each([
    ["E_WIDGET_VALUE", () => new widgets.IntSlider({ value: 1.5 })],
    ["E_WIDGET_VALUE", () => new widgets.FloatSlider({ value: NaN })],
    ["E_WIDGET_VALUE", () => new widgets.Checkbox({ value: "yes" })],
    ["E_WIDGET_VALUE", () => new widgets.Button({ buttonStyle: "loud" })],
    ["E_WIDGET_VALUE", () => new widgets.IntRangeSlider({ value: [5, 1] })],
    ["E_WIDGET_VALUE", () => new widgets.VBox({ children: ["text"] })],
    ["E_WIDGET_PROPERTY", () => new widgets.IntSlider({ maximum: 5 })],
    ["E_WIDGET_PROPERTY", () => new widgets.IntSlider({ layout: { weight: "5px" } })],
    ["E_WIDGET_RANGE", () => new widgets.IntSlider({ min: 5, max: 1 })],
    ["E_WIDGET_RANGE", () => new widgets.FloatLogSlider({ base: 0.5 })],
    ["E_WIDGET_OPTION", () => new widgets.Dropdown({ options: ["a"], value: "b" })],
    ["E_WIDGET_CONTROL", () => widgets.interact(() => 0, { x: [] })],
  ])("%s refuses %s", (code, work) => {
    expect(codeOf(work)).toBe(code);
  });

  test("changes both ends of a range at once, and keeps its value inside", () => {
    const slider = new widgets.IntSlider({ value: 5, max: 10 });
    bench.news();
    slider.update({ min: 20, max: 30 });
    expect([slider.min, slider.max, slider.value]).toEqual([20, 30, 20]);
    expect(bench.updates()).toEqual([{ commId: slider.modelId, state: { min: 20, max: 30, value: 20 } }]);
    expect(codeOf(() => { slider.max = 1; })).toBe("E_WIDGET_RANGE");
    expect(slider.max).toBe(30);
  });

  test("keeps a logarithmic slider between the powers of its base", () => {
    const slider = new widgets.FloatLogSlider({ base: 2, min: -3, max: 3, value: 100 });
    expect(slider.value).toBe(8);
  });

  test("that changes in a fast loop sends few messages, and the last value", () => {
    const bar = new widgets.IntProgress({ max: 100_000 });
    bench.news();
    for (let step = 1; step <= 100_000; step++) bar.value = step;
    const states = bench.updates().map(({ state }) => state.value);
    expect(states.length).toBeLessThan(1000);
    expect(states.at(-1)).toBe(100_000);
  });

  test("sends binary values as buffers", () => {
    const image = new widgets.Image({ value: Uint8Array.of(1, 2, 3), format: "png" });
    const opened = bench.news().at(-1);
    expect(opened?.data).toMatchObject({ state: { format: "png" }, buffer_paths: [["value"]] });
    expect((opened?.data as { state: JsonObject }).state).not.toHaveProperty("value");
    expect(opened?.buffers.map((buffer) => [...buffer])).toEqual([[1, 2, 3]]);
    bench.receive(String(image.modelId), { method: "update", state: {}, buffer_paths: [["value"]] }, [Uint8Array.of(9)]);
    expect([...image.value]).toEqual([9]);
  });

  test("answers request_state with its whole state", () => {
    const box = new widgets.Checkbox({ value: true });
    bench.news();
    bench.receive(String(box.modelId), { method: "request_state" });
    expect(bench.updates()[0]?.state).toMatchObject({ _model_name: "CheckboxModel", value: true });
  });

  test("closes with its layout and style, and takes no more messages", () => {
    const slider = new widgets.IntSlider();
    bench.news();
    slider.close();
    slider.close();
    expect(bench.news().map(({ kind }) => kind)).toEqual(["comm_close", "comm_close", "comm_close"]);
    bench.change(slider, { value: 5 });
    slider.value = 6;
    expect(bench.news()).toEqual([]);
    expect(slider[Symbol.for("Jupyter.display")]()).toEqual({ "text/plain": "IntSlider (closed)" });
  });

  test("that the page closes is closed here", () => {
    const slider = new widgets.IntSlider();
    bench.comms.receive({ type: "comm", kind: "comm_close", commId: slider.modelId, targetName: "", runId: 0, data: {}, metadata: {}, buffers: [] });
    expect(slider[Symbol.for("Jupyter.display")]()).toEqual({ "text/plain": "IntSlider (closed)" });
  });

  test("goes on with a failing listener, whose error is shown", () => {
    const said: string[] = [];
    const write = process.stderr.write.bind(process.stderr);
    process.stderr.write = (text: string | Uint8Array) => { said.push(String(text)); return true; };
    try {
      const slider = new widgets.IntSlider();
      slider.onChange(() => { throw new Error("listener broke"); });
      slider.onChange((value: number) => { said.push(`second ${value}`); });
      bench.change(slider, { value: 4 });
    } finally {
      process.stderr.write = write;
    }
    expect(said.join("")).toMatch(/a listener of IntSlider failed: Error: listener broke[^]*second 4/);
  });

  test("calls an asynchronous listener again only when it has ended, with the newest value", async () => {
    const slider = new widgets.IntSlider();
    const seen: number[] = [];
    slider.onChange(async (value: number) => {
      seen.push(value);
      await pause(30);
    });
    for (let value = 1; value <= 50; value++) bench.change(slider, { value });
    await pause(120);
    expect(seen).toEqual([1, 50]);
  });

  test("can be awaited: its next value, its next click", async () => {
    const [slider, button] = [new widgets.IntSlider(), new widgets.Button()];
    const waiting = Promise.all([slider.nextValue(), button.nextClick()]);
    bench.change(slider, { value: 8 });
    bench.receive(String(button.modelId), { method: "custom", content: { event: "click" } });
    expect(await waiting).toEqual([8, undefined]);
  });
});

describe("selections", () => {
  test("the page has labels and an index, the kernel any values", () => {
    const top = { k: 2 };
    const menu = new widgets.Dropdown({ options: { dense: null, "top 2": top }, value: top });
    expect(bench.news().at(-1)?.data).toMatchObject({ state: { _options_labels: ["dense", "top 2"], index: 1 } });
    const seen: unknown[] = [];
    menu.onChange((value: unknown, old: unknown) => { seen.push([value, old]); });
    bench.change(menu, { index: 0 });
    expect([menu.value, menu.label, menu.index]).toEqual([null, "dense", 0]);
    expect(seen).toEqual([[null, top]]);
  });

  test("options are values or pairs; new options choose the first", () => {
    const menu = new widgets.ToggleButtons({ options: [1, 2, 4], value: 4 });
    expect([menu.label, menu.index]).toEqual(["4", 2]);
    menu.options = [["eight", 8], ["nine", 9]];
    expect([menu.value, menu.label]).toEqual([8, "eight"]);
    expect(bench.updates().at(-1)?.state).toEqual({ _options_labels: ["eight", "nine"], index: 0 });
  });

  test("an index that no option has is refused from either side", () => {
    const menu = new widgets.Select({ options: ["a", "b"] });
    bench.news();
    bench.change(menu, { index: 7 });
    expect([menu.index, menu.value]).toEqual([0, "a"]);
    expect(bench.updates()).toEqual([{ commId: menu.modelId, state: { index: 0 } }]);
    expect(codeOf(() => { menu.index = 7; })).toBe("E_WIDGET_OPTION");
  });
});

describe("buffers", () => {
  test("binary values leave objects, become null in arrays, and come back to their places", () => {
    // The example of messages.md: [['x'], ['y', 'z', 0]].
    const [x, z] = [Uint8Array.of(1), Uint8Array.of(2)];
    const split = splitBuffers({ x, y: { z: [z, 5] }, plain: "text" });
    expect(split).toEqual({ state: { y: { z: [null, 5] }, plain: "text" }, bufferPaths: [["x"], ["y", "z", 0]], buffers: [x, z] });
    expect(joinBuffers(split.state, split.bufferPaths, split.buffers)).toEqual({ x, y: { z: [z, 5] }, plain: "text" });
  });

  test.each([[[["__proto__", "polluted"]]], [[["nowhere", "deep"]]], [[[]]], ["text"], [[["list", 99]]], [null]])("paths that lead nowhere, %j, are left out", (paths) => {
    expect(joinBuffers({ list: [1] }, paths, [Uint8Array.of(1)])).toEqual({ list: [1] });
    expect({}).not.toHaveProperty("polluted");
  });
});

describe("a page that is loaded again", () => {
  test("gets every widget by the control comm", () => {
    const image = new widgets.Image({ value: Uint8Array.of(7) });
    const slider = new widgets.IntSlider({ value: 9 });
    bench.news();
    bench.comms.receive({ type: "comm", kind: "comm_open", commId: "control", targetName: "jupyter.widget.control", runId: 0, data: {}, metadata: { version: "1.0.0" }, buffers: [] });
    bench.receive("control", { method: "request_states" });
    const [answer] = bench.news();
    const { method, states, buffer_paths: paths } = answer?.data as { method: string; states: Record<string, JsonObject>; buffer_paths: unknown };
    expect([method, answer?.commId]).toEqual(["update_states", "control"]);
    expect(states[slider.modelId]).toMatchObject({ model_name: "IntSliderModel", model_module: "@jupyter-widgets/controls", model_module_version: "2.0.0", state: { value: 9 } });
    expect(Object.keys(states).length).toBe(5);
    expect(paths).toEqual([[image.modelId, "state", "value"]]);
    expect(answer?.buffers.map((buffer) => [...buffer])).toEqual([[7]]);
  });
});

describe("interact", () => {
  const outputsOf = (interaction: AnyWidget): JsonObject[] => interaction.widget.children.at(-1).outputs;

  test.each([
    ["a pair of whole numbers", [0, 10], "IntSlider", { min: 0, max: 10, value: 5, step: 1 }],
    ["a pair of fractions", [0, 2.5], "FloatSlider", { min: 0, max: 2.5, value: 1.25 }],
    ["a range with all its parts", { min: 0, max: 8, step: 2, value: 4 }, "IntSlider", { min: 0, max: 8, value: 4, step: 2 }],
    ["a range of whole numbers with a fractional step", { min: 0, max: 1, step: 0.1 }, "FloatSlider", { max: 1, step: 0.1, value: 0.5 }],
    ["a number, as ipywidgets, from -x to 3x", 10, "IntSlider", { min: -10, max: 30, value: 10 }],
    ["a negative fraction", -0.5, "FloatSlider", { min: -1.5, max: 0.5, value: -0.5 }],
    ["a list", ["a", "b", "c"], "Dropdown", { value: "a" }],
    ["a list of three numbers", [1, 2, 4], "Dropdown", { value: 1 }],
    ["two numbers that are said to be options", { options: [1, 2], value: 2 }, "Dropdown", { value: 2 }],
    ["an object", { small: 64, large: 512 }, "Dropdown", { value: 64, label: "small" }],
    ["a boolean", true, "Checkbox", { value: true }],
    ["a string", "hello", "Text", { value: "hello" }],
  ])("makes a control from %s", (_, abbreviation, className, properties) => {
    const { controls } = widgets.interact(() => undefined, { x: abbreviation });
    expect(controls.x.name).toBe(className);
    for (const [property, value] of Object.entries({ description: "x", ...properties })) expect([property, controls.x[property]]).toEqual([property, value]);
  });

  test("takes a widget as it is, with the argument's name where it has no description", () => {
    const slider = new widgets.IntSlider({ value: 2 });
    const { controls, values } = widgets.interact(() => undefined, { x: slider });
    expect(controls.x === slider).toBe(true);
    expect(slider.description).toBe("x");
    expect(values).toEqual({ x: 2 });
  });

  test("shows the result in place, and the new one instead when a control changes", () => {
    const interaction = widgets.interact(({ x }: { x: number }) => x * 2, { x: [0, 10] });
    expect(bench.shown.length === 1 && bench.shown[0] === interaction.widget).toBe(true);
    expect(outputsOf(interaction)).toEqual([{ output_type: "display_data", data: { "text/plain": "10" }, metadata: {} }]);
    bench.change(interaction.controls.x, { value: 7 });
    expect(outputsOf(interaction)).toEqual([{ output_type: "display_data", data: { "text/plain": "14" }, metadata: {} }]);
    expect(bench.updates().at(-1)?.state).toEqual({ outputs: outputsOf(interaction) });
  });

  test("shows an error instead of the result, and recovers", () => {
    const interaction = widgets.interact(({ x }: { x: number }) => { if (x > 5) throw new RangeError(`no layer ${x}`); return x; }, { x: [0, 10] });
    bench.change(interaction.controls.x, { value: 9 });
    expect(outputsOf(interaction)).toMatchObject([{ output_type: "error", ename: "RangeError", evalue: "no layer 9" }]);
    bench.change(interaction.controls.x, { value: 1 });
    expect(outputsOf(interaction)).toMatchObject([{ output_type: "display_data", data: { "text/plain": "1" } }]);
  });

  test("removes the old result of a function that now shows nothing", () => {
    const interaction = widgets.interact(({ x }: { x: boolean }) => x ? "shown" : undefined, { x: true });
    expect(outputsOf(interaction).length).toBe(1);
    bench.change(interaction.controls.x, { value: false });
    expect(outputsOf(interaction)).toEqual([]);
  });

  test("has never more than one call running, and ends with the newest values", async () => {
    let running = 0;
    let most = 0;
    const seen: number[] = [];
    const interaction = widgets.interact(async ({ x }: { x: number }) => {
      most = Math.max(most, ++running);
      seen.push(x);
      await pause(20);
      running -= 1;
      return x;
    }, { x: [0, 100] });
    for (let value = 51; value <= 100; value++) bench.change(interaction.controls.x, { value });
    await pause(100);
    expect([most, seen]).toEqual([1, [50, 100]]);
    expect(outputsOf(interaction)).toMatchObject([{ data: { "text/plain": "100" } }]);
  });

  test("with manual runs when its button is pressed", () => {
    const seen: number[] = [];
    const interaction = widgets.interact(({ x }: { x: number }) => { seen.push(x); }, { x: [0, 10] }, { manual: true });
    bench.change(interaction.controls.x, { value: 3 });
    expect(seen).toEqual([]);
    bench.receive(String(interaction.widget.children[1].modelId), { method: "custom", content: { event: "click" } });
    expect(seen).toEqual([3]);
  });

  test("as a cell's last value shows nothing a second time", () => {
    const interaction = bench.runs.within(bench.runs.start(1), () => widgets.interact(() => 1, { x: true }));
    const display = (): object => interaction[Symbol.for("Jupyter.display")]();
    expect(bench.runs.within(bench.runs.start(1), display)).toEqual({});
    expect(bench.runs.within(bench.runs.start(2), display)).toHaveProperty(["application/vnd.jupyter.widget-view+json", "model_id"], interaction.widget.modelId);
  });
});
