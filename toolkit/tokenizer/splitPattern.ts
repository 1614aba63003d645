/** Regular expressions of tokenizer.json in JavaScript's dialect. tokenizer.json is written for Oniguruma in Unicode mode;
 *  what means the same in both passes, what differs is rewritten (\s, \d, (?i:…)), and the rest is refused by name.
 *  Source: github.com/kkos/oniguruma doc/RE; ECMA-262 22.2 */

/** A part of a pattern that JavaScript has no equal for. */
export class UnsupportedPattern extends Error {}

/** The published patterns, written without possessive quantifiers, which change nothing in them.
 *  Sources: github.com/openai/tiktoken tiktoken_ext/openai_public.py; the tokenizer.json files of Llama 3 and Qwen 2 */
export const splitPatterns = {
  gpt2: String.raw`'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`,
  cl100k: String.raw`'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s+(?![\s\S])|\s*[\r\n]|\s+(?!\S)|\s`,
  llama3: String.raw`(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`,
  qwen2: String.raw`(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`,
  o200k: String.raw`[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+`,
} as const;

export type SplitPatternName = keyof typeof splitPatterns;

/** Rewrites a pattern.
 *  @returns source for new RegExp(source, "u")
 *  @throws UnsupportedPattern naming the part that JavaScript has no equal for */
export function javascriptPattern(source: string): string {
  return new PatternReader(source).read();
}

const CONTROL_ESCAPES = "rntfv";
/** Characters that mean something outside or inside a class. */
const SYNTAX = /[\\^$.*+?()[\]{}|/-]/;
/** Letters that fold to an ASCII letter. Source: Unicode CaseFolding.txt */
const FOLDED_TO_ASCII: Readonly<Record<string, string>> = { s: "\u017f", k: "\u212a" };

class PatternReader {
  private readonly source: string;
  private at = 0;
  private ignoresCase = false;

  constructor(source: string) {
    this.source = source;
  }

  read(): string {
    const translated = this.alternatives();
    if (this.at < this.source.length) throw new UnsupportedPattern(`")" at position ${this.at}`);
    return translated;
  }

  private alternatives(): string {
    let out = "";
    while (this.at < this.source.length && this.source[this.at] !== ")") out += this.source[this.at] === "|" ? this.take() : this.quantified();
    return out;
  }

  private quantified(): string {
    const atom = this.atom();
    const quantifier = /^(?:[*+?]|\{\d+(?:,\d*)?\})\??/.exec(this.source.slice(this.at))?.[0] ?? "";
    this.at += quantifier.length;
    const next = this.source[this.at] ?? "";
    if (quantifier !== "" && "+*?{".includes(next) && next !== "") throw new UnsupportedPattern(`the possessive or double quantifier ${quantifier}${next}`);
    return atom + quantifier;
  }

  private atom(): string {
    const char = this.source[this.at];
    if (char === "(") return this.group();
    if (char === "[") return this.charClass();
    if (char === "\\") return this.escape(false);
    if (char === ".") return this.take() && "[^\\n]";
    if ("^$".includes(char)) throw new UnsupportedPattern(`the anchor ${char}`);
    if ("*+?{}]".includes(char)) throw new UnsupportedPattern(`${char} at position ${this.at}`);
    return this.literal(this.takeCodePoint());
  }

  private group(): string {
    const opening = /^\((?:\?(?:[:=!]|<[=!]|i:))?/.exec(this.source.slice(this.at))?.[0] ?? "(";
    if (this.source.startsWith("(?", this.at) && opening === "(") throw new UnsupportedPattern(`the group ${this.source.slice(this.at, this.at + 4)}`);
    this.at += opening.length;
    const before = this.ignoresCase;
    this.ignoresCase ||= opening === "(?i:";
    const inside = this.alternatives();
    this.ignoresCase = before;
    if (this.source[this.at] !== ")") throw new UnsupportedPattern("a group that does not end");
    this.at++;
    // No group is read back, so none needs a number.
    return `${opening === "(" || opening === "(?i:" ? "(?:" : opening}${inside})`;
  }

  private charClass(): string {
    let out = this.take();
    if (this.source[this.at] === "^") out += this.take();
    while (this.source[this.at] !== "]") {
      if (this.at >= this.source.length) throw new UnsupportedPattern("a class that does not end");
      const rest = this.source.slice(this.at);
      if (rest.startsWith("[")) throw new UnsupportedPattern(`the class ${rest.startsWith("[:") ? rest.slice(0, 9) : "inside a class"}`);
      if (rest.startsWith("&&")) throw new UnsupportedPattern("the intersection of classes &&");
      if (rest.startsWith("-")) out += this.take() && (rest.startsWith("-]") || /\[\^?$/.test(out) ? "\\-" : "-");
      else if (rest.startsWith("\\")) out += this.escape(true);
      else out += this.classLiteral(this.takeCodePoint());
    }
    this.at++;
    return `${out}]`;
  }

  private escape(isInClass: boolean): string {
    const rest = this.source.slice(this.at);
    const property = /^\\([pP])\{(\^?)([\w ]+)\}/.exec(rest);
    if (property !== null) {
      this.at += property[0].length;
      const isNegated = (property[1] === "P") !== (property[2] === "^");
      return `\\${isNegated ? "P" : "p"}{${propertyName(property[3])}}`;
    }
    const codePoint = /^\\(?:u([\da-fA-F]{4})|x\{([\da-fA-F]{1,6})\}|x([\da-fA-F]{2}))/.exec(rest);
    if (codePoint !== null) {
      this.at += codePoint[0].length;
      const char = String.fromCodePoint(Number.parseInt(codePoint[1] ?? codePoint[2] ?? codePoint[3], 16));
      return isInClass ? this.classLiteral(char) : this.literal(char);
    }
    const char = rest[1] ?? "";
    this.at += 2;
    if (CONTROL_ESCAPES.includes(char) && char !== "") return `\\${char}`;
    if (char === "s" || char === "S") return `\\${char === "s" ? "p" : "P"}{White_Space}`;
    if (char === "d" || char === "D") return `\\${char === "d" ? "p" : "P"}{Nd}`;
    if (char === "" || /[A-Za-z0-9]/.test(char)) throw new UnsupportedPattern(`the escape \\${char}`);
    return isInClass ? this.classLiteral(char) : this.literal(char);
  }

  private literal(char: string): string {
    const cases = this.casesOf(char);
    return cases.length === 1 ? escaped(char) : `[${cases.map(escaped).join("")}]`;
  }

  private classLiteral(char: string): string {
    return this.casesOf(char).map(escaped).join("");
  }

  private casesOf(char: string): string[] {
    if (!this.ignoresCase || char.toLowerCase() === char.toUpperCase()) return [char];
    const lower = char.toLowerCase();
    if (!/^[a-z]$/.test(lower)) throw new UnsupportedPattern(`${char} in a group without case`);
    return [lower, lower.toUpperCase(), ...(FOLDED_TO_ASCII[lower] ?? "")];
  }

  private take(): string {
    return this.source[this.at++];
  }

  private takeCodePoint(): string {
    const char = String.fromCodePoint(this.source.codePointAt(this.at) ?? 0);
    this.at += char.length;
    return char;
  }
}

function escaped(char: string): string {
  return SYNTAX.test(char) ? `\\${char}` : char;
}

/** The name by which JavaScript knows a property: general categories and binary properties by the same name, scripts by another. */
function propertyName(name: string): string {
  for (const candidate of [name, `Script=${name}`]) {
    try {
      new RegExp(`\\p{${candidate}}`, "u");
      return candidate;
    } catch (error) {
      if (!(error instanceof SyntaxError)) throw error;
    }
  }
  throw new UnsupportedPattern(`the property \\p{${name}}`);
}
