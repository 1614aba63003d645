// JavaScript's own objects, taken before any cell runs. A cell may overwrite a global (`globalThis.Promise = 2`), and the
// kernel's code on the same thread must go on. To be imported by what runs during or after a cell.
export const {
  AbortController, Array, ArrayBuffer, BigInt, BigInt64Array, BigUint64Array, Buffer, DataView, Date, Error, Function, JSON, Map, Math, Number, Object, Promise,
  RangeError, Reflect, Set, String, SyntaxError, TextDecoder, TypeError, Uint8Array, URL,
} = globalThis;
