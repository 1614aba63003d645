import { booleanField, numberField, stringField } from "../protocol/json.ts";
import type { JsonObject } from "../protocol/json.ts";
import type { RequestHandler } from "./kernelState.ts";

/** The kernel keeps one session: the running one. */
const SESSION = 1;

interface Entry { readonly line: number; readonly input: string; readonly output: string | null }

/** The cells that were run with store_history. */
export class History {
  private readonly entries: Entry[] = [];

  add(line: number, input: string, output: string | null): void {
    this.entries.push({ line, input, output });
  }

  /** Selects entries, oldest first.
   *  @param request content of a history_request: hist_access_type "tail", "range" or "search" */
  select(request: JsonObject): readonly Entry[] {
    const accessType = stringField(request, "hist_access_type", "tail");
    const limit = numberField(request, "n", 0);
    if (accessType === "range") {
      const session = numberField(request, "session", 0);
      // 0 and negative sessions count back from this one; there are no earlier ones.
      if (session !== 0 && session !== SESSION) return [];
      const start = numberField(request, "start", 0);
      const stop = numberField(request, "stop", Infinity);
      return this.entries.filter(({ line }) => line >= start && line < stop);
    }
    const found = accessType === "search" ? this.search(stringField(request, "pattern", "*"), booleanField(request, "unique", false)) : this.entries;
    return limit > 0 ? found.slice(-limit) : found;
  }

  private search(pattern: string, isUnique: boolean): Entry[] {
    const expression = globExpression(pattern);
    const found = this.entries.filter(({ input }) => expression.test(input));
    if (!isUnique) return found;
    const newest = new Map<string, Entry>();
    for (const entry of found) {
      newest.delete(entry.input);
      newest.set(entry.input, entry);
    }
    return [...newest.values()];
  }
}

/** `*` is any text, `?` any one character; the whole input must fit. */
function globExpression(pattern: string): RegExp {
  const source = pattern.replaceAll(/[.+^${}()|[\]\\]/g, "\\$&").replaceAll("*", "[^]*").replaceAll("?", "[^]");
  return new RegExp(`^${source}$`);
}

/** history_request. Source: jupyter-client.readthedocs.io/en/stable/messaging.html#history */
export const history: RequestHandler = (state, content) => {
  const withOutput = booleanField(content, "output", false);
  return {
    status: "ok",
    history: state.history.select(content).map(({ line, input, output }) => [SESSION, line, withOutput ? [input, output] : input]),
  };
};
