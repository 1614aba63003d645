import { describe, expect, test } from "vitest";
import { moeConfig, type MoeSettings } from "../../toolkit/moe/config.ts";
import type { ExpertConfig } from "../../toolkit/moe/expertConfig.ts";
import { errorCode } from "../ops/backends.ts";

const base: MoeSettings = { numExperts: 4, expertsPerToken: 2, expertWidth: 8 };
const code = (change: Partial<MoeSettings>): string | undefined => errorCode(() => moeConfig({ ...base, ...change }));

describe("configs of experts that cannot be", () => {
  test.each<[string, Partial<MoeSettings>, string]>([
    ["a kind that isn't there", { experts: { kind: "gemlu" } as unknown as ExpertConfig }, "E_CONFIG_EXPERT_KIND"],
    ["groups with too few experts", { experts: { kind: "mixed", groups: [{ count: 3, expert: { kind: "copy" } }] } }, "E_CONFIG_EXPERT_GROUPS"],
    ["a group without experts", { experts: { kind: "mixed", groups: [{ count: 4, expert: { kind: "copy" } }, { count: 0, expert: { kind: "zero" } }] } }, "E_CONFIG_COUNT"],
    ["a group of groups", { experts: { kind: "mixed", groups: [{ count: 4, expert: { kind: "mixed", groups: [] } as unknown as { kind: "copy" } }] } }, "E_CONFIG_EXPERT_KIND"],
    ["a misspelt setting", { experts: { kind: "geglu", biass: true } as ExpertConfig }, "E_CONFIG_UNKNOWN"],
    ["a misspelt setting of a group", { experts: { kind: "mixed", groups: [{ count: 4, width: 3, expert: { kind: "copy" } } as never] } }, "E_CONFIG_UNKNOWN"],
    ["a misspelt setting of shared experts", { sharedExperts: { count: 1, gated: true } as never }, "E_CONFIG_UNKNOWN"],
    ["a misspelt setting of the dense branch", { residual: { expertWidth: 3 } as never }, "E_CONFIG_UNKNOWN"],
    ["a rank of 0", { experts: { kind: "lora", rank: 0 } }, "E_CONFIG_COUNT"],
    ["a negative alpha", { experts: { kind: "lora", rank: 2, alpha: -1 } }, "E_CONFIG_POSITIVE"],
    ["a base that is no feed-forward part", { experts: { kind: "lora", rank: 2, base: { kind: "zero" } as unknown as { kind: "gelu" } } }, "E_CONFIG_EXPERT_KIND"],
    ["a custom expert without a name", { experts: { kind: "custom", name: "" } }, "E_CONFIG_EXPERT_NAME"],
    ["half a shared expert", { sharedExperts: { count: 0.5 } }, "E_CONFIG_COUNT"],
    ["a shared expert without width", { sharedExperts: { count: 1, width: 0 } }, "E_CONFIG_COUNT"],
    ["a dense branch without width", { residual: { width: 0 } }, "E_CONFIG_COUNT"],
  ])("%s", (_, change, expected) => {
    expect(code(change)).toBe(expected);
  });
});

test("the error names the setting of a group", () => {
  const experts: ExpertConfig = { kind: "mixed", groups: [{ count: 3, expert: { kind: "swiglu" } }, { count: 1, expert: { kind: "lora", rank: -1 } }] };
  expect(() => moeConfig({ ...base, experts })).toThrow(/moe\.experts\.groups\[1\]\.expert\.rank/);
});

test("groups that add up to the experts are taken", () => {
  expect(code({ experts: { kind: "mixed", groups: [{ count: 3, expert: { kind: "swiglu" } }, { count: 1, expert: { kind: "zero" } }] } })).toBeUndefined();
});
