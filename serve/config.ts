import { resolve } from "node:path";
import { parseArgs } from "node:util";
import { z } from "zod";
import { ConfigError } from "../toolkit/errors.ts";

/** Every setting of the server, checked. */
export interface ServeConfig {
  /** Folder written by writeBundle or promote. */
  readonly bundleDir: string;
  readonly host: string;
  /** 0 lets the system choose a free port. */
  readonly port: number;
  /** The model's name in /v1/models and in answers; the bundle's own name unless set. */
  readonly modelName: string | undefined;
  /** Sequences decoded at the same time, token by token in turn. */
  readonly maxActive: number;
  /** Requests that may wait for a free place; more are refused with 503. */
  readonly maxQueue: number;
  /** Prompt tokens fed between two looks at the other sequences and at cancellations. */
  readonly prefillChunkTokens: number;
  /** How long active requests may go on after SIGTERM. */
  readonly drainTimeoutMs: number;
  /** Publishes moe_expert_tokens_total{layer,expert}: layers × experts time series. */
  readonly expertMetrics: boolean;
  readonly logLevel: "silent" | "error" | "warn" | "info" | "debug";
  /** Stop when standard input ends, so that a server started by a notebook doesn't outlive it. */
  readonly stopOnStdinEnd: boolean;
}

const count = (low: number, high: number) => z.coerce.number().int().min(low).max(high);

/** One line a setting: its flag, its environment variable, what it may be, and its default as text. */
const settings = {
  host: { flag: "host", variable: "HOST", schema: z.string().min(1), initial: "127.0.0.1" },
  port: { flag: "port", variable: "PORT", schema: count(0, 65_535), initial: "8000" },
  modelName: { flag: "model-name", variable: "MOE_LAB_MODEL_NAME", schema: z.string().min(1).max(200).optional(), initial: undefined },
  maxActive: { flag: "max-active", variable: "MOE_LAB_MAX_ACTIVE", schema: count(1, 1024), initial: "8" },
  maxQueue: { flag: "max-queue", variable: "MOE_LAB_MAX_QUEUE", schema: count(0, 100_000), initial: "64" },
  // 64 tokens are 10–15 ms at the rates of design/serving.md, about the pause that a reader of a stream doesn't notice.
  prefillChunkTokens: { flag: "prefill-chunk-tokens", variable: "MOE_LAB_PREFILL_CHUNK_TOKENS", schema: count(1, 65_536), initial: "64" },
  drainTimeoutMs: { flag: "drain-timeout-ms", variable: "MOE_LAB_DRAIN_TIMEOUT_MS", schema: count(0, 3_600_000), initial: "20000" },
  expertMetrics: { flag: "expert-metrics", variable: "MOE_LAB_EXPERT_METRICS", schema: z.stringbool(), initial: "false" },
  logLevel: { flag: "log-level", variable: "MOE_LAB_LOG_LEVEL", schema: z.enum(["silent", "error", "warn", "info", "debug"]), initial: "info" },
  stopOnStdinEnd: { flag: "stop-on-stdin-end", variable: "MOE_LAB_STOP_ON_STDIN_END", schema: z.stringbool(), initial: "false" },
} as const;

type SettingName = keyof typeof settings;
const settingNames = Object.keys(settings) as SettingName[];

/** What `--help` prints. */
export const serveUsage = [
  "Usage: moe-lab serve BUNDLE [--setting value …]",
  "Each setting is a flag or an environment variable; the flag wins.",
  ...settingNames.map((name) => {
    const { flag, variable, initial } = settings[name];
    return `  --${flag.padEnd(22)} ${variable.padEnd(30)} ${initial === undefined ? "" : `default ${initial}`}`.trimEnd();
  }),
  "  BUNDLE                   MOE_LAB_BUNDLE",
].join("\n");

/** Reads the settings of a server from its command line and the environment.
 *  @param args what follows the program's name, e.g. ["runs/quickstart/bundle", "--port", "0"]
 *  @throws ConfigError E_CONFIG_FLAG, E_CONFIG_BUNDLE, E_CONFIG_SETTING naming the setting */
export function readServeConfig(args: readonly string[], environment: Readonly<Record<string, string | undefined>> = process.env): ServeConfig {
  const { positionals, flags } = parseFlags(args);
  const bundle = positionals[0] ?? filled(environment["MOE_LAB_BUNDLE"]);
  if (bundle === undefined || positionals.length > 1) {
    throw new ConfigError({
      code: "E_CONFIG_BUNDLE", what: `the server got ${positionals.length} bundle folders`,
      why: "it serves exactly one bundle", fix: "give one folder: moe-lab serve runs/quickstart/bundle, or set MOE_LAB_BUNDLE",
    });
  }
  const bundleDir = resolve(bundle);
  const read = <Name extends SettingName>(name: Name): z.output<(typeof settings)[Name]["schema"]> => {
    const { flag, variable, schema, initial } = settings[name];
    const fromFlag = flags[flag];
    const given = fromFlag ?? filled(environment[variable]) ?? initial;
    const parsed = schema.safeParse(given);
    if (!parsed.success) {
      throw new ConfigError({
        code: "E_CONFIG_SETTING",
        what: `setting ${name} is ${JSON.stringify(given)}, from ${fromFlag === undefined ? `environment variable ${variable}` : `flag --${flag}`}`,
        why: parsed.error.issues.map((issue) => issue.message).join("; "),
        fix: `set --${flag} or ${variable} to an allowed value${initial === undefined ? "" : `, e.g. ${initial}`}`,
      });
    }
    return parsed.data as z.output<(typeof settings)[Name]["schema"]>;
  };
  return {
    bundleDir, host: read("host"), port: read("port"), modelName: read("modelName"),
    maxActive: read("maxActive"), maxQueue: read("maxQueue"), prefillChunkTokens: read("prefillChunkTokens"),
    drainTimeoutMs: read("drainTimeoutMs"), expertMetrics: read("expertMetrics"), logLevel: read("logLevel"),
    stopOnStdinEnd: read("stopOnStdinEnd"),
  };
}

/** An empty variable counts as not set, as compose files write it. */
function filled(text: string | undefined): string | undefined {
  return text === undefined || text.trim() === "" ? undefined : text;
}

function parseFlags(args: readonly string[]): { positionals: string[]; flags: Record<string, string | undefined> } {
  const options = Object.fromEntries(settingNames.map((name) => [settings[name].flag, { type: "string" as const }]));
  // A claim may be given bare: --expert-metrics means --expert-metrics=true.
  const claims = ["--expert-metrics", "--stop-on-stdin-end"];
  const spelledOut = args.map((arg) => (claims.includes(arg) ? `${arg}=true` : arg));
  try {
    const { positionals, values } = parseArgs({ args: spelledOut, options, allowPositionals: true, strict: true });
    return { positionals, flags: values };
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    throw new ConfigError({
      code: "E_CONFIG_FLAG", what: error.message, why: "the server doesn't know this flag, or its value is missing",
      fix: "see moe-lab serve --help", cause: error,
    });
  }
}
