/** The object in the global scope that compiled cells call for imports and for their result. */
export const RUNTIME_NAME = "__moeLabCell";
