import { describe, expect, test } from "vitest";
import { readEnvironment } from "../../toolkit/environment.ts";
import { ConfigError } from "../../toolkit/errors.ts";

describe("environment variables", () => {
  test("nothing set, nothing said", () => {
    expect(readEnvironment({})).toEqual({});
    expect(readEnvironment({ MOE_LAB_BACKEND: "", MOE_LAB_THREADS: "" })).toEqual({});
  });

  test("backend and threads are read", () => {
    expect(readEnvironment({ MOE_LAB_BACKEND: "cpu", MOE_LAB_THREADS: "4" })).toEqual({ backend: "cpu", threads: 4 });
  });

  test.each<[string, unknown]>([["auto", { kind: "auto" }], ["cpu", { kind: "cpu" }], ["cuda", { kind: "cuda", index: 0 }], ["cuda:3", { kind: "cuda", index: 3 }]])("MOE_LAB_DEVICE=%s is read", (text, device) => {
    expect(readEnvironment({ MOE_LAB_DEVICE: text, MOE_LAB_CUDA_ADDON: "x.node" })).toEqual({ device, cudaAddon: "x.node" });
  });

  test.each(["gpu", "cuda:", "cuda:-1", "cuda:1.5", "cuda1", "CUDA"])("MOE_LAB_DEVICE=%s is refused", (text) => {
    expect(() => readEnvironment({ MOE_LAB_DEVICE: text })).toThrow(expect.objectContaining({ code: "E_DEVICE" }) as Error);
  });

  test.each(["0", "-1", "1.5", "many", "257"])("MOE_LAB_THREADS=%s is refused", (threads) => {
    expect(() => readEnvironment({ MOE_LAB_THREADS: threads })).toThrow(ConfigError);
  });
});
