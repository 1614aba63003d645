import { describe, expect, test } from "vitest";
import { checkMoeConfig, moeConfig, type MoeSettings } from "../../toolkit/moe/config.ts";
import type { RouterSettings } from "../../toolkit/moe/routerConfig.ts";
import { errorCode } from "../ops/backends.ts";

const sizes = { numExperts: 4, expertsPerToken: 2, expertWidth: 8 };

describe("defaults of a MoE config", () => {
  test("are renormalized top-k, dropless, with balance and z-loss", () => {
    expect(moeConfig(sizes)).toEqual({
      ...sizes, router: { kind: "topK", renormalize: true }, capacity: { kind: "dropless" }, balanceLossWeight: 0.01, balanceScope: "global",
      sequenceBalanceLossWeight: 0, zLossWeight: 0.001, expertDropout: 0,
    });
  });

  test("complete the config of a file of an earlier version without changing what it says", () => {
    const old = { ...sizes, router: { kind: "topK", renormalize: false }, capacity: { kind: "dropless" }, balanceLossWeight: 0.02, zLossWeight: 0 } as const;
    expect(moeConfig(old)).toEqual({ ...old, balanceScope: "global", sequenceBalanceLossWeight: 0, expertDropout: 0 });
  });

  test("of a complete config change nothing, for every router", () => {
    const kinds: RouterSettings[] = [
      { kind: "topK" }, { kind: "noisyTopK" }, { kind: "sigmoid" }, { kind: "expertChoice" }, { kind: "sinkhorn" }, { kind: "hash" }, { kind: "reMoE" }, { kind: "softMoe" }, { kind: "custom", name: "mine" },
    ];
    for (const router of kinds) {
      const config = moeConfig({ ...sizes, router });
      expect(moeConfig(config)).toEqual(config);
      expect(checkMoeConfig(JSON.parse(JSON.stringify(config)) as typeof config)).toEqual(config);
    }
  });

  test("Switch has capacity 1.25 by position and DeepSeek's bias needs no balance loss", () => {
    expect(moeConfig({ ...sizes, expertsPerToken: 1, router: { kind: "switch" } }).capacity).toEqual({ kind: "factor", factor: 1.25, dropOrder: "position", applyInEvaluation: true });
    expect(moeConfig({ ...sizes, router: { kind: "sigmoid" } })).toMatchObject({ balanceLossWeight: 0, router: { biasUpdateRate: 1e-3, renormalize: true, routedScalingFactor: 1 } });
    expect(moeConfig({ ...sizes, router: { kind: "sigmoid", biasUpdateRate: 0 } }).balanceLossWeight).toBe(0.01);
  });
});

describe("MoE configs that cannot be", () => {
  const router = (settings: RouterSettings, change: Partial<MoeSettings> = {}): Partial<MoeSettings> => ({ router: settings, ...change });
  test.each<[string, Partial<MoeSettings>, string]>([
    ["a router that isn't there", router({ kind: "topq" } as unknown as RouterSettings), "E_CONFIG_KIND"],
    ["a misspelt setting", { expertWdith: 8 } as Partial<MoeSettings>, "E_CONFIG_UNKNOWN"],
    ["a setting of another router", router({ kind: "topK", jitter: 0.1 } as unknown as RouterSettings), "E_CONFIG_UNKNOWN"],
    ["a misspelt setting of the capacity", { capacity: { kind: "factor", factr: 2 } as never }, "E_CONFIG_UNKNOWN"],
    ["a misspelt setting of the groups", router({ kind: "topK", groupLimit: { numGroups: 2, groupsPerTokn: 1 } as never }), "E_CONFIG_UNKNOWN"],
    ["Switch with two experts a token", router({ kind: "switch" }), "E_CONFIG_SWITCH"],
    ["jitter of 1", router({ kind: "switch", jitter: 1 }, { expertsPerToken: 1 }), "E_CONFIG_SHARE"],
    ["one renormalized expert of top-k", router({ kind: "topK", renormalize: true }, { expertsPerToken: 1 }), "E_CONFIG_TOP1_RENORMALIZE"],
    ["one expert of noisy top-k, whose weight is always 1", router({ kind: "noisyTopK" }, { expertsPerToken: 1 }), "E_CONFIG_TOP1_RENORMALIZE"],
    ["one renormalized expert of sigmoid", router({ kind: "sigmoid", renormalize: true }, { expertsPerToken: 1 }), "E_CONFIG_TOP1_RENORMALIZE"],
    ["groups that don't divide the experts", router({ kind: "topK", groupLimit: { numGroups: 3, groupsPerToken: 1 } }), "E_CONFIG_GROUPS"],
    ["more groups a token than groups", router({ kind: "sigmoid", groupLimit: { numGroups: 2, groupsPerToken: 3 } }), "E_CONFIG_GROUPS"],
    ["groups with fewer experts than K", router({ kind: "topK", groupLimit: { numGroups: 4, groupsPerToken: 1 } }), "E_CONFIG_GROUPS"],
    ["expert choice of every token more than once", router({ kind: "expertChoice", capacityFactor: 5 }), "E_CONFIG_CAPACITY_FACTOR"],
    ["an inference that isn't there", router({ kind: "expertChoice", inference: "best" as "topK" }), "E_CONFIG_KIND"],
    ["no tolerance", router({ kind: "sinkhorn", tolerance: 0 }), "E_CONFIG_POSITIVE"],
    ["a broken hash seed", router({ kind: "hash", seed: 0.5 }), "E_CONFIG_COUNT"],
    ["an L1 coefficient that never grows", router({ kind: "reMoE", coefficientFactor: 1 }), "E_CONFIG_COEFFICIENT_FACTOR"],
    ["a custom router without a name", router({ kind: "custom", name: "" }), "E_CONFIG_ROUTER_NAME"],
    ["a balance loss for hashes, which have no gradient", router({ kind: "hash" }, { balanceLossWeight: 0.01 }), "E_CONFIG_ROUTER_LOSS"],
    ["a balance loss for expert choice, whose loads are equal", router({ kind: "expertChoice" }, { balanceLossWeight: 0.01 }), "E_CONFIG_ROUTER_LOSS"],
    ["a z-loss for soft MoE", router({ kind: "softMoe" }, { zLossWeight: 0.01 }), "E_CONFIG_ROUTER_LOSS"],
    ["a capacity for soft MoE", router({ kind: "softMoe" }, { capacity: { kind: "factor" } }), "E_CONFIG_SOFT_MOE_CAPACITY"],
    ["dropout of hashed experts", router({ kind: "hash" }, { expertDropout: 0.1 }), "E_CONFIG_EXPERT_DROPOUT"],
    ["dropout of all experts", { expertDropout: 1 }, "E_CONFIG_SHARE"],
    ["a capacity of 0", { capacity: { kind: "factor", factor: 0 } }, "E_CONFIG_POSITIVE"],
    ["a drop order that isn't there", { capacity: { kind: "factor", dropOrder: "random" as "weight" } }, "E_CONFIG_KIND"],
    ["a negative sequence-wise weight", { sequenceBalanceLossWeight: -1 }, "E_CONFIG_WEIGHT"],
    ["a scope that isn't there", { balanceScope: "all" as "local" }, "E_CONFIG_KIND"],
  ])("%s", (_, change, code) => {
    expect(errorCode(() => moeConfig({ ...sizes, ...change }))).toBe(code);
  });
});
