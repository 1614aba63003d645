import { describe, expect, test } from "vitest";
import { matchWeights, selectWeights } from "../../toolkit/nn/weightPatterns.ts";
import { errorCode } from "../ops/backends.ts";

const names = ["embedding", "layers.0.attention.query", "layers.0.moe.router.gate", "layers.0.moe.experts.gateUp", "layers.12.moe.experts.gateUp", "finalNorm"];

describe("a pattern", () => {
  test.each<[string, string, boolean]>([
    ["embedding", "embedding", true],
    ["embedding", "embed", false],
    ["embedding", "embed*", true],
    ["layers.0.attention.query", "layers.*.attention.*", true],
    ["layers.12.moe.experts.gateUp", "layers.*.moe.experts.*", true],
    ["layers.0.moe.experts.base.gateUp", "layers.*.moe.experts.*", false],
    ["layers.0.moe.experts.base.gateUp", "layers.*.moe.experts.**", true],
    ["layers.0.moe.router.gate", "**.router.**", true],
    ["layers.0.attention.query", "layers.0.attention.{query,value}", true],
    ["layers.0.attention.key", "layers.0.attention.{query,value}", false],
    ["layersX0", "layers.0", false],
  ])("%s and %s fit: %s", (name, pattern, isFitting) => {
    expect(matchWeights(name, pattern)).toBe(isFitting);
  });

  test.each(["", "layers.[0]", "a{b", "(x)", "a b"])("%j is no pattern", (pattern) => {
    expect(errorCode(() => matchWeights("a", pattern))).toBe("E_WEIGHT_PATTERN_SYNTAX");
  });
});

describe("selecting weights", () => {
  test("names come once and in their own order, whatever the order of the patterns", () => {
    expect(selectWeights(names, ["**.gateUp", "layers.0.**"])).toEqual(names.slice(1, 5));
  });

  test("a pattern that fits nothing is an error that shows names", () => {
    expect(errorCode(() => selectWeights(names, ["embedding", "layers.*.mlp.*"]))).toBe("E_WEIGHT_PATTERN");
    expect(() => selectWeights(names, ["layers.*.mlp.*"])).toThrow(/layers\.0\.attention\.query/);
  });

  test("no patterns select nothing", () => {
    expect(selectWeights(names, [])).toEqual([]);
  });
});
