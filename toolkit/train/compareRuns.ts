import { readFileSync } from "node:fs";
import { basename, join, resolve } from "node:path";
import { FileFormatError } from "../errors.ts";
import { transformerConfig, type TransformerConfig } from "../models/config.ts";
import { modelSize } from "../models/count.ts";
import { Figure } from "../plot/figure.ts";
import { lineTrace } from "../plot/lineChart.ts";
import { displaySymbol, type Displayable, type MimeBundle } from "../plot/notebook.ts";
import { readMetrics, withoutUndone, type EvaluationRecord, type EventRecord, type StepRecord } from "./metrics.ts";
import type { Recipe } from "./recipe.ts";
import { runTable } from "./runTable.ts";

/** One run in numbers. */
export interface RunRow {
  readonly name: string;
  readonly folder: string;
  readonly totalParameters: number;
  readonly activeParameters: number;
  readonly steps: number;
  readonly tokens: number;
  readonly flops: number;
  readonly seconds: number;
  /** of the whole run */
  readonly tokensPerSecond: number;
  /** mean over the last 20 steps */
  readonly trainLossNats: number;
  /** NaN without an evaluation, as the two below it */
  readonly bestValidationLossNats: number;
  readonly lastValidationLossNats: number;
  /** mean over the last 20 steps of the mean over layers; 0 for a model without routers */
  readonly maxVio: number;
  readonly events: number;
  /** settings of model and recipe in which the runs differ, by their path, e.g. "recipe.learningRate" */
  readonly settings: Readonly<Record<string, string>>;
}

/** What loss is plotted against. */
export type RunAxis = "tokens" | "flops" | "seconds";

interface LoadedMetrics {
  readonly name: string;
  readonly folder: string;
  readonly model: TransformerConfig;
  readonly recipe: Recipe;
  readonly steps: readonly StepRecord[];
  readonly evaluations: readonly EvaluationRecord[];
  readonly events: readonly EventRecord[];
}

/** Steps whose mean stands for the end of a run. */
const lastSteps = 20;
/** Most points of a curve; each is the mean over equally many steps, so that batches of another difficulty don't hide it. */
const maxPoints = 60;
const axisTitles: Readonly<Record<RunAxis, string>> = { tokens: "training tokens", flops: "training FLOPs", seconds: "seconds of training" };

/** Reads several run folders, also of runs that are still going, and sets them side by side.
 *  @param folders run folders; by name, to give them other names than the folders'
 *  @throws FileFormatError E_NO_RUN, E_METRICS_CORRUPT */
export function compareRuns(folders: readonly string[] | Readonly<Record<string, string>>): RunComparison {
  const named = Array.isArray(folders) ? uniqueNames(folders as readonly string[]) : Object.entries(folders as Record<string, string>);
  if (named.length === 0) throw new FileFormatError({ code: "E_NO_RUN", what: "compareRuns got no folder", why: "there is nothing to compare", fix: "name the folders of one run or more" });
  return new RunComparison(named.map(([name, folder]) => loadMetrics(name, folder)));
}

/** Several runs: a table in a notebook, figures on request. */
export class RunComparison implements Displayable {
  readonly rows: readonly RunRow[];
  private readonly runs: readonly LoadedMetrics[];

  constructor(runs: readonly LoadedMetrics[]) {
    this.runs = runs;
    const settings = differingSettings(runs);
    this.rows = runs.map((run, index) => rowOf(run, settings[index]));
  }

  /** Training loss as a line and validation loss as dots, a colour for each run. */
  figure(axis: RunAxis = "tokens"): Figure {
    const data = this.runs.flatMap(({ name, steps, evaluations }, index) => {
      const points = meanPoints(steps, axis);
      return [
        lineTrace({ name, x: points.map(({ x }) => x), y: points.map(({ y }) => y) }, index),
        ...(evaluations.length === 0 ? [] : [{
          ...lineTrace({ name: `${name}, validation`, x: evaluations.map((record) => record[axis] ?? Number.NaN), y: evaluations.map(({ validationLossNats }) => validationLossNats), markers: true, dash: "dot" }, index),
          showlegend: false,
        }]),
      ];
    });
    return new Figure({
      data, layout: {
        title: { text: `Loss against ${axisTitles[axis]} (dotted: validation)` }, height: 420, hovermode: "closest", showlegend: true, legend: { y: -0.2, yanchor: "top" },
        xaxis: { title: { text: axisTitles[axis] }, zeroline: false }, yaxis: { title: { text: "loss (nats per token)" }, zeroline: false },
      },
    });
  }

  /** The figure against tokens, FLOPs and seconds: a sparse model often wins by the first two and loses by the third. */
  figures(): Record<RunAxis, Figure> {
    return { tokens: this.figure("tokens"), flops: this.figure("flops"), seconds: this.figure("seconds") };
  }

  toJSON(): readonly RunRow[] {
    return this.rows;
  }

  /** The table in plain text. */
  toString(): string {
    return runTable(this.rows).text;
  }

  [displaySymbol](): MimeBundle {
    const { html, text } = runTable(this.rows);
    return { "text/html": html, "text/plain": text };
  }
}

/** The folder's name, or its path where two have one name. */
function uniqueNames(folders: readonly string[]): [string, string][] {
  const names = folders.map((folder) => basename(resolve(folder)));
  return folders.map((folder, index) => [names.filter((name) => name === names[index]).length > 1 ? folder : names[index], folder]);
}

function loadMetrics(name: string, folder: string): LoadedMetrics {
  const read = <T>(file: string, parse: (path: string) => T): T => {
    try {
      return parse(join(folder, file));
    } catch (cause) {
      if (cause instanceof FileFormatError) throw cause;
      throw new FileFormatError({ code: "E_NO_RUN", what: `${join(folder, file)} can't be read`, why: "a run folder holds recipe.json and metrics.jsonl", fix: "name a folder that train() wrote", cause });
    }
  };
  const { model, recipe } = read("recipe.json", (path) => JSON.parse(readFileSync(path, "utf8")) as { model: TransformerConfig; recipe: Recipe });
  const records = withoutUndone(read("metrics.jsonl", readMetrics));
  return {
    name, folder, model, recipe,
    steps: records.filter((record) => record.kind === "step"), evaluations: records.filter((record) => record.kind === "evaluation"),
    events: records.filter((record) => record.kind === "event"),
  };
}

function rowOf({ name, folder, model, steps, evaluations, events }: LoadedMetrics, settings: RunRow["settings"]): RunRow {
  const last = steps.at(-1), recent = steps.slice(-lastSteps);
  const { totalParameters, activeParameters } = modelSize(transformerConfig(model));
  // A loss that was not finite is null in the file.
  const losses = evaluations.map(({ validationLossNats }) => validationLossNats).filter(Number.isFinite);
  return {
    name, folder, totalParameters, activeParameters, steps: last?.step ?? 0, tokens: last?.tokens ?? 0, flops: last?.flops ?? 0, seconds: last?.seconds ?? 0,
    tokensPerSecond: last ? last.tokens / last.seconds : Number.NaN, trainLossNats: mean(recent.map(({ lossNats }) => lossNats)),
    bestValidationLossNats: losses.length > 0 ? Math.min(...losses) : Number.NaN, lastValidationLossNats: losses.at(-1) ?? Number.NaN,
    maxVio: mean(recent.map(({ maxVio }) => maxVio)), events: events.length, settings,
  };
}

function mean(values: readonly number[]): number {
  return values.length === 0 ? Number.NaN : values.reduce((sum, value) => sum + value, 0) / values.length;
}

function meanPoints(steps: readonly StepRecord[], axis: RunAxis): { x: number; y: number }[] {
  const stride = Math.max(1, Math.ceil(steps.length / maxPoints));
  return Array.from({ length: Math.ceil(steps.length / stride) }, (_, index) => {
    const part = steps.slice(index * stride, (index + 1) * stride);
    return { x: mean(part.map((record) => record[axis])), y: mean(part.map(({ lossNats }) => lossNats)) };
  });
}

/** For each run the settings in which not all runs are equal. */
function differingSettings(runs: readonly LoadedMetrics[]): Record<string, string>[] {
  const all = runs.map(({ model, recipe }) => new Map(flattened({ model, recipe })));
  const names = new Set(all.flatMap((settings) => [...settings.keys()]));
  const differing = [...names].filter((name) => new Set(all.map((settings) => settings.get(name))).size > 1);
  return all.map((settings) => Object.fromEntries(differing.map((name) => [name, settings.get(name) ?? "none"])));
}

function flattened(value: unknown, path = ""): [string, string][] {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return [[path, typeof value === "string" ? value : JSON.stringify(value)]];
  return Object.entries(value).flatMap(([name, inner]) => flattened(inner, path === "" ? name : `${path}.${name}`));
}
