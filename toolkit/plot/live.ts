import { randomUUID } from "node:crypto";
import { notebookDisplay } from "./notebook.ts";

/** An output that can be replaced while a cell runs. */
export interface LiveDisplay {
  /** Shows `value` in place of the last one; at once, or at the next free moment when the last one is too young.
   *  Of several waiting values only the last is shown. */
  update(value: unknown): void;
  /** Shows what still waits. Later updates do nothing. */
  close(): Promise<void>;
}

/** Draws often enough to look alive, seldom enough not to slow training: a figure takes a browser about 50 ms. */
const defaultMinIntervalMs = 250;

class NotebookLiveDisplay implements LiveDisplay {
  private readonly displayId = randomUUID();
  private readonly minIntervalMs: number;
  private readonly show: (value: unknown, update: boolean) => unknown;
  private shownAtMs = -Infinity;
  private waiting: { readonly value: unknown } | undefined;
  private timer: NodeJS.Timeout | undefined;
  private inFlight: Promise<unknown> | undefined;
  private isClosed = false;

  constructor(first: unknown, display: NonNullable<ReturnType<typeof notebookDisplay>>, minIntervalMs: number) {
    this.minIntervalMs = minIntervalMs;
    this.show = (value, update) => display(value, { display_id: this.displayId, update });
    this.send(first, false);
  }

  update(value: unknown): void {
    if (this.isClosed) return;
    this.waiting = { value };
    this.showWaiting();
  }

  async close(): Promise<void> {
    this.isClosed = true;
    clearTimeout(this.timer);
    await this.inFlight;
    if (this.waiting) this.send(this.waiting.value, true);
    this.waiting = undefined;
    await this.inFlight;
  }

  private showWaiting(): void {
    if (!this.waiting || this.inFlight || this.isClosed) return;
    const waitMs = this.shownAtMs + this.minIntervalMs - performance.now();
    if (waitMs <= 0) {
      const { value } = this.waiting;
      this.waiting = undefined;
      this.send(value, true);
      return;
    }
    // A loop that never yields gets no timer: then the next update() that is late enough shows its value itself.
    if (this.timer) return;
    this.timer = setTimeout(() => {
      this.timer = undefined;
      this.showWaiting();
    }, waitMs);
    this.timer.unref();
  }

  private send(value: unknown, update: boolean): void {
    this.shownAtMs = performance.now();
    const sent = this.show(value, update);
    if (!(sent instanceof Promise)) return;
    // A figure that can't be shown must not end the training that it shows: the page says what failed.
    this.inFlight = sent
      .catch((error: unknown) => { console.warn("a live display could not be updated:", error); })
      .finally(() => {
        this.inFlight = undefined;
        this.showWaiting();
      });
  }
}

/** Shows `first` and lets it be replaced. Outside a notebook nothing is shown and updates cost nothing.
 *  @param options.minIntervalMs least time between two updates */
export function liveDisplay(first: unknown, options: { minIntervalMs?: number } = {}): LiveDisplay {
  const display = notebookDisplay();
  if (!display) return { update: () => undefined, close: () => Promise.resolve() };
  return new NotebookLiveDisplay(first, display, options.minIntervalMs ?? defaultMinIntervalMs);
}
