import { resolve } from "node:path";
import { describe, expect, test } from "vitest";
import { readServeConfig } from "../../serve/config.ts";
import { ConfigError } from "../../toolkit/errors.ts";

describe("settings of the server", () => {
  test("a server with only a bundle listens on loopback alone", () => {
    const config = readServeConfig(["some/bundle"], {});
    expect(config.host).toBe("127.0.0.1");
    expect(config.bundleDir).toBe(resolve("some/bundle"));
    expect(config.expertMetrics).toBe(false);
  });

  test("a flag wins over its environment variable", () => {
    const environment = { PORT: "9001", MOE_LAB_MAX_QUEUE: "3", MOE_LAB_BUNDLE: "from/environment" };
    const config = readServeConfig(["--port", "9002"], environment);
    expect(config.port).toBe(9002);
    expect(config.maxQueue).toBe(3);
    expect(config.bundleDir).toBe(resolve("from/environment"));
  });

  test("an empty environment variable counts as not set", () => {
    expect(readServeConfig(["b"], { PORT: "", MOE_LAB_MODEL_NAME: "" }).port).toBe(8000);
    expect(readServeConfig(["b"], { MOE_LAB_MODEL_NAME: "" }).modelName).toBeUndefined();
  });

  test("a bare claim means true", () => {
    expect(readServeConfig(["b", "--expert-metrics"], {}).expertMetrics).toBe(true);
    expect(readServeConfig(["b", "--expert-metrics=false"], {}).expertMetrics).toBe(false);
  });

  test.each([
    [["b", "--port", "70000"], {}, "E_CONFIG_SETTING", /port is "70000".*--port/],
    [["b"], { MOE_LAB_MAX_ACTIVE: "many" }, "E_CONFIG_SETTING", /maxActive.*MOE_LAB_MAX_ACTIVE/],
    [["b"], { MOE_LAB_LOG_LEVEL: "loud" }, "E_CONFIG_SETTING", /logLevel/],
    [["b", "--prot", "1"], {}, "E_CONFIG_FLAG", /prot/],
    [[], {}, "E_CONFIG_BUNDLE", /0 bundle folders/],
    [["a", "b"], {}, "E_CONFIG_BUNDLE", /2 bundle folders/],
  ] as const)("wrong settings %j %j are refused with %s, naming the setting", (args, environment, code, what) => {
    const read = () => readServeConfig(args, environment);
    expect(read).toThrow(ConfigError);
    expect(read).toThrow(expect.objectContaining({ code }));
    expect(read).toThrow(what);
  });
});
