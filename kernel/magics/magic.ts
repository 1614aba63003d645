import type { JsonObject } from "../protocol/json.ts";

/** How long code ran, without its check and compilation, in ms. */
export interface RunTime {
  readonly wallMs: number;
  /** Of all threads of the process. */
  readonly userCpuMs: number;
  readonly systemCpuMs: number;
}

/** What a magic may do. */
export interface MagicContext {
  /** Behind the magic's name on its line, without the white space around it. */
  readonly argument: string;
  /** The lines below; of a `%%` magic the rest of the cell. */
  readonly body: string;
  /** Runs code as a cell does, its result shown; positions are those of the whole cell.
   *  @param part "argument" or "body" of this magic
   *  @returns isDone: false when it failed, which has been reported then; time: null when it was not run at all */
  readonly runCode: (part: "argument" | "body") => Promise<{ readonly isDone: boolean; readonly time: RunTime | null }>;
  readonly show: (data: JsonObject) => Promise<void>;
  readonly print: (text: string) => void;
  readonly names: CellNames;
}

/** The names that cells have declared. */
export interface CellNames {
  /** In the order of their declaration, newest last. */
  readonly list: () => readonly { readonly name: string; readonly type: string }[];
  /** @param names null for all
   *  @returns how many are gone */
  readonly forget: (names: readonly string[] | null) => Promise<number>;
}

/** A command at the top of a cell. */
export interface Magic {
  /** With its `%` (takes the rest of its line) or `%%` (takes the rest of the cell). */
  readonly name: string;
  /** What may stand behind the name, e.g. "[name …]". */
  readonly parameters: string;
  readonly summary: string;
  /** @returns false when code that it ran has failed */
  readonly run: (context: MagicContext) => Promise<boolean>;
}
