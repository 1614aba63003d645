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

  test.each(["0", "-1", "1.5", "many", "257"])("MOE_LAB_THREADS=%s is refused", (threads) => {
    expect(() => readEnvironment({ MOE_LAB_THREADS: threads })).toThrow(ConfigError);
  });
});
