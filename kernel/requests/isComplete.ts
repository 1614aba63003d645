import { stringField } from "../protocol/json.ts";
import type { RequestHandler } from "./kernelState.ts";

/** is_complete_request: whether a console should run the code or wait for more lines. */
export const isComplete: RequestHandler = async (state, content) => {
  const { language } = await state.typescript();
  return language.completeness(stringField(content, "code"));
};
