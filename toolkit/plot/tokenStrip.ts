import { Figure } from "./figure.ts";
import { categoryColor, inkOn } from "./palette.ts";
import type { BarTrace } from "./plotlyTypes.ts";

/** The routing of one text in one layer. T tokens, K experts per token. */
export interface TokenStripRows {
  /** text of each token, [T] */
  readonly tokens: readonly string[];
  /** experts of each token, best first, [T][K] */
  readonly expertIds: readonly ArrayLike<number>[];
  /** combine weights in the same order, [T][K] */
  readonly weights: readonly ArrayLike<number>[];
}

export interface TokenStripOptions {
  readonly layer: number;
  /** by expert id; "expert 3" where there is none */
  readonly expertNames?: readonly string[];
  readonly title?: string;
  /** letters in one row */
  readonly columns?: number;
}

/** Where a token's tile stands: letters from the left, rows from the top. */
interface Tile {
  /** of the token */
  readonly text: string;
  /** on the tile: the text, and the expert's number where colours don't suffice */
  readonly label: string;
  readonly column: number;
  readonly row: number;
  readonly width: number;
}

const rowHeightPx = 30;
/** Letters of free space inside a tile, both sides together, and from one tile to the next. */
const tilePadding = 1;
const tileGap = 0.25;
/** More colours can't be looked up in a legend: then each tile carries its expert's number instead. */
const maxLegendExperts = 16;
const longestText = 24;

/** A token's text with its white space made visible: ␣ ⏎ ⇥, and control characters as their Unicode pictures. */
export function visibleText(token: string): string {
  return token.replaceAll("\r\n", "⏎").replaceAll("\n", "⏎").replaceAll("\t", "⇥").replaceAll(" ", "␣")
    .replaceAll(/[\u0000-\u001f]/g, (control) => String.fromCodePoint(0x2400 + (control.codePointAt(0) ?? 0)));
}

/** Letters take one column, East Asian ones and pictures about two. */
function textColumns(text: string): number {
  let columns = 0;
  for (const letter of text) columns += /[\u1100-\u115f\u2e80-\ua4cf\uac00-\ud7a3\uf900-\ufaff\uff00-\uff60\u{1f000}-\u{3fffd}]/u.test(letter) ? 2 : 1;
  return columns;
}

/** A token's text for its tile, shortened where it is very long. */
function tileText(token: string): string {
  const text = visibleText(token) || "∅";
  return text.length > longestText ? `${text.slice(0, longestText - 1)}…` : text;
}

function subscript(value: number): string {
  return String(value).replaceAll(/\d/g, (digit) => String.fromCodePoint(0x2080 + Number(digit)));
}

/** Lays the tokens out like words of a text; a line break in a token also ends the row.
 *  @param suffixes stand behind the texts, [T] */
function layOut(tokens: readonly string[], suffixes: readonly string[], columns: number): Tile[] {
  let column = 0;
  let row = 0;
  return tokens.map((token, index) => {
    const text = tileText(token);
    const label = `${text}${suffixes[index]}`;
    const width = textColumns(label) + tilePadding;
    if (column > 0 && column + width > columns) {
      column = 0;
      row += 1;
    }
    const tile = { text, label, column, row, width };
    column += width + tileGap;
    if (token.includes("\n")) {
      column = 0;
      row += 1;
    }
    return tile;
  });
}

/** Plotly reads a few HTML tags in labels. */
function plotlyText(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}

function checkLengths({ tokens, expertIds, weights }: TokenStripRows): void {
  if (tokens.length === expertIds.length && tokens.length === weights.length) return;
  throw new RangeError(`tokenStrip got ${tokens.length} tokens, ${expertIds.length} rows of experts and ${weights.length} rows of weights; `
    + "each token needs one of each. Fix: take all three from the same trace.");
}

/** One trace an expert, so that the legend names it and a click hides its tokens. */
function expertTrace(expert: number, members: readonly number[], tiles: readonly Tile[], rows: TokenStripRows, nameOf: (expert: number) => string): BarTrace {
  const color = categoryColor(expert);
  const ofMembers = <Value>(read: (tile: Tile, token: number) => Value): Value[] =>
    members.map((token) => read(tiles[token], token));
  const hover = (tile: Tile, token: number): string => {
    const choices = Array.from(rows.expertIds[token], (id, slot) =>
      `${plotlyText(nameOf(id))}  ${(100 * (rows.weights[token][slot])).toFixed(1)} %`);
    return `<b>${plotlyText(tile.text)}</b>  token ${token}<br>${choices.join("<br>")}`;
  };
  return {
    type: "bar", orientation: "h", name: `${plotlyText(nameOf(expert))} · ${members.length}`, showlegend: true,
    base: ofMembers((tile) => tile.column), x: ofMembers((tile) => tile.width), y: ofMembers((tile) => tile.row), width: 0.84,
    marker: { color },
    text: ofMembers((tile) => plotlyText(tile.label)), textposition: "inside", insidetextanchor: "middle", textangle: 0, constraintext: "inside",
    textfont: { family: "'JetBrains Mono', Menlo, Consolas, 'DejaVu Sans Mono', monospace", size: 13, color: inkOn(color) },
    customdata: ofMembers(hover), hovertemplate: "%{customdata}<extra></extra>",
  };
}

/** Text form: the tokens in rows, each with its first choice, e.g. "The:3 ␣cat:1". */
function plainRows(title: string, tiles: readonly Tile[], firstChoices: readonly number[]): string {
  const lines: string[] = [];
  tiles.forEach((tile, token) => {
    const word = `${tile.text}:${firstChoices[token]}`;
    lines[tile.row] = lines[tile.row] === undefined ? word : `${lines[tile.row]} ${word}`;
  });
  return [`${title} (token:expert)`, ...lines].join("\n");
}

/** A text whose tokens are coloured by their first-choice expert and flow in rows; pointing at one shows all K experts
 *  and weights. Readable up to a few hundred tokens.
 *  @throws RangeError when tokens, experts and weights differ in number */
export function tokenStrip(rows: TokenStripRows, options: TokenStripOptions): Figure {
  checkLengths(rows);
  const columns = options.columns ?? 88;
  const firstChoices = rows.expertIds.map((ids) => ids[0]);
  const experts = [...new Set(firstChoices)].sort((a, b) => a - b);
  const hasLegend = experts.length <= maxLegendExperts;
  const tiles = layOut(rows.tokens, firstChoices.map((expert) => (hasLegend ? "" : subscript(expert))), columns);
  const nameOf = (expert: number): string => options.expertNames?.[expert] ?? `expert ${expert}`;
  const numRows = Math.max(1, ...tiles.map((tile) => tile.row + 1));
  const title = options.title ?? `First-choice expert of each token, layer ${options.layer}`;
  const legendHeightPx = hasLegend ? 24 * Math.ceil(experts.length / 6) : 0;
  return new Figure({
    data: experts.map((expert) => {
      const members = firstChoices.flatMap((choice, token) => (choice === expert ? [token] : []));
      return expertTrace(expert, members, tiles, rows, nameOf);
    }),
    layout: {
      title: { text: title }, barmode: "overlay", bargap: 0, hovermode: "closest", showlegend: hasLegend, legend: { y: 0, yanchor: "top" },
      height: numRows * rowHeightPx + 72 + legendHeightPx, margin: { l: 8, r: 8, t: 56, b: 16 + legendHeightPx },
      xaxis: { visible: false, range: [0, columns], fixedrange: true },
      yaxis: { visible: false, range: [numRows - 0.5, -0.5], fixedrange: true },
    },
    plainText: plainRows(title, tiles, firstChoices),
  });
}
