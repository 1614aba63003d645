import { TextDecoder } from "node:util";

/** A token's bytes for showing in tables and plots; see Tokenizer.tokenText. */
export function tokenText(bytes: Uint8Array): string {
  const text = utf8Decoder().decode(bytes);
  if (text.includes("\uFFFD") && !isSameBytes(new TextEncoder().encode(text), bytes)) {
    return Array.from(bytes, (byte) => (byte < 0x80 ? showChars(String.fromCharCode(byte)) : escapeByte(byte))).join("");
  }
  return showChars(text);
}

/** Keeps a leading U+FEFF, which the decoder would else drop as a byte order mark. */
export function utf8Decoder(): TextDecoder {
  return new TextDecoder("utf-8", { ignoreBOM: true });
}

function isSameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, i) => byte === b[i]);
}

const ESCAPES: ReadonlyMap<string, string> = new Map([[" ", "␣"], ["\n", "\\n"], ["\r", "\\r"], ["\t", "\\t"]]);

/** Makes spaces and control characters visible. */
function showChars(text: string): string {
  return text.replace(/[ \p{Cc}\p{Zl}\p{Zp}]/gu, (char) => ESCAPES.get(char) ?? `\\u{${char.charCodeAt(0).toString(16).toUpperCase()}}`);
}

function escapeByte(byte: number): string {
  return `\\x${byte.toString(16).toUpperCase().padStart(2, "0")}`;
}
