import { escapeHtml } from "./escapeHtml.ts";
import { type LiveDisplay, liveDisplay } from "./live.ts";
import { type Displayable, displaySymbol, type MimeBundle, notebookDisplay } from "./notebook.ts";
import { durationText, numberText } from "./numberText.ts";
import { categoryColor } from "./palette.ts";

/** What stands beside the bar. */
export interface ProgressFields {
  readonly lossNats?: number;
  readonly validationLossNats?: number;
  readonly tokensPerSecond?: number;
  /** anything else worth a word */
  readonly note?: string;
}

export interface ProgressBarOptions {
  /** units of work, > 0 */
  readonly total: number;
  /** e.g. "training" */
  readonly label: string;
  /** what is counted, e.g. "step" */
  readonly unit?: string;
  /** where a process outside a notebook shows the bar; it must be a terminal, or nothing is written */
  readonly terminal?: { readonly isTTY?: boolean; readonly columns?: number; write(text: string): unknown };
}

/** The speed is taken over this much of the past: short enough to follow a change, long enough to be calm. */
const windowMs = 20_000;
const terminalIntervalMs = 100;
const textBarWidth = 20;

interface Moment {
  readonly atMs: number;
  readonly done: number;
}

/** How far a long task is. In a notebook a slim bar; in a terminal one line that is rewritten; elsewhere silent.
 *  Its text form is one line: `training ████░░ 40/100 step · loss 3.21 nats · 12,000 tokens/s · 8 s left`. */
export class ProgressBar implements Displayable {
  readonly total: number;
  readonly label: string;
  readonly unit: string;
  private readonly terminal: NonNullable<ProgressBarOptions["terminal"]>;
  private readonly startedAtMs = performance.now();
  private moments: Moment[] = [{ atMs: this.startedAtMs, done: 0 }];
  private fields: ProgressFields = {};
  private live: LiveDisplay | undefined;
  private writtenAtMs = -Infinity;
  private isClosed = false;

  /** @throws RangeError unless total > 0 */
  constructor(options: ProgressBarOptions) {
    if (!(options.total > 0)) throw new RangeError(`a progress bar got total ${options.total}; there must be something to do. Fix: give a total above 0.`);
    this.total = options.total;
    this.label = options.label;
    this.unit = options.unit ?? "step";
    this.terminal = options.terminal ?? process.stderr;
  }

  /** @param done units finished so far, 0 … total; smaller than before after a restart
   *  @param fields replace those given before, one by one */
  update(done: number, fields: ProgressFields = {}): void {
    if (this.isClosed) return;
    const atMs = performance.now();
    this.fields = { ...this.fields, ...fields };
    if (done < this.done) this.moments = [];
    this.moments.push({ atMs, done: Math.min(done, this.total) });
    // The last moment before the window stays: it is where the window starts.
    while (this.moments.length > 2 && this.moments[1].atMs < atMs - windowMs) this.moments.shift();
    this.show(atMs);
  }

  /** Leaves the last state standing. */
  async close(): Promise<void> {
    if (this.isClosed) return;
    this.isClosed = true;
    if (this.live) {
      this.live.update(this);
      await this.live.close();
    } else if (this.terminal.isTTY && this.writtenAtMs > -Infinity) {
      this.writeLine();
      this.terminal.write("\n");
    }
  }

  get done(): number {
    return this.moments.at(-1)?.done ?? 0;
  }

  /** Time left at the speed of the last 20 s; NaN before there is a speed. */
  get secondsLeft(): number {
    const first = this.moments.at(0);
    const last = this.moments.at(-1);
    if (!first || !last || last.done <= first.done) return Number.NaN;
    return ((this.total - last.done) * (last.atMs - first.atMs)) / (last.done - first.done) / 1000;
  }

  toString(): string {
    const filled = Math.round((this.done / this.total) * textBarWidth);
    const bar = "█".repeat(filled) + "░".repeat(textBarWidth - filled);
    return `${this.label} ${bar} ${this.facts().join(" · ")}`;
  }

  [displaySymbol](): MimeBundle {
    return { "text/html": this.toHtml(), "text/plain": this.toString() };
  }

  private facts(): string[] {
    const { lossNats, validationLossNats, tokensPerSecond, note } = this.fields;
    const elapsed = durationText(((this.moments.at(-1)?.atMs ?? this.startedAtMs) - this.startedAtMs) / 1000);
    const openEnd = this.isClosed ? `stopped after ${elapsed}` : `${durationText(this.secondsLeft)} left`;
    return [
      `${numberText(this.done)}/${numberText(this.total)} ${this.unit}`,
      ...(lossNats === undefined ? [] : [`loss ${lossNats.toFixed(3)} nats`]),
      ...(validationLossNats === undefined ? [] : [`validation ${validationLossNats.toFixed(3)} nats`]),
      ...(tokensPerSecond === undefined ? [] : [`${numberText(Math.round(tokensPerSecond))} tokens/s`]),
      ...(note === undefined ? [] : [note]),
      this.done >= this.total ? `took ${elapsed}` : openEnd,
    ];
  }

  private toHtml(): string {
    const percent = (100 * this.done) / this.total;
    const facts = this.facts().map((fact) => `<span style="white-space:nowrap">${escapeHtml(fact)}</span>`).join("");
    return `<div role="progressbar" aria-valuemin="0" aria-valuemax="100" aria-valuenow="${percent.toFixed(0)}" aria-label="${escapeHtml(this.label)}"`
      + ` style="font:13px/1.5 Inter,'Segoe UI','Helvetica Neue',system-ui,sans-serif;font-variant-numeric:tabular-nums;max-width:760px;padding:4px 0">`
      + `<div style="display:flex;flex-wrap:wrap;gap:2px 18px"><strong>${escapeHtml(this.label)}</strong>${facts}</div>`
      + `<div style="height:5px;border-radius:3px;margin-top:5px;overflow:hidden;background:rgba(125,135,148,0.28)">`
      + `<div style="height:100%;border-radius:3px;width:${percent.toFixed(2)}%;background:${categoryColor(this.done >= this.total ? 2 : 4)}"></div></div></div>`;
  }

  private show(atMs: number): void {
    if (notebookDisplay()) {
      if (this.live) this.live.update(this);
      else this.live = liveDisplay(this);
    } else if (this.terminal.isTTY && atMs - this.writtenAtMs >= terminalIntervalMs) {
      this.writtenAtMs = atMs;
      this.writeLine();
    }
  }

  private writeLine(): void {
    const columns = this.terminal.columns ?? 80;
    // ESC[K clears what a longer line left behind.
    this.terminal.write(`\r${this.toString().slice(0, columns - 1)}\u001b[K`);
  }
}
