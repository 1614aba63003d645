import type { CompiledCell } from "../compile/cellCompiler.ts";
import { describeDiagnostics } from "../compile/diagnostics.ts";
import { compileExpression } from "../compile/expression.ts";
import { booleanField, objectField, stringField } from "../protocol/json.ts";
import type { Message } from "../protocol/wire.ts";
import type { ErrorReport, UserExpression } from "../runner/threadMessages.ts";
import type { KernelState, TypeScriptParts } from "./kernelState.ts";

/** How an execute_request ended. */
export interface ExecuteResult {
  readonly content: object;
  /** Requests behind this one are to be aborted. */
  readonly abortsQueue: boolean;
}

interface CellRequest {
  readonly message: Message;
  readonly code: string;
  readonly isSilent: boolean;
  readonly isStored: boolean;
  readonly count: number;
  /** Name in positions: "cell-7.ts". */
  readonly cellName: string;
}

const INTERRUPTED: ErrorReport = { ename: "KeyboardInterrupt", evalue: "the cell was interrupted", traceback: ["KeyboardInterrupt: the cell was interrupted"] };

/** The next cell's check waits for the scope of this one; in a run of cells it does that itself, in ms. */
const SCOPE_UPDATE_DELAY_MS = 5;

let unnumberedCells = 0;

/** execute_request: check, compile, run, publish.
 *  Source: jupyter-client.readthedocs.io/en/stable/messaging.html#execute */
export async function execute(state: KernelState, message: Message): Promise<ExecuteResult> {
  const request = readRequest(state, message);
  const { code, isSilent, count } = request;
  if (!isSilent) await state.publisher.publish("execute_input", { code, execution_count: count }, message.header);
  const preparing = { isInterrupted: false };
  state.preparing = preparing;
  const typescript = await state.typescript();
  state.preparing = null;
  if (preparing.isInterrupted) return fail(state, request, INTERRUPTED);
  const help = /^\s*\?\s*([\w$.]+)\s*$|^\s*([\w$.]+)\s*\?\s*$/.exec(code);
  if (help !== null) return { content: pagerReply(typescript, help[1] ?? help[2] ?? "", count), abortsQueue: false };
  const compiled = typescript.compiler.compile(code);
  if (!compiled.isRunnable) return fail(state, request, describeDiagnostics(compiled.diagnostics, code, request.cellName));
  return run(state, request, compiled, typescript);
}

function readRequest(state: KernelState, message: Message): CellRequest {
  const { content } = message;
  const isSilent = booleanField(content, "silent", false);
  const isStored = !isSilent && booleanField(content, "store_history", true);
  if (isStored) state.executionCount += 1;
  const count = state.executionCount;
  const cellName = isStored ? `cell-${count}.ts` : `unnumbered-${++unnumberedCells}.ts`;
  return { message, code: stringField(content, "code"), isSilent, isStored, count, cellName };
}

async function run(state: KernelState, request: CellRequest, compiled: CompiledCell, typescript: TypeScriptParts): Promise<ExecuteResult> {
  const { expressions, errors } = compileExpressions(request.message);
  const { outcome, wasInterrupted } = await state.mainThread.run(request.message, {
    javascript: compiled.javascript, sourceMap: compiled.sourceMap, lineOffset: compiled.lineOffset,
    cellName: request.cellName, declaredNames: compiled.declaredNames, userExpressions: expressions,
  });
  typescript.compiler.keep(outcome.untypedNames);
  // While the user reads the result, and in no one's way.
  setTimeout(() => { typescript.compiler.updateScope(); }, SCOPE_UPDATE_DELAY_MS);
  switch (outcome.status) {
    case "interrupted": return fail(state, request, INTERRUPTED);
    case "error": return fail(state, request, outcome);
    case "ok": {
      const { result, userExpressions } = outcome;
      if (request.isStored) state.history.add(request.count, request.code, result === null ? null : stringField(result.data, "text/plain"));
      if (result !== null && !request.isSilent) {
        await state.publisher.publish("execute_result", { execution_count: request.count, ...result }, request.message.header);
      }
      const content = { status: "ok", execution_count: request.count, payload: [], user_expressions: { ...userExpressions, ...errors } };
      // Who stops a cell in a run of cells wants none of the next ones.
      return { content, abortsQueue: wasInterrupted && stopsOnError(request) };
    }
  }
}

async function fail(state: KernelState, request: CellRequest, report: ErrorReport): Promise<ExecuteResult> {
  const { ename, evalue, traceback } = report;
  if (request.isStored) state.history.add(request.count, request.code, null);
  if (!request.isSilent) await state.publisher.publish("error", { ename, evalue, traceback }, request.message.header);
  return {
    content: { status: "error", execution_count: request.count, ename, evalue, traceback, user_expressions: {}, payload: [] },
    abortsQueue: stopsOnError(request),
  };
}

function stopsOnError({ message }: CellRequest): boolean {
  return booleanField(message.content, "stop_on_error", true);
}

function compileExpressions(message: Message): { expressions: Record<string, string>; errors: Record<string, UserExpression> } {
  const expressions: Record<string, string> = {};
  const errors: Record<string, UserExpression> = {};
  for (const [name, code] of Object.entries(objectField(message.content, "user_expressions"))) {
    const compiled = compileExpression(String(code));
    if ("javascript" in compiled) expressions[name] = compiled.javascript;
    else errors[name] = { status: "error", ename: "SyntaxError", evalue: compiled.message, traceback: [`SyntaxError: ${compiled.message}`] };
  }
  return { expressions, errors };
}

/** `?name` or `name?`: the front end opens a pager with type and documentation. */
function pagerReply({ language }: TypeScriptParts, name: string, count: number): object {
  const found = language.describe(name, name.length);
  const data = { "text/plain": found?.text ?? `${name}: nothing is known about this name` };
  return { status: "ok", execution_count: count, user_expressions: {}, payload: [{ source: "page", data, start: 0 }] };
}
