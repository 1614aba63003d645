import { posix } from "node:path";
import { setImmediate as turnOfOthers } from "node:timers/promises";
import type { CellCompiler } from "../compile/cellCompiler.ts";
import { completionsAt, moduleCompletions } from "./completer.ts";
import { wordBefore } from "./cursorContext.ts";
import type { CompletionList } from "./completion.ts";
import { completeness } from "./completeness.ts";
import type { Completeness } from "./completeness.ts";
import { inspectionAt } from "./inspection.ts";
import type { Inspection } from "./inspection.ts";
import { magicCompletions, withoutMagics } from "./magicCode.ts";
import type { OpenCell } from "./openCell.ts";
import type { RuntimeValues } from "./runtimeValues.ts";
import { CellService } from "./service.ts";

/** What is told of a name, for terminals and for browsers. */
export interface Description { readonly text: string; readonly markdown: string }

/** What the language gets from the rest of the kernel. */
export interface LanguageParts {
  /** Null where there are no values, as in a test without a main thread. */
  readonly values?: RuntimeValues | null;
  /** Names of magics, with their `%` or `%%`. */
  readonly magics?: readonly string[];
}

/** Makes the file another one than that of a cell which was run with the same code: programs write on their files. */
const END = "\n \n";
const LONE_NAME = /^\s*[\w$.]+\s*$/;
const TYPE_QUESTION = "let __asked: ";

/** Answers questions about code that is being written, knowing what earlier cells declared and what values they left. */
export class CellLanguage {
  private readonly compiler: CellCompiler;
  private readonly service: CellService;
  private readonly values: RuntimeValues | null;
  private readonly magics: readonly string[];
  /** Whether anyone has asked for completions or for a description. */
  isAsked = false;

  constructor(compiler: CellCompiler, { values = null, magics = [] }: LanguageParts = {}) {
    this.compiler = compiler;
    this.service = new CellService(compiler);
    this.values = values;
    this.magics = magics;
  }

  /** @param cursor UTF-16 units from the start of the code
   *  @returns what may stand at the cursor, and which text it replaces */
  complete(code: string, cursor: number): Promise<CompletionList> {
    this.isAsked = true;
    return this.completions(code, cursor);
  }

  private async completions(code: string, cursor: number): Promise<CompletionList> {
    const ofMagics = magicCompletions(code, cursor, this.magics);
    if (ofMagics !== null) return ofMagics;
    const ofModules = moduleCompletions(withoutMagics(code), cursor, posix.dirname(this.compiler.cellPath));
    if (ofModules !== null) return ofModules;
    // Without the word that is being typed the code stays the same from letter to letter, and TypeScript's work is kept.
    const typed = wordBefore(code, cursor);
    const cell = this.open(code.slice(0, cursor - typed.length) + code.slice(cursor));
    const { start, entries } = await completionsAt(cell, cell.offset + cursor - typed.length, typed, this.values);
    return { start: start - cell.offset, end: cursor, entries };
  }

  /** Type, documentation and present value of the name at the cursor, or of the function whose arguments are written there.
   *  @param detailLevel 1 adds the text of the declaration */
  async inspect(code: string, cursor: number, detailLevel: 0 | 1): Promise<Description | null> {
    const found = this.look(code, cursor);
    const preview = found === null || found.path === null || this.values === null ? null : await this.values.preview(found.path);
    return found === null || (!found.isTyped && preview === null) ? null : description(found, preview, detailLevel);
  }

  /** Whether code is whole, could go on, or is wrong. */
  completeness(code: string): Completeness {
    return completeness(code);
  }

  /** Makes the first question as fast as the next ones. Takes two steps of some 0.1 s, between which others may ask. */
  async warmUp(): Promise<void> {
    this.open("");
    await turnOfOthers();
    await this.completions("", 0);
  }

  private look(code: string, cursor: number): Inspection | null {
    this.isAsked = true;
    const cell = this.open(code);
    const found = inspectionAt(cell, cell.offset + cursor);
    if (found?.isTyped === true || !LONE_NAME.test(code)) return found;
    // Asked for alone, a name may be that of a type.
    const asType = this.open(`${TYPE_QUESTION}${code}`);
    const ofType = inspectionAt(asType, asType.offset + TYPE_QUESTION.length + cursor);
    return ofType?.isTyped === true ? ofType : found;
  }

  private open(code: string): OpenCell {
    this.compiler.takeAllNodeTypes();
    this.compiler.writeScope();
    const { cellPath } = this.compiler;
    const offset = this.compiler.setCell(withoutMagics(code) + END).prefix.length;
    const program = this.service.refresh();
    const sourceFile = program.getSourceFile(cellPath);
    if (sourceFile === undefined) throw new Error(`the language service has no ${cellPath}`);
    return { service: this.service.service, checker: program.getTypeChecker(), sourceFile, offset, folder: posix.dirname(cellPath) };
  }
}

function description({ signature, documentation, source }: Inspection, preview: string | null, detailLevel: 0 | 1): Description {
  const value = preview === null ? [] : [`Value: ${preview}`];
  const markdownValue = preview === null ? [] : [`Value: \`\`${preview.replaceAll("``", "` `")} \`\``];
  const isSourceShown = detailLevel === 1 && source !== null;
  const fenced = (text: string): string => `\`\`\`typescript\n${text}\n\`\`\``;
  const parts = documentation === "" ? [] : [documentation];
  return {
    text: [signature, ...value, ...parts, ...(isSourceShown ? [`Source (${source.place}):\n${source.text}`] : [])].join("\n\n"),
    markdown: [fenced(signature), ...markdownValue, ...parts, ...(isSourceShown ? [`Source (${source.place}):\n\n${fenced(source.text)}`] : [])].join("\n\n"),
  };
}
