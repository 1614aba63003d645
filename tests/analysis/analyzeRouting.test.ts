import * as tf from "@tensorflow/tfjs-core";
import "@tensorflow/tfjs-backend-cpu";
import { beforeAll, describe, expect, test } from "vitest";
import { analyzeRouting } from "../../toolkit/analysis/analyzeRouting.ts";
import type { RoutedModel } from "../../toolkit/analysis/routedModel.ts";
import { traceTokens } from "../../toolkit/analysis/traceTokens.ts";
import { displaySymbol } from "../../toolkit/plot/notebook.ts";

const numExperts = 4;

/** A stand-in whose routing is known: layer l sends token id t to experts (t + l) mod 4 and (t + l + 1) mod 4 with
 *  weights 0.7 and 0.3. It keeps the shapes it was asked for. */
class ClockModel implements RoutedModel {
  readonly config = { numLayers: 2, contextLength: 5, moe: { numExperts, expertsPerToken: 2 } };
  readonly shapes: number[][] = [];

  forward(ids: tf.Tensor2D): ReturnType<RoutedModel["forward"]> {
    this.shapes.push(ids.shape);
    const tokens = Array.from(ids.dataSync());
    return {
      routing: [0, 1].map((layer) => ({
        layer,
        ids: tf.tensor2d(tokens.map((token) => [(token + layer) % 4, (token + layer + 1) % 4]), undefined, "int32"),
        weights: tf.tensor2d(tokens.map(() => [0.7, 0.3])),
        probabilities: tf.tensor2d(tokens.map((token) => Array.from({ length: 4 }, (_, expert) => (expert === (token + layer) % 4 ? 0.7 : 0.1)))),
      })),
    };
  }
}

beforeAll(async () => { await tf.setBackend("cpu"); });

describe("analyzeRouting", () => {
  test("counts every token of the text once, the last window being shorter", async () => {
    const model = new ClockModel();
    const progress: [number, number][] = [];
    const report = await analyzeRouting(model, Int32Array.from({ length: 23 }, (_, index) => index % 3), {
      batchSize: 2, onProgress: (done, total) => progress.push([done, total]),
    });
    expect(model.shapes).toEqual([[2, 5], [2, 5], [1, 3]]);
    expect(progress).toEqual([[10, 23], [20, 23], [23, 23]]);
    // 8 tokens of id 0, 8 of id 1, 7 of id 2; layer 0: id t goes to experts t and t + 1
    expect(report.summary.layers[0]).toMatchObject({ numTokens: 23, counts: [8, 16, 15, 7] });
    expect(report.summary.layers[1]?.counts).toEqual([7, 8, 16, 15]);
    expect(report.summary.layers[0]?.maxVio).toBeCloseTo(16 / 11.5 - 1, 12);
    const tokenEntropy = (-0.7 * Math.log(0.7) - 0.3 * Math.log(0.1)) / Math.log(4);
    expect(report.summary.mean.tokenEntropy).toBeCloseTo(tokenEntropy, 6);
  });

  test("takes only the first maxTokens, in windows of the length asked for", async () => {
    const model = new ClockModel();
    const report = await analyzeRouting(model, new Int32Array(100), { maxTokens: 8, contextLength: 4, batchSize: 8 });
    expect(model.shapes).toEqual([[2, 4]]);
    expect(report.summary.layers[0]?.numTokens).toBe(8);
  });

  test("frees every tensor it makes", async () => {
    const model = new ClockModel();
    const before = tf.memory().numTensors;
    await analyzeRouting(model, new Int32Array(12));
    await traceTokens(model, new Int32Array(4));
    expect(tf.memory().numTensors).toBe(before);
  });

  test("refuses windows the model can't take, empty batches and empty text", async () => {
    const model = new ClockModel();
    await expect(analyzeRouting(model, new Int32Array(9), { contextLength: 6 })).rejects.toThrow("E_ANALYSIS_CONTEXT");
    await expect(analyzeRouting(model, new Int32Array(9), { batchSize: 0 })).rejects.toThrow("E_ANALYSIS_BATCH");
    await expect(analyzeRouting(model, new Int32Array(0))).rejects.toThrow("E_ANALYSIS_NO_TOKENS");
  });
});

describe("a routing report", () => {
  test("shows itself as a table with a row for each layer and one for the means", async () => {
    const report = await analyzeRouting(new ClockModel(), new Int32Array(5));
    const bundle = report[displaySymbol]();
    expect(String(bundle["text/html"]).match(/<tr /g)).toHaveLength(1 + 2 + 1);
    const lines = String(bundle["text/plain"]).split("\n");
    expect(lines[0]).toBe("Routing of 5 tokens: 4 experts, 2 per token");
    // 5 tokens of id 0: experts 0 and 1 of layer 0 get 5 each, mean 2.5
    expect(lines[2]?.trim().split(/\s{2,}/)).toEqual(["0", "1.000", "0.500", "1.000", "0.500", "0.678", "2, 3"]);
    expect(lines.at(-1)).toMatch(/mean .* 4 of 8$/);
  });

  test("draws load, balance and entropy of the same numbers", async () => {
    const figures = (await analyzeRouting(new ClockModel(), new Int32Array(5))).figures();
    expect(figures.expertLoad.data[0]).toMatchObject({ type: "heatmap", z: [[50, 50, 0, 0], [0, 50, 50, 0]] });
    expect(figures.loadBalance.data.map((trace) => trace.y)).toEqual([[1, 1], [0.5, 0.5]]);
    expect(figures.entropy.data[0]?.y).toEqual([0.5, 0.5]);
  });
});

describe("traceTokens", () => {
  test("gives each token's experts and weights in each layer, best first", async () => {
    const [first, second] = await traceTokens(new ClockModel(), Int32Array.from([0, 3]));
    expect(first?.expertIds).toEqual([[0, 1], [3, 0]]);
    expect(second?.expertIds).toEqual([[1, 2], [0, 1]]);
    expect(first?.weights.flat().map((weight) => Number(weight.toFixed(6)))).toEqual([0.7, 0.3, 0.7, 0.3]);
  });

  test("refuses more tokens than the model sees at once", async () => {
    await expect(traceTokens(new ClockModel(), new Int32Array(6))).rejects.toThrow("E_TRACE_LENGTH");
  });
});
