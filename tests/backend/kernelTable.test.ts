import { readFileSync } from "node:fs";
import { join } from "node:path";
import "@tensorflow/tfjs-backend-cpu";
import * as tf from "@tensorflow/tfjs-core";
import { beforeAll, expect, test } from "vitest";
import { Chance } from "../native/fuzz/chance.ts";
import { opMakers } from "../native/fuzz/opMakers.ts";

const page = readFileSync(join(import.meta.dirname, "../../docs/backend.md"), "utf8");

/** Calls of random ops: enough for each kernel to meet each dtype that its op takes. */
const CALLS_PER_OP = 150;

const dtypes = ["float32", "int32", "bool", "complex64"];
/** dtypes that each kernel of "native" computed itself, by name */
const computed = new Map<string, Set<string>>();
/** kernels of "native" that are tfjs's own */
let taken: string[] = [];

/** What a kernel works on: its one input, the first of several, or the values beside indices and conditions. */
function dtypeOf(inputs: Readonly<Record<string, tf.TensorInfo | undefined>>, attrs: tf.NamedAttrMap | undefined): string {
  const main = ["x", "a", "t", "value", "tensor", "updates", "params", "logits", "input", "dy", "indices", "0"].find((name) => inputs[name] !== undefined);
  const made = typeof attrs?.dtype === "string" ? attrs.dtype : "float32"; // of kernels without inputs
  return main === undefined ? made : inputs[main]?.dtype ?? made;
}

function replace(backendName: string, config: tf.KernelConfig, kernelFunc: tf.KernelFunc): void {
  tf.unregisterKernel(config.kernelName, backendName);
  tf.registerKernel({ ...config, backendName, kernelFunc });
}

beforeAll(async () => {
  // Wrapped before "native" takes them over: what it passes on comes through here.
  let passedOn = "";
  for (const config of tf.getKernelsForBackend("cpu"))
    replace("cpu", config, (call) => {
      passedOn = config.kernelName;
      return config.kernelFunc(call);
    });
  const { chooseBackend } = await import("../../toolkit/backend/choose.ts");
  await chooseBackend("native");
  const tfjsKernels = tf.getKernelsForBackend("native").filter(({ kernelName }) => tf.getKernelsForBackend("cpu").some((cpu) => cpu.kernelName === kernelName));
  const isTaken = ({ kernelName, kernelFunc }: tf.KernelConfig): boolean => kernelFunc === tf.getKernel(kernelName, "cpu").kernelFunc;
  taken = tfjsKernels.filter(isTaken).map(({ kernelName }) => kernelName).sort();
  for (const config of tfjsKernels.filter((kernel) => !isTaken(kernel))) {
    computed.set(config.kernelName, new Set());
    replace("native", config, (call) => {
      passedOn = "";
      const output = config.kernelFunc(call);
      if (passedOn !== config.kernelName) computed.get(config.kernelName)?.add(dtypeOf(call.inputs, call.attrs));
      return output;
    });
  }
  for (const make of Object.values(opMakers)) for (let seed = 0; seed < CALLS_PER_OP; seed += 1) runOp(make(new Chance(seed)));
});

function runOp({ inputs, run }: ReturnType<(typeof opMakers)[string]>): void {
  tf.engine().startScope();
  try {
    run(inputs.map(({ values, shape, dtype }) => tf.tensor(values, shape, dtype)));
  } catch (error) {
    if (!(error instanceof Error)) throw error; // calls that tfjs or the backend refuse are part of the random ones
  } finally {
    tf.engine().endScope();
  }
}

/** Rows of the table of the page below a heading. */
function rowsBelow(heading: string): string[][] {
  const [, section = ""] = page.split(`## ${heading}\n`);
  const lines = section.split("\n## ")[0].split("\n").filter((line) => line.startsWith("|"));
  return lines.slice(2).map((line) => line.split("|").slice(1, -1).map((cell) => cell.trim()));
}

test("docs/backend.md names for each native kernel the dtypes that it computes", () => {
  const groups = new Map<string, string[]>();
  for (const [name, found] of [...computed].sort(([a], [b]) => (a < b ? -1 : 1))) {
    const group = dtypes.filter((dtype) => found.has(dtype)).join(", ");
    groups.set(group, [...(groups.get(group) ?? []), name]);
  }
  expect(groups.get(""), "kernels that no random op reached").toBeUndefined();
  expect(rowsBelow("Kernels of our own")).toEqual([...groups].sort(([a], [b]) => b.length - a.length || (a < b ? -1 : 1)).map(([group, names]) => [group, names.join(" ")]));
});

test("docs/backend.md names the kernels that tfjs computes, each with a reason", () => {
  const rows = rowsBelow("Kernels that tfjs computes");
  expect(rows.flatMap(([names]) => names.split(" ")).sort()).toEqual(taken);
  for (const [, reason] of rows) expect(reason.length).toBeGreaterThan(10);
});
