import type { CellCompiler } from "../compile/cellCompiler.ts";
import { runtimeName } from "../compile/shadowing.ts";
import { MagicError } from "../errors.ts";
import type { CellNames, MagicContext } from "../magics/magic.ts";
import { findMagic } from "../magics/magicTable.ts";
import type { MagicCall } from "../magics/parseMagic.ts";
import { excerpt } from "../runner/excerpt.ts";
import { RUNTIME_NAME } from "../runner/runtimeName.ts";
import type { ErrorReport } from "../runner/threadMessages.ts";
import type { CellRequest, ExecuteResult } from "./execute.ts";
import type { KernelState } from "./kernelState.ts";

/** What a magic needs of the execution it is part of. */
export interface MagicSurroundings {
  readonly state: KernelState;
  readonly request: CellRequest;
  readonly compiler: CellCompiler;
  /** Runs code that has its lines and columns where they are in the cell. */
  readonly runCode: (code: string) => Promise<ExecuteResult>;
  readonly fail: (report: ErrorReport) => Promise<ExecuteResult>;
}

/** Runs the magic at the top of a cell, and behind a `%` magic the lines below it. */
export async function executeMagic(call: MagicCall, surroundings: MagicSurroundings): Promise<ExecuteResult> {
  const { request, runCode, fail } = surroundings;
  let latest: ExecuteResult | null = null;
  const runPart: MagicContext["runCode"] = async (part) => {
    latest = await runCode(part === "argument" ? call.argumentCode : call.bodyCode);
    return { isDone: "status" in latest.content && latest.content.status === "ok", time: latest.time };
  };
  try {
    const isDone = await findMagic(call.name).run(context(call, surroundings, runPart));
    if (isDone && !call.name.startsWith("%%") && call.body.trim() !== "") await runPart("body");
  } catch (error) {
    if (!(error instanceof MagicError)) throw error;
    return fail(describe(error, call, request));
  }
  return latest ?? { content: { status: "ok", execution_count: request.count, payload: [], user_expressions: {} }, abortsQueue: false, resultText: null, time: null };
}

function context({ argument, body }: MagicCall, surroundings: MagicSurroundings, runCode: MagicContext["runCode"]): MagicContext {
  const { state: { publisher }, request: { message: { header }, isSilent } } = surroundings;
  return {
    argument, body, runCode, names: cellNames(surroundings),
    show: async (data) => { if (!isSilent) await publisher.publish("display_data", { data, metadata: {}, transient: {} }, header); },
    print: (text) => { if (!isSilent) publisher.stream("stdout", text, header); },
  };
}

function cellNames({ state, request, compiler }: MagicSurroundings): CellNames {
  return {
    list: () => compiler.names(),
    forget: async (names) => {
      const gone = names ?? compiler.names().map(({ name }) => name);
      await state.mainThread.run(request.message, {
        javascript: `${RUNTIME_NAME}.forget(${JSON.stringify(gone.map(runtimeName))}, ${names === null})`, sourceMap: "{}", lineOffset: 0,
        cellName: "magic.ts", declaredNames: [], userExpressions: {},
      });
      compiler.forget(gone);
      return gone.length;
    },
  };
}

function describe(error: MagicError, { name, argumentCode }: MagicCall, { code, cellName }: CellRequest): ErrorReport {
  const before = argumentCode.slice(0, argumentCode.length - argumentCode.trimStart().length);
  const line = before.split(/\r\n|[\n\r]/).length;
  const text = code.split(/\r\n|[\n\r]/)[line - 1] ?? "";
  const column = text.indexOf(name) + 1;
  const place = column > 0 ? [excerpt(text, line, column, name.length), `    at ${cellName}:${line}:${column}`] : [];
  return { ename: error.name, evalue: error.message, traceback: [`${error.name}: ${error.message}`, ...place] };
}
