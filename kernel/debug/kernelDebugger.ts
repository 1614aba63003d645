import type { JsonObject } from "../protocol/json.ts";
import { CellSources } from "./cellSources.ts";
import type { CellSource } from "./cellSources.ts";
import type { DebugAdapter, DebugAdapterParts } from "./debugAdapter.ts";

/** The kernel's debugger. As long as no front end asks for it, it only remembers cells: the rest is not even loaded. */
export class KernelDebugger {
  readonly cells = new CellSources();
  private readonly parts: Omit<DebugAdapterParts, "cells" | "kernelUrl">;
  private adapter: DebugAdapter | null = null;
  /** Requests are answered one after the other: what one sets, the next one sees. */
  private last: Promise<unknown> = Promise.resolve();

  constructor(parts: Omit<DebugAdapterParts, "cells" | "kernelUrl">) {
    this.parts = parts;
  }

  /** Answers the content of a debug_request. */
  answer(request: JsonObject): Promise<object> {
    return this.inTurn(async () => (await this.load()).answer(request));
  }

  /** To be awaited before a cell runs: its breakpoints are in place then. */
  async prepareCell(cell: CellSource): Promise<void> {
    this.cells.add(cell);
    if (this.adapter !== null) await this.inTurn(() => this.adapter?.prepareCell(cell));
  }

  /** Whether the running code is an expression of the debugger. */
  get isEvaluating(): boolean {
    return this.adapter?.isEvaluating ?? false;
  }

  /** Makes a main thread that stands at a breakpoint go on: for an interrupt.
   *  @param terminates end the code that it is in */
  release(terminates: boolean): void {
    this.adapter?.release(terminates);
  }

  /** Takes the debugger off. Node.js does not end while an inspector session is open. */
  close(): void {
    this.adapter?.close();
  }

  private async load(): Promise<DebugAdapter> {
    const { DebugAdapter: Adapter } = await import("./debugAdapter.ts");
    this.adapter ??= new Adapter({ ...this.parts, cells: this.cells, kernelUrl: new URL("..", import.meta.url).href });
    return this.adapter;
  }

  private inTurn<Result>(work: () => Promise<Result> | Result): Promise<Result> {
    const result = this.last.then(work);
    // A failure belongs to its own caller.
    this.last = result.catch(() => undefined);
    return result;
  }
}
