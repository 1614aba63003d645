import { ConfigError } from "./errors.ts";

/** The toolkit's settings that come from environment variables; absent where the variable is not set. */
export interface ToolkitEnvironment {
  /** MOE_LAB_BACKEND: name of the tfjs backend to use, e.g. "native" or "cpu" */
  readonly backend?: string;
  /** MOE_LAB_THREADS: threads of the native backend, 1 to 256 */
  readonly threads?: number;
  /** MOE_LAB_ADDON: path of the native addon to load in place of the built one, e.g. one built with sanitizers */
  readonly addon?: string;
}

const MOST_THREADS = 256; // kMostThreads in native/include/parallel.h

/** Reads and checks the environment.
 *  @throws ConfigError E_THREADS when MOE_LAB_THREADS is no whole number from 1 to 256 */
export function readEnvironment(variables: NodeJS.ProcessEnv = process.env): ToolkitEnvironment {
  const { MOE_LAB_BACKEND: backend, MOE_LAB_THREADS: threads, MOE_LAB_ADDON: addon } = variables;
  return {
    ...(backend !== undefined && backend !== "" && { backend }),
    ...(threads !== undefined && threads !== "" && { threads: readThreads(threads) }),
    ...(addon !== undefined && addon !== "" && { addon }),
  };
}

function readThreads(text: string): number {
  const threads = Number(text);
  if (Number.isInteger(threads) && threads >= 1 && threads <= MOST_THREADS) return threads;
  throw new ConfigError({
    code: "E_THREADS",
    what: `MOE_LAB_THREADS is "${text}"`,
    why: `it must be a whole number from 1 to ${MOST_THREADS}`,
    fix: "set it to the number of processors to use, or unset it to use all that the process is granted",
  });
}
