import { Marked } from "marked";
import type { TokenizerAndRendererExtension, Tokens } from "marked";
import { plainText } from "./ansi.ts";
import { escapeHtml, highlightTypeScript } from "./highlight.ts";
import { mathHtml } from "./mathml.ts";

/** A heading, for a table of contents. */
export interface Heading { readonly id: string; readonly level: number; readonly text: string }

/** How Markdown is turned into HTML. */
export interface MarkdownOptions {
  /** Turns an image's address into one that works in the page, e.g. of an attachment; null leaves it. */
  readonly image?: (address: string) => string | null;
  /** Called for each heading, in order. */
  readonly onHeading?: (heading: Omit<Heading, "id">) => string;
}

/** Markdown as Jupyter has it: GitHub's tables, formulas between dollars, images from attachments. HTML in it is taken as it is. */
export function markdownToHtml(source: string, options: MarkdownOptions = {}): string {
  const marked = new Marked({ gfm: true, extensions: [BLOCK_MATH, INLINE_MATH], renderer: {
    heading({ tokens, depth }: Tokens.Heading): string {
      const html = this.parser.parseInline(tokens);
      const id = options.onHeading?.({ level: depth, text: textOf(html) });
      return `<h${depth}${id === undefined ? "" : ` id="${escapeHtml(id)}"`}>${html}</h${depth}>\n`;
    },
    image({ href, text, title }: Tokens.Image): string {
      const address = options.image?.(href) ?? href;
      return `<img src="${escapeHtml(address)}" alt="${escapeHtml(text)}"${title === null ? "" : ` title="${escapeHtml(title)}"`}>`;
    },
    code({ text, lang }: Tokens.Code): string {
      const isTypeScript = /^(ts|tsx|typescript|js|jsx|javascript|json)\b/.test(lang ?? "");
      return `<pre><code>${isTypeScript ? highlightTypeScript(text) : escapeHtml(plainText(text))}</code></pre>\n`;
    },
  } });
  return marked.parse(source, { async: false });
}

function textOf(html: string): string {
  return html.replace(/<annotation[^]*?<\/annotation>/g, "").replace(/<[^>]*>/g, "")
    .replaceAll("&lt;", "<").replaceAll("&gt;", ">").replaceAll("&quot;", '"').replaceAll("&#39;", "'").replaceAll("&amp;", "&").trim();
}

/** Formulas must be taken before Markdown sees their underscores and backslashes. */
const BLOCK_MATH: TokenizerAndRendererExtension = {
  name: "blockMath", level: "block",
  start: (text) => text.search(/\$\$|\\\[|\\begin\{/),
  tokenizer(text) {
    const match = /^(?:\$\$([^]+?)\$\$|\\\[([^]+?)\\\])[ \t]*(?:\n|$)/.exec(text) ?? /^(\\begin\{([a-z]+\*?)\}[^]+?\\end\{\2\})[ \t]*(?:\n|$)/.exec(text);
    return match === null ? undefined : { type: "blockMath", raw: match[0], tex: match[1] ?? match[2] };
  },
  renderer: (token) => `<p>${mathHtml(String(token.tex), "block")}</p>\n`,
};

/** A dollar before a space, or one before a digit that would close, is money. Source: pandoc's tex_math_dollars */
const INLINE_MATH: TokenizerAndRendererExtension = {
  name: "inlineMath", level: "inline",
  start: (text) => text.search(/\$|\\\(/),
  tokenizer(text) {
    const block = /^\$\$([^$]+?)\$\$/.exec(text);
    if (block !== null) return { type: "inlineMath", raw: block[0], tex: block[1], isBlock: true };
    const match = /^\$(?!\s)((?:\\[^]|[^$\\])+?)(?<!\s)\$(?!\d)/.exec(text) ?? /^\\\(([^]+?)\\\)/.exec(text);
    return match === null ? undefined : { type: "inlineMath", raw: match[0], tex: match[1], isBlock: false };
  },
  renderer: (token) => mathHtml(String(token.tex), token.isBlock === true ? "block" : "inline"),
};
