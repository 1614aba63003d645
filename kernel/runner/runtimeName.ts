/** The object in the global scope that compiled cells call for imports and for their result. */
export const RUNTIME_NAME = "__moeLabCell";

/** Behind the name of a global that a cell declares for itself; see compile/shadowing.ts. It looks the same in stack
 *  traces and error messages: U+200D is allowed in identifiers and has no width. */
export const SHADOW_MARK = "\u200d";
