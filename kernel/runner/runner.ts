import { channel } from "node:diagnostics_channel";
import { types } from "node:util";
import { InterruptError } from "../errors.ts";
import type { CellRun, CellRuns } from "./cellRun.ts";
import { bundleOf, isDisplayHandle } from "./display.ts";
import { reportError } from "./errorReport.ts";
import type { Evaluation, Evaluator } from "./evaluator.ts";
import { Object, Promise, Set } from "./intrinsics.ts";
import type { StackTraces } from "./stackTraces.ts";
import type { CellOutcome, ErrorReport, ExecuteOrder, MainMessage, UserExpression } from "./threadMessages.ts";

/** Tells libraries that a cell was stopped: a terminated one ran no `finally`, and what it left half done in them lives on.
 *  Node.js's diagnostics channels need no import of one another. */
const stoppedCells = channel("moe-lab:cell-stopped");

/** What the runner needs of its surroundings. */
export interface RunnerParts {
  readonly post: (message: MainMessage) => void;
  readonly runs: CellRuns;
  readonly evaluator: Evaluator;
  readonly stackTraces: StackTraces;
}

type Ending = { readonly status: "ok" } | ({ readonly status: "error" } & ErrorReport) | { readonly status: "interrupted" };

/** Runs cells on the main thread, one at a time for each shell, and tells the worker how they ended. */
export class Runner {
  private readonly parts: RunnerParts;
  private readonly initialNames = new Set(Object.getOwnPropertyNames(globalThis));
  private readonly active = new Map<number, CellRun>();

  constructor(parts: RunnerParts) {
    this.parts = parts;
  }

  async execute(order: ExecuteOrder): Promise<void> {
    const { runs, stackTraces } = this.parts;
    const run = runs.start(order.runId);
    this.active.set(run.id, run);
    try {
      stackTraces.addCell(order.cellName, order.sourceMap, order.lineOffset);
      order.declaredNames.forEach(makeWritable);
      await runs.within(run, async () => {
        const ending = this.ending(await this.evaluate(order.javascript, order.cellName), order.cellName);
        await Promise.all(run.pendingDisplays);
        this.finish(run, ending.status === "ok" ? await this.succeed(run, order) : { ...ending, untypedNames: this.untypedNames() });
      });
    } catch (error) {
      // The kernel's own code failed: a cell has changed what it stands on, e.g. a prototype. The cell must end all the same.
      this.finish(run, { status: "error", ...this.report(error), untypedNames: [] });
    }
  }

  /** Stops a run, or with null everything in the background. Called when the main thread is free: for the run's
   *  synchronous part the worker terminates V8's execution first. */
  interrupt(runId: number | null): void {
    this.parts.runs.stop(runId);
    if (runId === null) return;
    const outcome: CellOutcome = { status: "interrupted", untypedNames: this.untypedNames() };
    const run = this.active.get(runId);
    if (run !== undefined) this.finish(run, outcome);
    // The order itself was lost when its handler was terminated.
    else this.parts.post({ type: "done", runId, outcome });
    stoppedCells.publish({ runId });
  }

  /** The last expression of a cell, handed over by the code that transform.ts wrote. */
  takeResult(value: unknown): void {
    this.parts.runs.current.result = { value };
  }

  private evaluate(javascript: string, name: string): Promise<Evaluation> {
    return this.parts.evaluator.evaluate(`${javascript}\n//# sourceURL=${name}`);
  }

  private async succeed(run: CellRun, order: ExecuteOrder): Promise<CellOutcome> {
    const value = run.result?.value;
    run.result = null;
    const userExpressions: Record<string, UserExpression> = {};
    try {
      // What display() returned has been shown already.
      const bundle = value === undefined || isDisplayHandle(value) ? null : await bundleOf(value);
      // A value whose bundle is empty wants to show nothing.
      const result = bundle === null || Object.keys(bundle.data).length === 0 ? null : bundle;
      for (const [name, javascript] of Object.entries(order.userExpressions)) {
        userExpressions[name] = await this.userExpression(run, javascript, name);
      }
      return { status: "ok", result, userExpressions, untypedNames: this.untypedNames() };
    } catch (error) {
      // The value's own display method failed.
      return { status: "error", ...this.report(error), untypedNames: this.untypedNames() };
    }
  }

  private async userExpression(run: CellRun, javascript: string, name: string): Promise<UserExpression> {
    const ending = this.ending(await this.evaluate(javascript, `expression-${name}.ts`), name);
    const value = run.result?.value;
    run.result = null;
    if (ending.status === "ok") return { status: "ok", ...await bundleOf(value) };
    return ending.status === "error" ? ending : { status: "error", ename: "KeyboardInterrupt", evalue: "interrupted", traceback: [] };
  }

  private ending(evaluation: Evaluation, cellName: string): Ending {
    switch (evaluation.kind) {
      case "finished": return { status: "ok" };
      case "terminated": return { status: "interrupted" };
      case "threw":
        // isNativeError first: instanceof runs a proxy's traps.
        if (types.isNativeError(evaluation.thrown) && evaluation.thrown instanceof InterruptError) return { status: "interrupted" };
        return { status: "error", ...this.report(evaluation.thrown) };
      case "refused": {
        const { message } = evaluation;
        const position = this.parts.stackTraces.cellPosition(cellName, evaluation.line, evaluation.column);
        const place = position === null ? cellName : `${cellName}:${position.line}:${position.column}`;
        const frame = `    at ${place}`;
        const quoted = this.parts.stackTraces.quote([frame]);
        return { status: "error", ename: "SyntaxError", evalue: message, traceback: [`SyntaxError: ${message}`, ...(quoted === null ? [] : [quoted]), frame] };
      }
    }
  }

  private report(thrown: unknown): ErrorReport {
    return reportError(thrown, this.parts.stackTraces);
  }

  private finish(run: CellRun, outcome: CellOutcome): void {
    if (run.isOver) return;
    this.parts.post({ type: "done", runId: run.id, outcome });
    run.isOver = true;
    this.active.delete(run.id);
  }

  private untypedNames(): string[] {
    return Object.getOwnPropertyNames(globalThis).filter((name) => !this.initialNames.has(name) && /^[A-Za-z$][\w$]*$/.test(name));
  }
}

/** Node.js defines some globals as accessors (`crypto`, `navigator`, …): `var crypto = …` would call the setter or be ignored. */
function makeWritable(name: string): void {
  const descriptor = Object.getOwnPropertyDescriptor(globalThis, name);
  if (descriptor === undefined || !descriptor.configurable || descriptor.writable === true) return;
  Object.defineProperty(globalThis, name, { value: undefined, writable: true, configurable: true, enumerable: descriptor.enumerable });
}
