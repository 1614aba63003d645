import type { CompiledCell, RefusedCell } from "../compile/cellCompiler.ts";
import { describeDiagnostics } from "../compile/diagnostics.ts";
import { compileExpression } from "../compile/expression.ts";
import { cellTags } from "../compile/moduleCells.ts";
import type { CellTags } from "../compile/moduleCells.ts";
import { CompilerError } from "../errors.ts";
import type { RunTime } from "../magics/magic.ts";
import { parseMagic } from "../magics/parseMagic.ts";
import { KERNELS } from "../notebookLanguage.ts";
import { booleanField, objectField, stringField } from "../protocol/json.ts";
import type { Message } from "../protocol/wire.ts";
import type { ErrorReport, UserExpression } from "../runner/threadMessages.ts";
import type { KernelState, TypeScriptParts } from "./kernelState.ts";
import { executeMagic } from "./magic.ts";

/** How an execute_request ended. */
export interface ExecuteResult {
  readonly content: object;
  /** Requests behind this one are to be aborted. */
  readonly abortsQueue: boolean;
  /** Text of the result, for the history. */
  readonly resultText: string | null;
  /** Null when nobody asked, or no code was run. */
  readonly time: RunTime | null;
}

/** One execute_request, read. */
export interface CellRequest {
  readonly message: Message;
  readonly code: string;
  readonly isSilent: boolean;
  readonly isStored: boolean;
  readonly count: number;
  /** Name in positions: "cell-7.ts". */
  readonly cellName: string;
}

const INTERRUPTED: ErrorReport = { ename: "KeyboardInterrupt", evalue: "the cell was interrupted", traceback: ["KeyboardInterrupt: the cell was interrupted"] };

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
  const help = /^\s*\?\s*([\w$.]+)\s*$|^\s*([\w$.]+)\s*\?\s*$/.exec(code);
  if (help !== null && !preparing.isInterrupted) return { content: await pagerReply(typescript, help[1] ?? help[2] ?? "", count), abortsQueue: false, resultText: null, time: null };
  typescript.catchUp.cellStarts();
  const ended = preparing.isInterrupted ? await fail(state, request, INTERRUPTED) : await executeCode(state, request, code, typescript);
  if (request.isStored) state.history.add(count, code, ended.resultText);
  typescript.catchUp.cellEnded();
  return ended;
}

/** Runs a cell, or what a magic leaves of it. */
async function executeCode(state: KernelState, request: CellRequest, code: string, typescript: TypeScriptParts, isTimed = false): Promise<ExecuteResult> {
  const magic = parseMagic(code);
  if (magic !== null) {
    return executeMagic(magic, {
      state, request, compiler: typescript.compiler, runCode: (part) => executeCode(state, request, part, typescript, true), fail: (report) => fail(state, request, report),
    });
  }
  const tags = cellTags(code);
  if (tags.module !== null || tags.isForBrowser) return addModule(state, request, code, tags, typescript);
  const compiled = compile(code, typescript);
  if (compiled instanceof CompilerError) return fail(state, request, { ename: compiled.name, evalue: compiled.message, traceback: [`${compiled.name}: ${compiled.message}`] });
  if (!request.isSilent) warnOfProject(state, request, typescript);
  if (!compiled.isRunnable) return fail(state, request, describeDiagnostics(compiled.diagnostics, code, request.cellName));
  return run(state, request, compiled, typescript, isTimed);
}

function compile(code: string, { compiler }: TypeScriptParts): CompiledCell | RefusedCell | CompilerError {
  try {
    return compiler.compile(code);
  } catch (error) {
    if (!(error instanceof CompilerError)) throw error;
    return error;
  }
}

/** A cell that other cells import; it is not run itself. */
async function addModule(state: KernelState, request: CellRequest, code: string, { module, hasJsx }: CellTags, typescript: TypeScriptParts): Promise<ExecuteResult> {
  const errors = module === null ? [] : typescript.compiler.addModule(module, code, hasJsx);
  if (errors.length > 0) return fail(state, request, describeDiagnostics(errors, code, request.cellName));
  return { content: { status: "ok", execution_count: request.count, payload: [], user_expressions: {} }, abortsQueue: false, resultText: null, time: null };
}

/** A broken tsconfig.json is no reason not to run the cell. */
function warnOfProject({ publisher }: KernelState, { message }: CellRequest, { compiler }: TypeScriptParts): void {
  for (const problem of compiler.takeProblems()) {
    publisher.stream("stderr", `Warning: ${problem}\nWhat can be read of the file applies; correct it, and the next cell follows.\n`, message.header);
  }
}

function readRequest(state: KernelState, message: Message): CellRequest {
  const { content } = message;
  const isSilent = booleanField(content, "silent", false);
  const isStored = !isSilent && booleanField(content, "store_history", true);
  if (isStored) state.executionCount += 1;
  const count = state.executionCount;
  const cellName = `${isStored ? `cell-${count}` : `unnumbered-${++unnumberedCells}`}${KERNELS[state.language].extension}`;
  return { message, code: stringField(content, "code").replace(/^\uFEFF/, ""), isSilent, isStored, count, cellName };
}

async function run(state: KernelState, request: CellRequest, compiled: CompiledCell, typescript: TypeScriptParts, isTimed: boolean): Promise<ExecuteResult> {
  const { expressions, errors } = compileExpressions(request.message);
  // Now, so that the next cell is completed with these names while this one runs; an error would not take them back.
  typescript.compiler.keep(compiled);
  const { sourceMap, lineOffset, declaredNames } = compiled;
  await state.debugger.prepareCell({ name: request.cellName, code: request.code, sourceMap, lineOffset, declaredNames });
  const stopTiming = isTimed ? startTiming() : null;
  const { outcome, wasInterrupted } = await state.mainThread.run(request.message, {
    javascript: compiled.javascript, sourceMap: compiled.sourceMap, lineOffset: compiled.lineOffset,
    cellName: request.cellName, declaredNames: compiled.declaredNames, userExpressions: expressions,
  });
  const time = stopTiming?.() ?? null;
  typescript.compiler.noteGlobals(outcome.untypedNames);
  switch (outcome.status) {
    case "interrupted": return { ...await fail(state, request, INTERRUPTED), time };
    case "error": return { ...await fail(state, request, outcome), time };
    case "ok": {
      const { result, userExpressions } = outcome;
      if (result !== null && !request.isSilent) {
        await state.publisher.publish("execute_result", { execution_count: request.count, ...result }, request.message.header);
      }
      const content = { status: "ok", execution_count: request.count, payload: [], user_expressions: { ...userExpressions, ...errors } };
      // Who stops a cell in a run of cells wants none of the next ones.
      return { content, abortsQueue: wasInterrupted && stopsOnError(request), resultText: result === null ? null : stringField(result.data, "text/plain"), time };
    }
  }
}

/** Asking for CPU times takes 0.1 ms, so only who wants to know does.
 *  @returns the time since now; CPU time is the process's, and this thread waits meanwhile */
function startTiming(): () => RunTime {
  const startedMs = performance.now();
  const cpuBefore = process.cpuUsage();
  return () => {
    const { user, system } = process.cpuUsage(cpuBefore);
    return { wallMs: performance.now() - startedMs, userCpuMs: user / 1000, systemCpuMs: system / 1000 };
  };
}

async function fail(state: KernelState, request: CellRequest, report: ErrorReport): Promise<ExecuteResult> {
  const { ename, evalue, traceback } = report;
  if (!request.isSilent) await state.publisher.publish("error", { ename, evalue, traceback }, request.message.header);
  return {
    content: { status: "error", execution_count: request.count, ename, evalue, traceback, user_expressions: {}, payload: [] },
    abortsQueue: stopsOnError(request), resultText: null, time: null,
  };
}

function stopsOnError({ message, isSilent }: CellRequest): boolean {
  // Front ends run silent cells on their own account; the user's cells are not to suffer.
  return !isSilent && booleanField(message.content, "stop_on_error", true);
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

/** `?name` or `name?`: the front end opens a pager with type, value and documentation. */
async function pagerReply({ language }: TypeScriptParts, name: string, count: number): Promise<object> {
  const found = await language.inspect(name, name.length, 0);
  const data = { "text/plain": found?.text ?? `${name}: nothing is known about this name` };
  return { status: "ok", execution_count: count, user_expressions: {}, payload: [{ source: "page", data, start: 0 }] };
}
