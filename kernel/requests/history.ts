import { setImmediate as nextTurn } from "node:timers/promises";
import { booleanField, numberField, stringField } from "../protocol/json.ts";
import type { JsonObject } from "../protocol/json.ts";
import { log } from "../protocol/log.ts";
import { systemErrorCode } from "../errors.ts";
import type { HistoryEntry, HistoryFiles } from "./historyFiles.ts";
import type { RequestHandler } from "./kernelState.ts";

/** Entries of the running session that stay in memory. */
const MAX_ENTRIES = 10_000;
/** A longer cell is data, not something to recall, in UTF-16 units. */
const MAX_INPUT_LENGTH = 1 << 17;
/** All inputs and outputs in memory, in UTF-16 units. */
const MAX_LENGTH = 1 << 24;
/** A longer result is kept as null, in UTF-16 units. */
const MAX_OUTPUT_LENGTH = 1 << 15;
/** A longer pattern fits nothing, in UTF-16 units. */
const MAX_PATTERN_LENGTH = 1000;

/** The cells that were run with store_history: those of this session in memory, those of earlier ones on disk. */
export class History {
  private readonly files: HistoryFiles | null;
  private readonly entries: Omit<HistoryEntry, "session">[] = [];
  /** Number of this session; 0 until its first cell is stored. */
  private session = 0;
  private length = 0;
  /** The last write; they go one after the other. */
  private written: Promise<void> = Promise.resolve();
  private hasFailed = false;

  /** @param files where sessions are kept; null keeps this one in memory only */
  constructor(files: HistoryFiles | null) {
    this.files = files;
  }

  add(line: number, input: string, output: string | null): void {
    if (input.length > MAX_INPUT_LENGTH) return;
    const entry = { line, input, output: output !== null && output.length > MAX_OUTPUT_LENGTH ? null : output };
    this.entries.push(entry);
    this.length += lengthOf(entry);
    while (this.entries.length > MAX_ENTRIES || this.length > MAX_LENGTH) this.length -= lengthOf(this.entries.shift() ?? entry);
    // The cell's reply goes first.
    this.written = this.written.then(() => nextTurn()).then(() => this.keep(entry));
  }

  /** Resolves when everything is on disk, or can't be. */
  flush(): Promise<void> {
    return this.written;
  }

  /** Selects entries, oldest first.
   *  @param request content of a history_request: hist_access_type "tail", "range" or "search" */
  async select(request: JsonObject): Promise<readonly HistoryEntry[]> {
    const accessType = stringField(request, "hist_access_type", "tail");
    if (accessType !== "tail" && accessType !== "range" && accessType !== "search") return [];
    await this.written;
    const others = await this.otherSessions();
    // Without a cell of its own this session has no number yet; it would get the next.
    const running = this.session > 0 ? this.session : (others.at(-1)?.session ?? 0) + 1;
    const all = [...others, ...this.entries.map((entry) => ({ ...entry, session: running }))];
    if (accessType === "range") {
      const asked = numberField(request, "session", 0);
      // 0 is this session, a negative number counts back from it.
      const session = asked > 0 ? asked : running + asked;
      const start = numberField(request, "start", 0);
      const stop = numberField(request, "stop", Infinity);
      return all.filter((entry) => entry.session === session && entry.line >= start && entry.line < stop);
    }
    const found = accessType === "tail" ? all : search(all, stringField(request, "pattern", "*"), booleanField(request, "unique", false));
    const count = numberField(request, "n", Infinity);
    return count >= found.length ? found : found.slice(found.length - Math.max(0, Math.trunc(count)));
  }

  /** Earlier sessions, and those that run beside this one as far as they are on disk. */
  private async otherSessions(): Promise<readonly HistoryEntry[]> {
    if (this.files === null) return [];
    try {
      return await this.files.readOthers(this.session);
    } catch (error) {
      this.failed(error);
      return [];
    }
  }

  private async keep(entry: Omit<HistoryEntry, "session">): Promise<void> {
    if (this.files === null || this.hasFailed) return;
    try {
      if (this.session === 0) this.session = await this.files.claimSession();
      await this.files.append({ ...entry, session: this.session });
    } catch (error) {
      this.failed(error);
    }
  }

  /** History is not worth a cell: without a place on disk it goes on in memory. */
  private failed(error: unknown): void {
    if (systemErrorCode(error) === undefined) throw error;
    if (!this.hasFailed) log(`history is not kept: ${String(error)}`);
    this.hasFailed = true;
  }
}

function lengthOf({ input, output }: { readonly input: string; readonly output: string | null }): number {
  return input.length + (output?.length ?? 0);
}

function search(entries: readonly HistoryEntry[], pattern: string, isUnique: boolean): HistoryEntry[] {
  const found = pattern.length > MAX_PATTERN_LENGTH ? [] : entries.filter(({ input }) => fitsGlob(input, pattern));
  if (!isUnique) return found;
  const newest = new Map<string, HistoryEntry>();
  for (const entry of found) {
    newest.delete(entry.input);
    newest.set(entry.input, entry);
  }
  return [...newest.values()];
}

/** `*` is any text, `?` any one character; the whole text must fit. Steps: length of text times length of pattern at most,
 *  where a regular expression may take exponentially many. */
export function fitsGlob(searched: string, glob: string): boolean {
  const text = [...searched];
  const pattern = [...glob];
  let at = 0;
  let place = 0;
  let star = -1;
  let starAt = 0;
  while (at < text.length) {
    if (pattern[place] === "*") {
      star = place++;
      starAt = at;
    } else if (pattern[place] === "?" || (place < pattern.length && pattern[place] === text[at])) {
      at += 1;
      place += 1;
    } else if (star >= 0) {
      // The last star takes one character more.
      place = star + 1;
      at = ++starAt;
    } else return false;
  }
  while (pattern[place] === "*") place += 1;
  return place === pattern.length;
}

/** history_request. Source: jupyter-client.readthedocs.io/en/stable/messaging.html#history */
export const history: RequestHandler = async (state, content) => {
  const withOutput = booleanField(content, "output", false);
  const entries = await state.history.select(content);
  return { status: "ok", history: entries.map(({ session, line, input, output }) => [session, line, withOutput ? [input, output] : input]) };
};
