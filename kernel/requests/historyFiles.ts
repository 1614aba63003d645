import { appendFile, mkdir, readdir, readFile, rename, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { systemErrorCode } from "../errors.ts";
import { isJsonObject } from "../protocol/json.ts";

/** One cell as history knows it. */
export interface HistoryEntry { readonly session: number; readonly line: number; readonly input: string; readonly output: string | null }

/** Bounds of what is kept on disk. */
export interface HistoryBounds {
  /** Bytes of one session; the older half goes when it has more. */
  readonly sessionBytes: number;
  /** Sessions, the running one among them; the oldest go. */
  readonly sessions: number;
  /** Bytes of all sessions together; the oldest go. */
  readonly totalBytes: number;
}

export const HISTORY_BOUNDS: HistoryBounds = { sessionBytes: 1 << 20, sessions: 500, totalBytes: 1 << 23 };

const FILE_NAME = /^(\d{1,9})\.jsonl$/;
/** Another kernel may take a number between looking and taking. */
const CLAIM_ATTEMPTS = 100;

/** The sessions of this user's kernels on disk: a folder with one file for each, `<session>.jsonl`, one JSON object a line.
 *  A session's number is taken by creating its file, which fails when it is there; only its own kernel writes to it. So
 *  several kernels need no lock, and a damaged line costs itself only. */
export class HistoryFiles {
  private readonly folder: string;
  private readonly bounds: HistoryBounds;
  private bytes = 0;

  constructor(folder: string, bounds: HistoryBounds = HISTORY_BOUNDS) {
    this.folder = folder;
    this.bounds = bounds;
  }

  /** Takes the next session number and removes the oldest sessions over the bounds.
   *  @throws system errors of a folder that can't be written */
  async claimSession(): Promise<number> {
    await mkdir(this.folder, { recursive: true, mode: 0o700 });
    let session = Math.max(0, ...await this.sessions()) + 1;
    for (let attempt = 0; ; attempt++, session++) {
      try {
        await writeFile(this.path(session), "", { flag: "wx", mode: 0o600 });
        break;
      } catch (error) {
        if (systemErrorCode(error) !== "EEXIST" || attempt >= CLAIM_ATTEMPTS) throw error;
      }
    }
    await this.prune(session);
    return session;
  }

  /** Adds one entry to the session that claimSession gave. One write at the file's end, so a crash leaves whole lines and at most one piece. */
  async append(entry: HistoryEntry): Promise<void> {
    const line = `${JSON.stringify({ line: entry.line, input: entry.input, output: entry.output })}\n`;
    await appendFile(this.path(entry.session), line, { mode: 0o600 });
    this.bytes += Buffer.byteLength(line);
    if (this.bytes > this.bounds.sessionBytes) await this.halve(entry.session);
  }

  /** All entries of all sessions but one, oldest first.
   *  @param running the session that is in memory; 0 when it has no number yet */
  async readOthers(running: number): Promise<HistoryEntry[]> {
    const entries: HistoryEntry[] = [];
    for (const session of await this.sessions()) if (session !== running) entries.push(...await this.readSession(session));
    return entries;
  }

  private async readSession(session: number): Promise<HistoryEntry[]> {
    const text = await ignoreMissing(readFile(this.path(session), "utf8"), "");
    return text.split("\n").flatMap((line) => parseEntry(session, line) ?? []);
  }

  /** Keeps the newer half of a session. Written beside and renamed, so that nobody reads half a file. */
  private async halve(session: number): Promise<void> {
    const lines = (await readFile(this.path(session), "utf8")).split("\n");
    const kept: string[] = [];
    let bytes = 0;
    for (const line of lines.reverse()) {
      bytes += Buffer.byteLength(line) + 1;
      if (bytes > this.bounds.sessionBytes / 2) break;
      if (line !== "") kept.push(line);
    }
    const text = kept.reverse().map((line) => `${line}\n`).join("");
    const temporary = join(this.folder, `.${session}.${process.pid}.tmp`);
    await writeFile(temporary, text, { mode: 0o600 });
    await rename(temporary, this.path(session));
    this.bytes = Buffer.byteLength(text);
  }

  private async prune(running: number): Promise<void> {
    let totalBytes = 0;
    let kept = 0;
    for (const session of (await this.sessions()).reverse()) {
      totalBytes += await ignoreMissing(stat(this.path(session)).then(({ size }) => size), 0);
      kept += 1;
      if (session !== running && (kept > this.bounds.sessions || totalBytes > this.bounds.totalBytes)) await rm(this.path(session), { force: true });
    }
  }

  /** Numbers of the sessions on disk, smallest first. */
  private async sessions(): Promise<number[]> {
    const names = await ignoreMissing(readdir(this.folder), []);
    return names.flatMap((name) => Number(FILE_NAME.exec(name)?.[1] ?? [])).filter((session) => session > 0).sort((a, b) => a - b);
  }

  private path(session: number): string {
    return join(this.folder, `${session}.jsonl`);
  }
}

/** @returns null for a damaged line */
function parseEntry(session: number, text: string): HistoryEntry | null {
  if (text === "") return null;
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    return null;
  }
  if (!isJsonObject(parsed)) return null;
  const { line, input, output = null } = parsed;
  if (typeof line !== "number" || !Number.isInteger(line) || typeof input !== "string") return null;
  return { session, line, input, output: typeof output === "string" ? output : null };
}

async function ignoreMissing<T>(promise: Promise<T>, fallback: T): Promise<T> {
  try {
    return await promise;
  } catch (error) {
    if (systemErrorCode(error) !== "ENOENT") throw error;
    return fallback;
  }
}
