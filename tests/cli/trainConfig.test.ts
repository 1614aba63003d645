import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { readTrainConfig, recipeSchema } from "../../toolkit/cli/trainConfig.ts";
import { modelConfigOf } from "../../toolkit/cli/trainModel.ts";
import type { ConfigError } from "../../toolkit/errors.ts";
import { preset } from "../../toolkit/models/presets.ts";
import { recipe, recipeKeys, type RecipeSettings } from "../../toolkit/train/recipe.ts";

let home: string;
beforeEach(() => { home = mkdtempSync(join(tmpdir(), "moe-lab-config-")); });
afterEach(() => { rmSync(home, { recursive: true, force: true }); });

const good = `# a small model
model:
  numLayers: 2
  width: 16
  numHeads: 2
  contextLength: 32
  moe: { numExperts: 4, expertsPerToken: 2, expertWidth: 16 }
tokenizer:
  vocabSize: 300
data:
  files: [a.txt, b.jsonl]
recipe:
  steps: 10
  schedule: { kind: wsd, stableShare: 0.5 }
`;

function write(text: string): string {
  const path = join(home, "recipe.yaml");
  writeFileSync(path, text);
  return path;
}

/** The error of reading a config, without the folder. */
function errorOf(text: string, check?: (path: string) => void): { code: string; what: string; fix: string } {
  const path = write(text);
  try {
    if (check) check(path);
    else readTrainConfig(path);
  } catch (error) {
    const { code, what, fix } = error as ConfigError;
    return { code, what: what.replaceAll(path, "recipe.yaml"), fix };
  }
  throw new Error("nothing was refused");
}

describe("a training config", () => {
  test("gives the settings as they stand, with defaults for the data", () => {
    const { config } = readTrainConfig(write(good));
    expect(config.recipe).toEqual({ steps: 10, schedule: { kind: "wsd", stableShare: 0.5 } });
    expect(config.data).toMatchObject({ files: ["a.txt", "b.jsonl"], epochs: "endless", shuffle: { seed: 0 }, validation: { share: 0.05 } });
    expect(config.tokenizer).toMatchObject({ vocabSize: 300 });
  });

  test("may be JSON", () => {
    expect(readTrainConfig(write(JSON.stringify({ model: {}, tokenizer: { file: "t.json" }, recipe: { steps: 1 } }))).config.recipe).toEqual({ steps: 1 });
  });

  test("may name a preset and what differs from it; the vocabulary is the tokenizer's", () => {
    const file = readTrainConfig(write("model: { preset: olmoe, scale: tiny, numLayers: 3, moe: { expertWidth: 40 } }\ntokenizer: { vocabSize: 300 }\nrecipe: { steps: 1 }\n"));
    expect(modelConfigOf(file, 300)).toEqual(preset("olmoe", { scale: "tiny", numLayers: 3, vocabSize: 300, moe: { expertWidth: 40 } }));
  });

  test("in the guide is right", () => {
    const guide = readFileSync(join(import.meta.dirname, "..", "..", "docs", "guides", "training.md"), "utf8");
    const file = readTrainConfig(write(/```yaml\n([^]*?)```/.exec(guide)?.[1] ?? ""));
    expect(modelConfigOf(file, 2048)).toMatchObject({ contextLength: 128, vocabSize: 2048 });
    expect(file.check("recipe", () => recipe(file.config.recipe as RecipeSettings))).toMatchObject({ accumulationSteps: 4, monitor: { onSpike: "skipStep" } });
  });

  test("knows every setting of the recipe, of its monitor and no other", () => {
    expect(Object.keys(recipeSchema.shape).sort()).toEqual([...recipeKeys].sort());
    const whole = recipe({ steps: 1, earlyStop: { patience: 1, minDeltaNats: 0 } });
    expect(recipeSchema.parse(whole)).toEqual(whole);
    expect(Object.keys(recipeSchema.shape.monitor.unwrap().shape).sort()).toEqual(Object.keys(whole.monitor).sort());
  });
});

describe("an error in a training config names line, column and setting", () => {
  test.each([
    ["a misspelt setting", good.replace("steps: 10", "steps: 10\n  learnigRate: 0.1"), "recipe.yaml:14:3: recipe.learnigRate is no setting; did you mean learningRate?"],
    ["a misspelt section", good.replace("tokenizer:", "tokeniser:"), "recipe.yaml:8:1: tokeniser is no setting; did you mean tokenizer?"],
    ["one inside a union", good.replace("stableShare: 0.5", "stabelShare: 0.5"), "recipe.yaml:14:26: recipe.schedule.stabelShare is no setting; did you mean stableShare?"],
    ["one in a list", good.replace("steps: 10", "steps: 10\n  parameterGroups:\n    - match: '**'\n      frozen: true"), "recipe.yaml:16:7: recipe.parameterGroups.0.frozen is no setting; did you mean isFrozen?"],
    ["text in place of a number", good.replace("steps: 10", "steps: many"), "recipe.yaml:13:10: recipe.steps: Invalid input: expected number, received string"],
    ["a kind that isn't there", good.replace("kind: wsd", "kind: wds"), "recipe.yaml:14:21: recipe.schedule.kind: Invalid"],
    ["a part that is missing", good.replace("  steps: 10\n", ""), "recipe.yaml:12:1: recipe.steps: Invalid input: expected number, received undefined"],
    ["a setting of the data", good.replace("files: [a.txt, b.jsonl]", "files: [a.txt]\n  textFeild: body"), "recipe.yaml:12:3: data.textFeild is no setting; did you mean textField?"],
  ])("%s", (_, text, expected) => {
    const { code, what } = errorOf(text);
    expect(code).toBe("E_CONFIG_FILE");
    expect(what).toContain(expected);
  });

  test("several at once", () => {
    const { what } = errorOf(good.replace("steps: 10", "steps: many\n  sed: 1"));
    expect(what.split("\n").length).toBe(2);
  });

  test("a value that only the recipe can judge", () => {
    const { what, fix } = errorOf(good.replace("stableShare: 0.5", "stableShare: 1.5"), (path) => {
      const file = readTrainConfig(path);
      file.check("recipe", () => recipe(file.config.recipe as RecipeSettings));
    });
    expect(what).toBe("recipe.yaml:14:39: recipe.schedule.stableShare: schedule.stableShare is 1.5");
    expect(fix).toContain("0.9");
  });

  test.each([
    [good.replace("expertsPerToken: 2", "expertsPerToken: 5"), "recipe.yaml:7:42: model.moe.expertsPerToken: moe.expertsPerToken is 5 with moe.numExperts 4"],
    [good.replace("width: 16\n", "width: 16\n  with: 3\n"), "recipe.yaml:5:9: model.with: with is no setting"],
    [good.replace("numHeads: 2", "numHeads: 3"), "recipe.yaml:5:13: model.numHeads: numHeads 3 doesn't divide width 16"],
    [good.replace("expertWidth: 16", "expertsWidth: 16"), "model.moe.expertsWidth: moe.expertsWidth is no setting"],
    [good.replace("  width: 16\n", ""), "recipe.yaml:2:1: model: width is undefined"],
    [good.replace("width: 16\n", "width: 16\n  vocabSize: 200\n"), "recipe.yaml:5:14: model.vocabSize: vocabSize is 200 and the tokenizer has 300 tokens"],
    [good.replace("numLayers: 2", "preset: olmo"), "recipe.yaml:3:11: model.preset: preset is \"olmo\""],
  ])("a value that only the model can judge: %#", (text, expected) => {
    expect(errorOf(text, (path) => { modelConfigOf(readTrainConfig(path), 300); }).what).toContain(expected);
  });

  test.each([
    ["a key twice", "model: 1\nmodel: 2\n", /^recipe\.yaml:2:1: Map keys must be unique/],
    ["a bracket that isn't closed", "model: [1, 2\nrecipe: 3\n", /^recipe\.yaml:\d+:\d+: /],
  ])("%s, which is no YAML", (_, text, expected) => {
    expect(errorOf(text).what).toMatch(expected);
  });

  test("a file that isn't there", () => {
    expect(() => readTrainConfig(join(home, "none.yaml"))).toThrow(expect.objectContaining({ code: "E_CONFIG_FILE" }));
  });
});
