import { types } from "node:util";
import { InterruptError } from "../errors.ts";
import type { CellRun, OutputSink } from "../runner/cellRun.ts";
import { bundleOf } from "../runner/display.ts";
import { reportError } from "../runner/errorReport.ts";
import { OutputList } from "./outputList.ts";
import { Widget } from "./widget.ts";

/** A place on the page for outputs. They are gathered here, not by the front end: so they survive a reload of the page, and
 *  what runs beside the captured work keeps its own place. */
export class OutputWidget extends Widget {
  private readonly list = new OutputList();

  get outputs(): readonly unknown[] {
    return this.list.outputs;
  }

  /** Runs work with its outputs going here; an error is shown here too.
   *  @returns what work returns or resolves with; undefined after an error */
  capture(work: () => unknown): unknown {
    const { runs } = this.registry;
    const outer = runs.current;
    const run = runs.resume(outer, this.sink);
    const end = (): void => { run.isOver = true; };
    return runs.within(run, () => {
      try {
        const result = work();
        if (types.isPromise(result)) {
          const whole = result.then((value) => Promise.all(run.pendingDisplays).then(() => value), (error: unknown) => { this.showError(error); });
          return Promise.race([whole, this.whenStopped(run)]).finally(end);
        }
        for (const display of run.pendingDisplays) outer.pendingDisplays.add(display);
        end();
        return result;
      } catch (error) {
        // The error is the output.
        this.showError(error);
        end();
        return undefined;
      }
    });
  }

  /** Adds a value as display() would. */
  append(value: unknown): void {
    const show = ({ data, metadata }: Awaited<ReturnType<typeof bundleOf>>): void => {
      this.sink({ type: "display", runId: 0, isUpdate: false, displayId: null, bundle: { data, metadata } });
    };
    const fail = (error: unknown): void => { this.showError(error); };
    try {
      const bundle = bundleOf(value);
      if (types.isPromise(bundle)) void bundle.then(show, fail);
      else show(bundle);
    } catch (error) {
      // The value's own display method failed: that is the output.
      fail(error);
    }
  }

  /** Removes the outputs; with wait, when the next one comes. */
  clear({ wait = false }: { readonly wait?: boolean } = {}): void {
    this.sink({ type: "clear", runId: 0, wait });
  }

  /** Ends what clear with wait began: what has not been replaced goes. */
  settle(): void {
    if (this.list.settle()) this.put("outputs", this.list.outputs);
  }

  showError(error: unknown): void {
    this.list.addError(reportError(error, this.registry.stackTraces));
    this.put("outputs", this.list.outputs);
  }

  override plainText(): string {
    return this.list.plainText();
  }

  /** What was stopped may never settle. */
  private whenStopped(run: CellRun): Promise<undefined> {
    return new Promise((resolve) => {
      run.stop.signal.addEventListener("abort", () => {
        if (!run.isOver) this.showError(new InterruptError({ code: "E_OUTPUT_INTERRUPTED", what: "The work was stopped", why: "the kernel was interrupted", fix: "run it again" }));
        resolve(undefined);
      }, { once: true });
    });
  }

  private readonly sink: OutputSink = (message) => {
    if (!this.list.add(message)) return false;
    this.put("outputs", this.list.outputs);
    return true;
  };
}
