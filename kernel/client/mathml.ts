import { escapeHtml } from "./highlight.ts";
import { ACCENTS, FONTS, FUNCTIONS, inAlphabet, INTEGRALS, LARGE_OPERATORS, LETTERS, LIMIT_FUNCTIONS, OPERATORS, SPACES, UNDER_ACCENTS } from "./mathSymbols.ts";

/** A longer formula is shown as it is written, in UTF-16 units. */
const MAX_LENGTH = 20_000;
/** Deeper groups are shown as they are written. */
const MAX_DEPTH = 100;

/** A TeX formula as MathML, which browsers show without a library or fonts of their own. It knows what notebooks use: scripts, fractions, roots, sums,
 *  Greek, alphabets, accents, fences, matrices, cases, alignments. A command that it does not know stands in the formula as it is written. */
export function mathHtml(tex: string, display: "inline" | "block"): string {
  if (tex.length > MAX_LENGTH) return `<code>${escapeHtml(tex)}</code>`;
  const row = new TexParser(tex).all();
  const source = `<annotation encoding="application/x-tex">${escapeHtml(tex.trim())}</annotation>`;
  return `<math display="${display}"><semantics><mrow>${row}</mrow>${source}</semantics></math>`;
}

/** Where scripts of an atom go: at its side, or below and above it. */
interface Atom { readonly html: string; readonly hasLimits: boolean }

const TABLE_FENCES: Readonly<Record<string, readonly [string, string]>> = {
  matrix: ["", ""], smallmatrix: ["", ""], array: ["", ""], pmatrix: ["(", ")"], bmatrix: ["[", "]"], Bmatrix: ["{", "}"], vmatrix: ["|", "|"], Vmatrix: ["‖", "‖"], cases: ["{", ""],
  aligned: ["", ""], align: ["", ""], "align*": ["", ""], split: ["", ""], gathered: ["", ""], gather: ["", ""], "gather*": ["", ""], equation: ["", ""], "equation*": ["", ""],
};

const TOKEN = /\\(?:[a-zA-Z]+\*?|[^])|\d+(?:\.\d+)?|\s+|[^]/gu;

class TexParser {
  private readonly tokens: readonly string[];
  private position = 0;
  private depth = 0;
  private font: string | null | undefined = undefined;

  constructor(tex: string) {
    this.tokens = tex.match(TOKEN) ?? [];
  }

  all(): string {
    let html = this.row([]);
    // A brace or an \end too many must not lose what follows.
    while (this.position < this.tokens.length) html += operator(this.next()) + this.row([]);
    return html;
  }

  private peek(): string | undefined {
    return this.tokens[this.position];
  }

  private next(): string {
    return this.tokens[this.position++] ?? "";
  }

  private skipSpace(): void {
    while (/^\s+$/.test(this.peek() ?? "")) this.position++;
  }

  /** Atoms with their scripts, up to one of the ends, which is left. */
  private row(ends: readonly string[]): string {
    let html = "";
    for (;;) {
      this.skipSpace();
      const token = this.peek();
      if (token === undefined || token === "}" || token === "\\right" || token === "\\end" || ends.includes(token)) return html;
      html += this.scripted();
    }
  }

  private scripted(): string {
    const atom = "^_'".includes(this.peek() ?? " ") ? { html: "<mrow></mrow>", hasLimits: false } : this.atom();
    let sub: string | null = null, sup: string | null = null, primes = "";
    for (;;) {
      this.skipSpace();
      const mark = this.peek();
      if (mark === "'") primes += "′";
      else if (mark !== "^" && mark !== "_") break;
      this.position++;
      if (mark === "^") sup = this.argument();
      else if (mark === "_") sub = this.argument();
    }
    if (primes !== "") sup = sup === null ? `<mo>${primes}</mo>` : `<mrow><mo>${primes}</mo>${sup}</mrow>`;
    const [under, over, both] = atom.hasLimits ? ["munder", "mover", "munderover"] : ["msub", "msup", "msubsup"];
    if (sub !== null && sup !== null) return `<${both}>${atom.html}${sub}${sup}</${both}>`;
    if (sub !== null) return `<${under}>${atom.html}${sub}</${under}>`;
    return sup === null ? atom.html : `<${over}>${atom.html}${sup}</${over}>`;
  }

  /** A group in braces or one atom, as one element. */
  private argument(): string {
    this.skipSpace();
    if (this.peek() !== "{") return this.peek() === undefined ? "<mrow></mrow>" : this.atom().html;
    return this.group();
  }

  private group(): string {
    this.position++;
    if (++this.depth > MAX_DEPTH) return `<mtext>${escapeHtml(this.rawGroup())}</mtext>`;
    const font = this.font;
    const html = this.row([]);
    this.font = font;
    this.depth--;
    if (this.peek() === "}") this.position++;
    return `<mrow>${html}</mrow>`;
  }

  /** The text up to the closing brace, as written; the opening one is taken. */
  private rawGroup(): string {
    let open = 1;
    let text = "";
    while (this.position < this.tokens.length) {
      const token = this.next();
      if (token === "{") open++;
      if (token === "}" && --open === 0) break;
      text += token;
    }
    return text;
  }

  private rawArgument(): string {
    this.skipSpace();
    if (this.peek() !== "{") return this.next();
    this.position++;
    return this.rawGroup();
  }

  private atom(): Atom {
    const token = this.peek() ?? "";
    if (token === "{") return plain(this.group());
    this.position++;
    if (token.startsWith("\\") && token.length > 1) return this.command(token.slice(1));
    if (/^\d/.test(token)) return plain(`<mn>${this.styled(token)}</mn>`);
    if (/^\p{L}$/u.test(token)) return plain(this.letter(token));
    if (token === "~") return plain(space(SPACES["~"] ?? 0));
    if (token === "&") return plain("");
    return plain(operator(token === "-" ? "−" : token === "*" ? "∗" : token));
  }

  private letter(letter: string): string {
    return this.font === null ? `<mi mathvariant="normal">${escapeHtml(letter)}</mi>` : `<mi>${escapeHtml(this.styled(letter))}</mi>`;
  }

  private styled(text: string): string {
    const font = this.font;
    return typeof font === "string" ? [...text].map((character) => inAlphabet(character, font)).join("") : text;
  }

  private command(name: string): Atom {
    const symbol = symbolOf(name);
    if (symbol !== null) return symbol;
    if (Object.hasOwn(LETTERS, name)) return plain(this.letter(LETTERS[name] ?? ""));
    if (Object.hasOwn(FONTS, name)) return plain(this.inFont(FONTS[name] ?? null));
    // A border is as long as what it covers, also where no font has a stretching line.
    if (name === "overline" || name === "bar") return plain(`<mrow class="overline">${this.argument()}</mrow>`);
    if (Object.hasOwn(ACCENTS, name)) return { html: `<mover accent="true">${this.argument()}<mo stretchy="${name.length > 4}">${ACCENTS[name] ?? ""}</mo></mover>`, hasLimits: name === "overbrace" };
    if (Object.hasOwn(UNDER_ACCENTS, name)) return { html: `<munder>${this.argument()}<mo stretchy="true">${UNDER_ACCENTS[name] ?? ""}</mo></munder>`, hasLimits: name === "underbrace" };
    return this.construct(name);
  }

  private inFont(font: string | null): string {
    const before = this.font;
    this.font = font;
    const html = this.argument();
    this.font = before;
    return html;
  }

  private construct(name: string): Atom {
    switch (name) {
      case "frac": case "dfrac": case "tfrac": case "cfrac": return plain(`<mfrac>${this.argument()}${this.argument()}</mfrac>`);
      case "binom": return plain(`<mrow><mo>(</mo><mfrac linethickness="0">${this.argument()}${this.argument()}</mfrac><mo>)</mo></mrow>`);
      case "sqrt": return plain(this.root());
      case "text": case "textbf": case "textit": case "textrm": case "mbox": return plain(`<mtext>${escapeHtml(this.rawArgument())}</mtext>`);
      case "operatorname": case "operatorname*": return { html: functionName(this.rawArgument()), hasLimits: name.endsWith("*") };
      case "overset": case "stackrel": return plain(over(this.argument(), this.argument()));
      case "underset": return plain(under(this.argument(), this.argument()));
      case "left": return plain(this.fenced());
      case "big": case "Big": case "bigg": case "Bigg": case "bigl": case "bigr": case "Bigl": case "Bigr": case "middle": return plain(operator(this.fence()));
      case "begin": return plain(this.table());
      case "label": case "tag": case "color": this.rawArgument(); return plain("");
      case "displaystyle": case "textstyle": case "limits": case "nolimits": case "nonumber": case "notag": return plain("");
      case "\\": return plain("<mspace linebreak=\"newline\"></mspace>");
      default: return plain(`<mtext>${escapeHtml(`\\${name}`)}</mtext>`);
    }
  }

  private root(): string {
    this.skipSpace();
    if (this.peek() !== "[") return `<msqrt>${this.argument()}</msqrt>`;
    this.position++;
    const degree = `<mrow>${this.row(["]"])}</mrow>`;
    this.position++;
    return `<mroot>${this.argument()}${degree}</mroot>`;
  }

  private fence(): string {
    this.skipSpace();
    const token = this.next();
    return token === "." ? "" : OPERATORS[token.slice(1)] ?? token;
  }

  private fenced(): string {
    const opening = operator(this.fence());
    const html = this.row([]);
    if (this.peek() !== "\\right") return `<mrow>${opening}${html}</mrow>`;
    this.position++;
    return `<mrow>${opening}${html}${operator(this.fence())}</mrow>`;
  }

  private table(): string {
    const name = this.rawArgument();
    if (name === "array") this.rawArgument();
    const [opening, closing] = TABLE_FENCES[name] ?? ["", ""];
    let rows = "";
    let cells = "";
    for (;;) {
      cells += `<mtd>${this.row(["&", "\\\\"])}</mtd>`;
      const end = this.peek();
      if (end === "&") {
        this.position++;
        continue;
      }
      rows += `<mtr>${cells}</mtr>`;
      cells = "";
      if (end !== "\\\\") break;
      this.position++;
    }
    if (this.peek() === "\\end") {
      this.position++;
      this.rawArgument();
    }
    const layout = /^(align|split)/.test(name) ? " class=\"aligned\"" : name === "cases" ? " class=\"cases\"" : "";
    return `<mrow>${operator(opening)}<mtable${layout}>${rows}</mtable>${operator(closing)}</mrow>`;
  }
}

function symbolOf(name: string): Atom | null {
  if (Object.hasOwn(OPERATORS, name)) return plain(operator(OPERATORS[name] ?? ""));
  if (Object.hasOwn(LARGE_OPERATORS, name)) return { html: `<mo movablelimits="true">${LARGE_OPERATORS[name] ?? ""}</mo>`, hasLimits: true };
  if (Object.hasOwn(INTEGRALS, name)) return plain(`<mo>${INTEGRALS[name] ?? ""}</mo>`);
  if (LIMIT_FUNCTIONS.has(name)) return { html: `<mo movablelimits="true">${name.replace(/^arg(?=m)/, "arg ")}</mo>`, hasLimits: true };
  if (FUNCTIONS.has(name)) return plain(functionName(name));
  return Object.hasOwn(SPACES, name) ? plain(space(SPACES[name] ?? 0)) : null;
}

function plain(html: string): Atom {
  return { html, hasLimits: false };
}

function operator(text: string): string {
  return text === "" ? "" : `<mo>${escapeHtml(text)}</mo>`;
}

function functionName(name: string): string {
  return `<mo lspace="0" rspace="0.1667em">${escapeHtml(name)}</mo>`;
}

function space(em: number): string {
  return `<mspace width="${em}em"></mspace>`;
}

function over(above: string, base: string): string {
  return `<mover>${base}${above}</mover>`;
}

function under(below: string, base: string): string {
  return `<munder>${base}${below}</munder>`;
}
