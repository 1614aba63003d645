import { numberField, stringField } from "../protocol/json.ts";
import { utf16Offset } from "./cursor.ts";
import type { RequestHandler } from "./kernelState.ts";

/** inspect_request: type, documentation and value of the name at the cursor, or the function whose arguments are being
 *  written; at detail level 1 with its source.
 *  Source: jupyter-client.readthedocs.io/en/stable/messaging.html#introspection */
export const inspectAt: RequestHandler = async (state, content) => {
  const code = stringField(content, "code");
  const cursor = utf16Offset(code, numberField(content, "cursor_pos", 0));
  const { language } = await state.typescript();
  const found = await language.inspect(code, cursor, numberField(content, "detail_level", 0) === 1 ? 1 : 0);
  const data = found === null ? {} : { "text/plain": found.text, "text/markdown": found.markdown };
  return { status: "ok", found: found !== null, data, metadata: {} };
};
