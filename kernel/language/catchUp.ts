import { setImmediate as turnOfOthers } from "node:timers/promises";
import type { CellCompiler } from "../compile/cellCompiler.ts";
import { log } from "../protocol/log.ts";
import type { CellLanguage } from "./cellLanguage.ts";

/** The next cell's check waits for the scope of this one; in a run of cells it does that itself, in ms. */
const SCOPE_DELAY_MS = 5;
/** Who sends no cell for so long reads or writes, in ms. */
const PAUSE_MS = 100;
/** A kernel that gets no cell for so long is idle: then completion is made ready, which takes half a second once, in ms. */
const IDLE_MS = 1000;
/** So many compilations of a small cell, of about 1 ms each, until V8 has compiled the code that does them. */
const REHEARSALS = 20;

/** Does between cells what the next cell or question would wait for: not before the first cell, which is waited for, and
 *  not between the cells of a notebook that runs. */
export class CatchUp {
  private readonly compiler: CellCompiler;
  private readonly language: CellLanguage;
  private timer: NodeJS.Timeout | null = null;
  /** Changes with every cell, so that what was begun for an earlier one ends. */
  private turn = 0;
  private isRehearsed = false;
  private isWarm = false;

  constructor(compiler: CellCompiler, language: CellLanguage) {
    this.compiler = compiler;
    this.language = language;
  }

  /** To be called when a cell comes. */
  cellStarts(): void {
    this.turn += 1;
    if (this.timer !== null) clearTimeout(this.timer);
    this.timer = null;
  }

  /** To be called when a cell has ended. */
  cellEnded(): void {
    this.cellStarts();
    this.after(SCOPE_DELAY_MS, () => {
      this.compiler.updateScope();
      this.after(PAUSE_MS, () => this.pause());
    });
  }

  private async pause(): Promise<void> {
    const { turn } = this;
    for (let i = 0; !this.isRehearsed && i < REHEARSALS && this.turn === turn; i++) {
      this.compiler.compile(`1 + ${i}`);
      await turnOfOthers();
    }
    if (this.turn !== turn) return;
    this.isRehearsed = true;
    // A declaration makes TypeScript's work for completion old; who has not asked for any may never.
    if (this.language.isAsked) await this.language.warmUp();
    else if (!this.isWarm) {
      this.after(IDLE_MS - PAUSE_MS, async () => {
        this.isWarm = true;
        await this.language.warmUp();
      });
    }
  }

  private after(milliseconds: number, work: () => Promise<void> | void): void {
    this.timer = setTimeout(() => { void this.attempt(work); }, milliseconds);
  }

  /** What can't be done is told when a cell or question needs it. */
  private async attempt(work: () => Promise<void> | void): Promise<void> {
    try {
      await work();
    } catch (error) {
      if (!(error instanceof Error)) throw error;
      log(`the next cell is not prepared: ${String(error)}`);
    }
  }
}
