import { callBack } from "../runner/callbacks.ts";
import type { Callback } from "../runner/callbacks.ts";
import type { CellRuns } from "../runner/cellRun.ts";

interface Listener<T> extends Callback<(event: T) => unknown> {
  readonly wants: (event: T) => boolean;
  isBusy: boolean;
  /** Came while an asynchronous listener was busy: the newest one, in a box. */
  waiting: { readonly event: T } | null;
}

/** The listeners for one kind of event. Each runs as part of the cell that added it. One that is asynchronous is not called
 *  again before it has ended, and then with the newest event only, so that a moving slider can't pile up work. */
export class Listeners<T> {
  private readonly runs: CellRuns;
  private readonly name: string;
  private readonly listeners = new Set<Listener<T>>();

  /** @param name what is said to have failed when a listener throws */
  constructor(runs: CellRuns, name: string) {
    this.runs = runs;
    this.name = name;
  }

  /** @returns removes the listener */
  add(call: (event: T) => unknown, wants: (event: T) => boolean = () => true): () => void {
    const listener: Listener<T> = { call, wants, run: this.runs.current, isBusy: false, waiting: null };
    this.listeners.add(listener);
    return () => { this.listeners.delete(listener); };
  }

  tell(event: T): void {
    for (const listener of [...this.listeners]) {
      if (!listener.wants(event)) continue;
      if (listener.isBusy) listener.waiting = { event };
      else this.call(listener, event);
    }
  }

  private call(listener: Listener<T>, event: T): void {
    const ended = callBack(this.runs, listener.run, this.name, () => listener.call(event));
    if (ended === null) return;
    listener.isBusy = true;
    void ended.then(() => {
      const { waiting } = listener;
      listener.isBusy = false;
      listener.waiting = null;
      if (waiting !== null && this.listeners.has(listener)) this.call(listener, waiting.event);
    });
  }
}
