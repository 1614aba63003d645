import ts from "#typescript";

const INDENT = "  ";
/** TypeScript's numbers for a block comment and a template literal without an end. */
const OPEN_COMMENT = 1010;
const OPEN_TEMPLATE = 1160;

interface Line {
  /** Brackets that it opens and leaves open. */
  opened: number;
  /** Whether its last token wants something behind it: an operator, `=`, `=>`, `else`, the `)` of an `if`. */
  goesOn: boolean;
}

interface OpenBracket {
  readonly line: Line | undefined;
  /** `${` in a template literal, `(` behind `if`, `for` and `while`, or another one. */
  readonly kind: "template" | "condition" | "plain";
}

interface ScannedLines {
  readonly lines: readonly Line[];
  /** What the code ends in the middle of. */
  readonly unfinished: "template" | "comment" | null;
}

/** The white space that the line after incomplete code starts with: deeper behind an open bracket, an operator or a JSX
 *  tag, as deep as the last line elsewhere, and none in a template literal, which would keep it. */
export function nextIndent(code: string): string {
  const text = code.trimEnd();
  const texts = text.split("\n");
  const lastText = texts.at(-1) ?? "";
  const own = /^\s*/.exec(lastText)?.[0] ?? "";
  const { lines, unfinished } = scanLines(text);
  if (unfinished === "template") return "";
  // The text of a block comment lines up behind its star.
  if (unfinished === "comment") return /^\s*\/\*/.test(lastText) ? `${own} ` : own;
  const last = lines.at(-1);
  const before = lines.findLast((_, index) => index < lines.length - 1 && (texts[index] ?? "").trim() !== "");
  const isDeeper = last !== undefined && (last.opened > 0 || (last.goesOn && before?.goesOn !== true));
  return isDeeper || opensTag(lastText) ? own + INDENT : own;
}

function scanLines(text: string): ScannedLines {
  const lines = text.split("\n").map((): Line => ({ opened: 0, goesOn: false }));
  const lineAt = lineFinder(text, lines);
  const open: OpenBracket[] = [];
  const errors = new Set<number>();
  const scanner = ts.createScanner(ts.ScriptTarget.ESNext, true, ts.LanguageVariant.Standard, text, ({ code }) => { errors.add(code); });
  let previous: ts.SyntaxKind = ts.SyntaxKind.Unknown;
  for (let token = scanner.scan(); token !== ts.SyntaxKind.EndOfFileToken; token = scanner.scan()) {
    if (SLASHES.has(token) && !endsValue(previous)) token = scanner.reScanSlashToken();
    if (token === ts.SyntaxKind.CloseBraceToken && open.at(-1)?.kind === "template") {
      open.pop();
      token = scanner.reScanTemplateToken(false);
    }
    const line = lineAt(scanner.getTokenEnd());
    let goesOn = wantsMore(token);
    if (token === ts.SyntaxKind.TemplateHead || token === ts.SyntaxKind.TemplateMiddle) open.push({ line, kind: "template" });
    else if (OPENING.has(token)) open.push({ line, kind: CONDITIONS.has(previous) ? "condition" : "plain" });
    else if (CLOSING.has(token)) goesOn = open.pop()?.kind === "condition";
    if (line !== undefined) line.goesOn = goesOn;
    previous = token;
  }
  for (const { line } of open) if (line !== undefined) line.opened += 1;
  return { lines, unfinished: errors.has(OPEN_COMMENT) ? "comment" : errors.has(OPEN_TEMPLATE) ? "template" : null };
}

/** Finds the line of each position; positions must not go back. */
function lineFinder(text: string, lines: readonly Line[]): (position: number) => Line | undefined {
  let index = 0;
  let counted = 0;
  return (position) => {
    for (; counted < position; counted++) if (text[counted] === "\n") index += 1;
    return lines[index];
  };
}

const { SyntaxKind } = ts;
const SLASHES: ReadonlySet<ts.SyntaxKind> = new Set([SyntaxKind.SlashToken, SyntaxKind.SlashEqualsToken]);
const OPENING: ReadonlySet<ts.SyntaxKind> = new Set([SyntaxKind.OpenBraceToken, SyntaxKind.OpenBracketToken, SyntaxKind.OpenParenToken]);
const CLOSING: ReadonlySet<ts.SyntaxKind> = new Set([SyntaxKind.CloseBraceToken, SyntaxKind.CloseBracketToken, SyntaxKind.CloseParenToken]);
const CONDITIONS: ReadonlySet<ts.SyntaxKind> = new Set([SyntaxKind.IfKeyword, SyntaxKind.ForKeyword, SyntaxKind.WhileKeyword]);
/** Keywords that something must follow, by custom on the same or the next, deeper line. */
const CONTINUING_KEYWORDS: ReadonlySet<ts.SyntaxKind> = new Set([
  SyntaxKind.ElseKeyword, SyntaxKind.DoKeyword, SyntaxKind.TryKeyword, SyntaxKind.FinallyKeyword, SyntaxKind.NewKeyword, SyntaxKind.TypeOfKeyword,
  SyntaxKind.VoidKeyword, SyntaxKind.DeleteKeyword, SyntaxKind.InKeyword, SyntaxKind.InstanceOfKeyword, SyntaxKind.OfKeyword, SyntaxKind.AsKeyword,
  SyntaxKind.SatisfiesKeyword, SyntaxKind.ExtendsKeyword, SyntaxKind.ImplementsKeyword, SyntaxKind.AwaitKeyword, SyntaxKind.ThrowKeyword,
  SyntaxKind.FromKeyword, SyntaxKind.CaseKeyword,
]);
/** Punctuation that may end a line of a list, a block or a type. */
const ENDING_PUNCTUATION: ReadonlySet<ts.SyntaxKind> = new Set([
  ...OPENING, ...CLOSING, SyntaxKind.SemicolonToken, SyntaxKind.CommaToken, SyntaxKind.PlusPlusToken, SyntaxKind.MinusMinusToken,
  SyntaxKind.ExclamationToken, SyntaxKind.GreaterThanToken,
]);
/** Tokens behind which a slash divides, besides closing brackets. */
const VALUES: ReadonlySet<ts.SyntaxKind> = new Set([
  SyntaxKind.Identifier, SyntaxKind.PrivateIdentifier, SyntaxKind.NumericLiteral, SyntaxKind.BigIntLiteral, SyntaxKind.StringLiteral,
  SyntaxKind.RegularExpressionLiteral, SyntaxKind.NoSubstitutionTemplateLiteral, SyntaxKind.TemplateTail, SyntaxKind.ThisKeyword, SyntaxKind.NullKeyword,
  SyntaxKind.TrueKeyword, SyntaxKind.FalseKeyword, SyntaxKind.PlusPlusToken, SyntaxKind.MinusMinusToken,
]);

function endsValue(token: ts.SyntaxKind): boolean {
  return VALUES.has(token) || CLOSING.has(token);
}

function wantsMore(token: ts.SyntaxKind): boolean {
  if (CONTINUING_KEYWORDS.has(token)) return true;
  return token >= SyntaxKind.FirstPunctuation && token <= SyntaxKind.LastPunctuation && !ENDING_PUNCTUATION.has(token);
}

/** Whether a line opens a JSX tag or element that it does not close. */
function opensTag(line: string): boolean {
  const opening = line.match(/<[A-Za-z][\w.]*(?=[^<]*$|[^<]*>)|<>/g)?.length ?? 0;
  const closing = line.match(/<\/|\/>/g)?.length ?? 0;
  return opening > closing && /(^|[\s(=>&?:|])<[A-Za-z>]/.test(line);
}
