import { numberField, stringField } from "../protocol/json.ts";
import { utf16Offset } from "./cursor.ts";
import type { RequestHandler } from "./kernelState.ts";

/** inspect_request: type and documentation of the name at the cursor. */
export const inspectAt: RequestHandler = async (state, content) => {
  const code = stringField(content, "code");
  const { language } = await state.typescript();
  const found = language.describe(code, utf16Offset(code, numberField(content, "cursor_pos", 0)));
  const data = found === null ? {} : { "text/plain": found.text, "text/markdown": found.markdown };
  return { status: "ok", found: found !== null, data, metadata: {} };
};
