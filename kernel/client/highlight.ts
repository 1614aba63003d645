import ts from "#typescript";

/** Escapes text for HTML content and attribute values. */
export function escapeHtml(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;").replaceAll('"', "&quot;");
}

/** TypeScript code as HTML with classes k (keyword), s (string), n (number), c (comment). */
export function highlightTypeScript(code: string): string {
  const scanner = ts.createScanner(ts.ScriptTarget.ESNext, false, ts.LanguageVariant.Standard, code);
  let html = "";
  let previous = ts.SyntaxKind.Unknown;
  // Template literals: `${ … }` needs the scanner to go on with the template at its closing brace.
  const braces: ("template" | "block")[] = [];
  for (let token = scanner.scan(); token !== ts.SyntaxKind.EndOfFileToken; token = scanner.scan()) {
    if ((token === ts.SyntaxKind.SlashToken || token === ts.SyntaxKind.SlashEqualsToken) && !endsValue(previous)) token = scanner.reScanSlashToken();
    if (token === ts.SyntaxKind.CloseBraceToken && braces.pop() === "template") token = scanner.reScanTemplateToken(false);
    if (token === ts.SyntaxKind.OpenBraceToken) braces.push("block");
    if (token === ts.SyntaxKind.TemplateHead || token === ts.SyntaxKind.TemplateMiddle) braces.push("template");
    const isName = isPropertyName(token, previous, code.slice(scanner.getTokenEnd()));
    const name = isName ? null : className(token);
    const text = escapeHtml(scanner.getTokenText());
    html += name === null ? text : `<span class="${name}">${text}</span>`;
    if (!isTrivia(token)) previous = token;
  }
  return html;
}

/** Words such as `from` and `type` are keywords in some places only. */
function isPropertyName(token: ts.SyntaxKind, previous: ts.SyntaxKind, following: string): boolean {
  if (previous === ts.SyntaxKind.DotToken || previous === ts.SyntaxKind.QuestionDotToken) return true;
  const isContextual = token > ts.SyntaxKind.LastReservedWord && token <= ts.SyntaxKind.LastKeyword;
  return isContextual && /^\s*[:(?]/.test(following) && token !== ts.SyntaxKind.AsyncKeyword && token !== ts.SyntaxKind.AwaitKeyword;
}

function isTrivia(token: ts.SyntaxKind): boolean {
  return token >= ts.SyntaxKind.FirstTriviaToken && token <= ts.SyntaxKind.LastTriviaToken;
}

/** Whether a slash after this token divides; otherwise it starts a regular expression. */
function endsValue(token: ts.SyntaxKind): boolean {
  return token === ts.SyntaxKind.Identifier || token === ts.SyntaxKind.NumericLiteral || token === ts.SyntaxKind.BigIntLiteral
    || token === ts.SyntaxKind.StringLiteral || token === ts.SyntaxKind.CloseParenToken || token === ts.SyntaxKind.CloseBracketToken
    || token === ts.SyntaxKind.CloseBraceToken || token === ts.SyntaxKind.ThisKeyword || token === ts.SyntaxKind.NoSubstitutionTemplateLiteral
    || token === ts.SyntaxKind.TemplateTail;
}

function className(token: ts.SyntaxKind): "k" | "s" | "n" | "c" | null {
  if (token >= ts.SyntaxKind.FirstKeyword && token <= ts.SyntaxKind.LastKeyword) return "k";
  switch (token) {
    case ts.SyntaxKind.StringLiteral:
    case ts.SyntaxKind.NoSubstitutionTemplateLiteral:
    case ts.SyntaxKind.TemplateHead:
    case ts.SyntaxKind.TemplateMiddle:
    case ts.SyntaxKind.TemplateTail:
    case ts.SyntaxKind.RegularExpressionLiteral: return "s";
    case ts.SyntaxKind.NumericLiteral:
    case ts.SyntaxKind.BigIntLiteral: return "n";
    case ts.SyntaxKind.SingleLineCommentTrivia:
    case ts.SyntaxKind.MultiLineCommentTrivia: return "c";
    default: return null;
  }
}
