import { readFileSync } from "node:fs";
import { isMap, isNode, isPair, isScalar, LineCounter, parseDocument, type Document } from "yaml";
import { z } from "zod";
import { datasetSchema } from "../data/datasetSettings.ts";
import { ConfigError } from "../errors.ts";
import { policies } from "../train/gradientMonitor.ts";
import { nearestName } from "../moe/knownSettings.ts";
import { decayShapes } from "../train/schedule.ts";

const count = z.int().min(1), number = z.number(), patterns = z.union([z.string(), z.array(z.string())]);

/** The recipe as it may stand in a file: names and types; recipe() checks the values. */
export const recipeSchema = z.strictObject({
  steps: count,
  batchSize: count.optional(), accumulationSteps: count.optional(), contextLength: count.optional(),
  learningRate: number.optional(), warmupSteps: z.int().min(0).optional(),
  schedule: z.discriminatedUnion("kind", [
    z.strictObject({ kind: z.literal("constant") }),
    z.strictObject({ kind: z.enum(["cosine", "linear"]), finalLearningRateRatio: number.optional() }),
    z.strictObject({ kind: z.literal("wsd"), stableShare: number.optional(), decayShape: z.enum(decayShapes).optional(), finalLearningRateRatio: number.optional() }),
  ]).optional(),
  beta1: number.optional(), beta2: number.optional(), adamEpsilon: number.optional(), weightDecay: number.optional(),
  decayNormsAndBiases: z.boolean().optional(), decayEmbeddings: z.boolean().optional(), maxGradientNorm: number.optional(),
  parameterGroups: z.array(z.strictObject({ match: patterns, learningRateRatio: number.optional(), weightDecay: number.optional(), isFrozen: z.boolean().optional() })).optional(),
  precision: z.enum(["float32", "bfloat16", "float16"]).optional(), seed: z.int().min(0).optional(),
  evaluateEvery: count.optional(), evaluationTokens: count.optional(),
  earlyStop: z.strictObject({ patience: count, minDeltaNats: number.default(0) }).optional(),
  checkpointEvery: count.optional(), keepCheckpoints: count.optional(), keepBest: z.boolean().optional(), routerEntropyEvery: z.int().min(0).optional(),
  monitor: z.strictObject({
    onNotFinite: z.enum(policies).exclude(["record"]).optional(), onSpike: z.enum(policies).optional(),
    spikeWindow: count.optional(), spikeQuantile: number.optional(), lossSpikeFactor: number.optional(), gradientSpikeFactor: number.optional(),
    maxInterventions: z.int().min(0).optional(), gradientNormsEvery: z.int().min(0).optional(), deadNorm: number.optional(), deadSteps: count.optional(),
  }).optional(),
});

const files = z.union([z.string().min(1), z.array(z.string().min(1)).min(1)]);

const configSchema = z.strictObject({
  /** settings of transformerConfig; vocabSize is the tokenizer's unless given */
  model: z.looseObject({}),
  tokenizer: z.union([
    z.strictObject({ /** tokenizer.json */ file: z.string().min(1) }),
    z.strictObject({ /** V of a new one */ vocabSize: z.int().min(257), /** text it learns from, in millions of characters */ trainMegacharacters: z.number().positive().default(16) }),
  ]),
  data: z.strictObject({
    ...datasetSchema.shape,
    files: files.optional(),
    epochs: z.union([count, z.literal("endless")]).default("endless"),
    shuffle: datasetSchema.shape.shuffle.unwrap().prefault({ seed: 0 }),
    packing: z.union([z.strictObject({ kind: z.literal("concatenate") }), z.strictObject({ kind: z.literal("bestFit"), windowDocuments: count.optional() })]).optional(),
    /** documents kept for validation: those of other files, or a share of all, chosen by their text */
    validation: z.union([
      z.strictObject({ files, maxTokens: count.default(262_144) }),
      z.strictObject({ share: z.number().gt(0).lt(1), maxTokens: count.default(262_144) }),
    ]).default({ share: 0.05, maxTokens: 262_144 }),
  }).prefault({}),
  recipe: recipeSchema,
});

export type TrainConfig = z.output<typeof configSchema>;

/** A training config as it stands in a file, and where each part of it stands. */
export interface TrainConfigFile {
  readonly config: TrainConfig;
  /** Runs a check of a section's values; a ConfigError gets the line of the setting that it names. */
  check<T>(section: string, run: () => T): T;
}

/** Reads a YAML file (or JSON, which is YAML too).
 *  @throws ConfigError E_CONFIG_FILE with line, column and name of every setting that is wrong */
export function readTrainConfig(path: string): TrainConfigFile {
  const text = readConfigText(path), lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines });
  if (document.errors.length > 0) {
    throw wrong(document.errors.map(({ message, linePos }) => `${path}:${linePos?.[0].line ?? 1}:${linePos?.[0].col ?? 1}: ${message.split(/ at line |:\n/)[0]}`), "it is no YAML", "YAML is indented with spaces; a setting is written `name: value`");
  }
  const place = (at: readonly PropertyKey[], ofKey = false): string => {
    const { line, col } = lines.linePos(offsetOf(document, at, ofKey));
    return `${path}:${line}:${col}: ${at.map(String).join(".")}`;
  };
  const parsed = configSchema.safeParse(document.toJS());
  if (!parsed.success) throw wrong(parsed.error.issues.flatMap((issue) => describe(issue, place)), "every setting is checked before anything is read or trained", "correct these lines; `moe-lab train --help` shows an example");
  return {
    config: parsed.data,
    check: (section, run) => {
      try {
        return run();
      } catch (error) {
        if (!(error instanceof ConfigError)) throw error;
        throw wrong([`${place(settingNamedIn(error.what, section, document))}: ${error.what}`], error.why, error.fix, error);
      }
    },
  };
}

function readConfigText(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (cause) {
    throw new ConfigError({ code: "E_CONFIG_FILE", what: `${path} can't be read`, why: cause instanceof Error ? cause.message : String(cause), fix: "pass the path of a YAML file; `moe-lab train --help` shows one", cause });
  }
}

function wrong(problems: readonly string[], why: string, fix: string, cause?: unknown): ConfigError {
  return new ConfigError({ code: "E_CONFIG_FILE", what: problems.join("\n  "), why, fix, cause });
}

/** A line for each thing that is wrong; of a union those of the member that fits best. */
function describe(issue: z.core.$ZodIssue, place: (at: readonly PropertyKey[], ofKey?: boolean) => string): string[] {
  if (issue.code === "unrecognized_keys") {
    const known = knownKeys(issue.path);
    return issue.keys.map((key) => {
      const nearest = nearestName(key, known);
      return `${place([...issue.path, key], true)} is no setting${nearest === undefined ? (known.length > 0 ? `; there are ${known.join(", ")}` : "") : `; did you mean ${nearest}?`}`;
    });
  }
  if (issue.code === "invalid_union" && issue.errors.length > 0) {
    const member = issue.errors.reduce((best, errors) => (errors.length < best.length ? errors : best));
    return member.flatMap((inner) => describe({ ...inner, path: [...issue.path, ...inner.path] }, place));
  }
  return [`${place(issue.path)}: ${issue.message}`];
}

/** Names of the settings at a path of the schema; [] where it has no fixed names. */
function knownKeys(path: readonly PropertyKey[]): string[] {
  let schemas: z.core.$ZodType[] = [configSchema];
  for (const part of path) schemas = schemas.flatMap((schema) => membersOf(schema)).flatMap((schema) => (schema instanceof z.ZodObject ? [(schema.shape as Record<string, z.core.$ZodType>)[String(part)]] : schema instanceof z.ZodArray ? [schema.element] : [])).filter((schema) => schema !== undefined);
  return [...new Set(schemas.flatMap(membersOf).flatMap((schema) => (schema instanceof z.ZodObject ? Object.keys(schema.shape) : [])))];
}

/** A schema without its wrapping: the members of a union, what is optional or has a default. */
function membersOf(schema: z.core.$ZodType): z.core.$ZodType[] {
  if (schema instanceof z.ZodOptional || schema instanceof z.ZodDefault || schema instanceof z.ZodPrefault) return membersOf(schema.unwrap());
  if (schema instanceof z.ZodUnion) return schema.options.flatMap(membersOf);
  return [schema];
}

/** Where the value at a path begins in the text, or its key; of what isn't there, what is nearest above it. */
function offsetOf(document: Document.Parsed, path: readonly PropertyKey[], ofKey = false): number {
  for (let length = path.length; length > 0; length--) {
    const parent: unknown = length === 1 ? document.contents : document.getIn(path.slice(0, length - 1), true), name = path[length - 1];
    if (isMap(parent)) {
      const pair = parent.items.find((item) => isPair(item) && isScalar(item.key) && String(item.key.value) === String(name));
      const node = pair && (ofKey || length < path.length || !isScalar(pair.value) ? pair.key : pair.value);
      if (isNode(node) && node.range) return node.range[0];
    } else {
      const node = document.getIn(path.slice(0, length), true);
      if (isNode(node) && node.range) return node.range[0];
    }
  }
  return document.contents?.range?.[0] ?? 0;
}

/** The path of the first setting that a text names, e.g. "moe.numExperts is 0", in a section; the section without one. */
function settingNamedIn(text: string, section: string, document: Document.Parsed): string[] {
  for (const [name] of text.matchAll(/[A-Za-z][\w.]*\w/g)) {
    const path = [section, ...name.split(".")];
    if (document.hasIn(path)) return path;
  }
  return [section];
}
