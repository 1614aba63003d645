import { numberField, stringField } from "../protocol/json.ts";
import { codePointOffset, utf16Offset } from "./cursor.ts";
import type { RequestHandler } from "./kernelState.ts";

/** complete_request: names that fit at the cursor, from TypeScript's language service. */
export const complete: RequestHandler = async (state, content) => {
  const code = stringField(content, "code");
  const cursor = utf16Offset(code, numberField(content, "cursor_pos", Infinity));
  const { language } = await state.typescript();
  const { start, entries } = language.complete(code, cursor);
  const cursorStart = codePointOffset(code, start);
  const cursorEnd = codePointOffset(code, cursor);
  return {
    status: "ok",
    matches: entries.map(({ name }) => name),
    cursor_start: cursorStart,
    cursor_end: cursorEnd,
    metadata: {
      _jupyter_types_experimental: entries.map(({ name, kind }) => ({ text: name, type: kind, start: cursorStart, end: cursorEnd })),
    },
  };
};
