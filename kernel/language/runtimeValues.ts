import { isJsonObject, stringField } from "../protocol/json.ts";
import { RUNTIME_NAME } from "../runner/runtimeName.ts";
import type { NameKind, ValueName, ValuePath, ValueQuestion } from "../runner/valuePath.ts";

/** A busy main thread answers in some milliseconds, unless it is in native code, in ms. */
const BUSY_ANSWER_MS = 50;

/** Evaluates an expression without side effects on the main thread.
 *  @param busyLimitMs how long to wait while a cell runs
 *  @returns the expression's value, or undefined when there is none in time */
export type EvaluateBriefly = (expression: string, busyLimitMs: number) => Promise<unknown>;

/** Looks at the user's values as they are now, without running any of the user's code. */
export class RuntimeValues {
  private readonly evaluate: EvaluateBriefly;

  constructor(evaluate: EvaluateBriefly) {
    this.evaluate = evaluate;
  }

  /** @returns the names that begin with the prefix; none when there is no such value or nobody answers in time */
  async names(path: ValuePath, kind: NameKind, prefix: string): Promise<ValueName[]> {
    const answer = await this.ask({ ask: "names", path, kind, prefix });
    if (!Array.isArray(answer)) return [];
    return answer.filter(isJsonObject).map((entry) => ({ name: stringField(entry, "name"), type: stringField(entry, "type") as ValueName["type"] }));
  }

  /** @returns a text of one line, or null */
  async preview(path: ValuePath): Promise<string | null> {
    const answer = await this.ask({ ask: "preview", path });
    return typeof answer === "string" ? answer : null;
  }

  private async ask(question: ValueQuestion): Promise<unknown> {
    const answer = await this.evaluate(`${RUNTIME_NAME}.values(${JSON.stringify(question)})`, BUSY_ANSWER_MS);
    return typeof answer === "string" ? JSON.parse(answer) as unknown : null;
  }
}
