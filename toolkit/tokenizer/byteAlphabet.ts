/** GPT-2's spelling of raw bytes as visible characters: printable Latin-1 bytes stand for themselves,
 *  the other 68 for U+0100 upwards in byte order (a space is "Ġ", a newline "Ċ").
 *  tokenizer.json spells every ordinary token this way.
 *  Source: Radford et al. 2019, github.com/openai/gpt-2 src/encoder.py, bytes_to_unicode */

const PRINTABLE_RANGES: readonly (readonly [first: number, last: number])[] = [
  [0x21, 0x7e],
  [0xa1, 0xac],
  [0xae, 0xff],
];

/** byteToChar[b] is the character that stands for byte b; 256 entries, all different. */
export const byteToChar: readonly string[] = spellBytes();

const charToByte: ReadonlyMap<string, number> = new Map(byteToChar.map((char, byte) => [char, byte]));

/** The 256 characters in the order of their code points: the order of the single-byte tokens' ids in
 *  HuggingFace tokenizers, which decides between pairs that are equally frequent. */
export const alphabet: readonly string[] = [...byteToChar].sort((a, b) => a.charCodeAt(0) - b.charCodeAt(0));

function spellBytes(): string[] {
  const isPrintable = (byte: number) => PRINTABLE_RANGES.some(([first, last]) => byte >= first && byte <= last);
  let nextCodePoint = 0x100;
  return Array.from({ length: 256 }, (_, byte) => String.fromCharCode(isPrintable(byte) ? byte : nextCodePoint++));
}

/** The bytes that a spelled token stands for.
 *  @returns the bytes, or undefined when a character is outside the alphabet */
export function bytesOfSpelling(spelling: string): Uint8Array | undefined {
  const bytes = new Uint8Array(spelling.length);
  for (let i = 0; i < spelling.length; i++) {
    const byte = charToByte.get(spelling[i]);
    if (byte === undefined) return undefined;
    bytes[i] = byte;
  }
  return bytes;
}
