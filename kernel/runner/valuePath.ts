/** Names a value that exists at run time: a global, then a step from each value to the next. */
export interface ValuePath {
  /** A property of globalThis; "" is globalThis itself. */
  readonly root: string;
  readonly steps: readonly ValueStep[];
}

export type ValueStep =
  | { readonly kind: "member"; readonly name: string }
  /** The first element of an array, set or map: what a callback or a loop over it sees. */
  | { readonly kind: "element" }
  /** The value of a map under a key. */
  | { readonly kind: "get"; readonly key: string };

/** What is wanted of a value. "members": names behind a dot or in brackets; "keys": string keys of a Map;
 *  "columns": column names of a data frame. */
export type NameKind = "members" | "keys" | "columns";

/** A name that a value has. */
export interface ValueName {
  readonly name: string;
  readonly type: "function" | "class" | "instance" | "property" | "key";
}

/** Questions to the main thread; it answers in JSON. */
export type ValueQuestion =
  | { readonly ask: "names"; readonly path: ValuePath; readonly kind: NameKind; readonly prefix: string }
  | { readonly ask: "preview"; readonly path: ValuePath };
