import type { Debugger } from "node:inspector";
import { isShown, positionOf } from "./scripts.ts";
import type { Script, Scripts } from "./scripts.ts";

/** A frame as front ends show it.
 *  Source: microsoft.github.io/debug-adapter-protocol/specification#Types_StackFrame */
export interface ShownFrame {
  readonly id: number;
  readonly name: string;
  readonly source: { readonly name: string; readonly path: string };
  /** Counted from 1, as is the column. */
  readonly line: number;
  readonly column: number;
  readonly presentationHint: "normal" | "subtle";
}

/** A frame of the user's code or of a library. */
export interface Frame {
  readonly shown: ShownFrame;
  readonly script: Script;
  readonly call: Debugger.CallFrame;
  /** The top level of a cell or file, whose variables are those of the notebook. */
  readonly isTopLevel: boolean;
}

/** Turns V8's frames into those that a user knows: kernel and Node.js are left out, places are those of the sources. */
export class Frames {
  private readonly scripts: Scripts;
  private lastId = 0;

  constructor(scripts: Scripts) {
    this.scripts = scripts;
  }

  /** @returns innermost first */
  read(calls: readonly Debugger.CallFrame[]): Frame[] {
    return calls.flatMap((call) => {
      const script = this.scripts.get(call.location.scriptId);
      return script === undefined || !isShown(script) ? [] : [this.create(script, call)];
    });
  }

  private create(script: Script, call: Debugger.CallFrame): Frame {
    const { functionName, scopeChain } = call;
    const generated = positionOf(call.location);
    const original = this.scripts.original(script, generated);
    const place = original ?? generated;
    const isTopLevel = functionName === "" && !scopeChain.some(({ type }) => type === "local" || type === "closure");
    const name = functionName !== "" ? functionName : isTopLevel ? `(${script.name})` : "(anonymous)";
    return {
      script, call, isTopLevel,
      shown: {
        id: ++this.lastId, name, source: { name: script.name, path: script.path }, line: place.line + 1, column: place.column + 1,
        presentationHint: script.owner === "library" ? "subtle" : "normal",
      },
    };
  }
}
