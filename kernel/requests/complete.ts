import { numberField, stringField } from "../protocol/json.ts";
import { codePointOffset, utf16Offset } from "./cursor.ts";
import type { RequestHandler } from "./kernelState.ts";

/** complete_request: what may stand at the cursor. The metadata, which ipykernel made up, tells front ends what each
 *  match is. Source: jupyter-client.readthedocs.io/en/stable/messaging.html#completion */
export const complete: RequestHandler = async (state, content) => {
  const code = stringField(content, "code");
  const cursor = utf16Offset(code, numberField(content, "cursor_pos", Infinity));
  const { language } = await state.typescript();
  const found = await language.complete(code, cursor);
  const start = codePointOffset(code, found.start);
  const end = codePointOffset(code, found.end);
  return {
    status: "ok",
    matches: found.entries.map(({ text }) => text),
    cursor_start: start,
    cursor_end: end,
    metadata: { _jupyter_types_experimental: found.entries.map(({ text, type, signature }) => ({ text, type, signature, start, end })) },
  };
};
