import { inspect } from "node:util";
import type { JsonObject } from "../protocol/json.ts";
import { cellStyle, escapeHtml, STYLES } from "./html.ts";
import { formatCount, formatNumbers } from "./numbers.ts";
import { Date, Math, Number } from "../runner/intrinsics.ts";

/** What a table is drawn from: the cells that are shown, and how many there are in all. */
export interface TableParts {
  readonly columns: readonly string[];
  /** Values of the rows shown, in the order of `columns`. */
  readonly rows: readonly (readonly unknown[])[];
  /** Labels of the rows shown, or null for none. */
  readonly labels: readonly unknown[] | null;
  readonly totalRows: number;
  readonly totalColumns: number;
  readonly caption?: string;
}

interface Column { readonly title: string; readonly texts: readonly string[]; readonly align: "left" | "right" }

/** A cell's text is cut after this, in UTF-16 units. */
const CELL_LENGTH = 100;
const NUMBER_FORMAT = { significant: 6, decimals: 6 };

/** A table as a bundle: HTML and, for terminals, text. */
export function tableBundle(parts: TableParts): JsonObject {
  const columns = columnsOf(parts);
  const notes = notesOf(parts);
  return { "text/html": tableHtml(columns, parts, notes), "text/plain": tableText(columns, parts, notes) };
}

function columnsOf({ columns, rows, labels }: TableParts): Column[] {
  const made = columns.map((title, index) => column(title, rows.map((row) => row[index])));
  return labels === null ? made : [column("", labels), ...made];
}

function column(title: string, values: readonly unknown[]): Column {
  const present = values.filter((value) => value !== null && value !== undefined);
  const isNumeric = present.length > 0 && present.every((value) => typeof value === "number" || typeof value === "bigint");
  if (!isNumeric) return { title, align: "left", texts: values.map(cellText) };
  const numbers = formatNumbers(values.filter((value) => typeof value === "number"), NUMBER_FORMAT);
  let next = 0;
  return { title, align: "right", texts: values.map((value) => (typeof value === "number" ? numbers[next++] ?? "" : cellText(value))) };
}

/** One value on one line. A missing one is empty. */
function cellText(value: unknown): string {
  if (value === undefined) return "";
  const text = typeof value === "string" ? value
    : value instanceof Date ? dateText(value)
    : typeof value === "bigint" ? value.toString()
    : inspect(value, { depth: 1, breakLength: Infinity, maxArrayLength: 6, maxStringLength: CELL_LENGTH });
  const line = text.slice(0, 4 * CELL_LENGTH).replaceAll(/\s+/g, " ");
  return line.length <= CELL_LENGTH ? line : `${line.slice(0, CELL_LENGTH - 1)}…`;
}

function dateText(date: Date): string {
  return Number.isNaN(date.getTime()) ? "Invalid Date" : date.toISOString().replace(/T00:00:00\.000Z$/, "").replace(/\.000Z$/, "Z");
}

/** Says what is not shown. */
function notesOf({ columns, rows, totalRows, totalColumns }: TableParts): string {
  const notes: string[] = [];
  if (totalRows > rows.length) notes.push(`${formatCount(rows.length)} of ${formatCount(totalRows)} rows`);
  if (totalColumns > columns.length) notes.push(`${formatCount(columns.length)} of ${formatCount(totalColumns)} columns`);
  if (totalRows === 0) notes.push("no rows");
  return notes.length === 0 ? "" : `${totalRows === 0 ? "" : "… "}${notes.join(", ")}`;
}

function tableHtml(columns: readonly Column[], { rows, labels, caption }: TableParts, notes: string): string {
  const cell = (tag: "th" | "td", { align }: Column, text: string, isLabel: boolean): string =>
    `<${tag} style="${cellStyle(align, isLabel)}">${escapeHtml(text)}</${tag}>`;
  const isLabel = (index: number): boolean => labels !== null && index === 0;
  const head = columns.map((entry, index) => cell("th", entry, entry.title, isLabel(index))).join("");
  const body = rows.map((_, row) =>
    `<tr style="${STYLES.row}">${columns.map((entry, index) => cell(isLabel(index) ? "th" : "td", entry, entry.texts[row] ?? "", isLabel(index))).join("")}</tr>`);
  const title = caption === undefined ? "" : `<caption style="text-align:left;color:inherit;font-weight:bold;padding:0 0 4px">${escapeHtml(caption)}</caption>`;
  const note = notes === "" ? "" : `<div style="${STYLES.note}">${escapeHtml(notes)}</div>`;
  return `<div style="overflow-x:auto"><table style="${STYLES.table}">${title}<thead><tr style="${STYLES.headRow}">${head}</tr></thead>`
    + `<tbody>${body.join("")}</tbody></table>${note}</div>`;
}

function tableText(columns: readonly Column[], { rows, caption }: TableParts, notes: string): string {
  const widths = columns.map(({ title, texts }) => Math.max(lengthOf(title), ...texts.map(lengthOf)));
  const line = (texts: readonly string[]): string => texts.map((text, index) => {
    const padding = " ".repeat(Math.max(0, (widths[index] ?? 0) - lengthOf(text)));
    return columns[index]?.align === "right" ? padding + text : text + padding;
  }).join("  ").trimEnd();
  const head = columns.length === 0 ? [] : [line(columns.map(({ title }) => title))];
  const lines = [...head, ...rows.map((_, row) => line(columns.map(({ texts }) => texts[row] ?? "")))];
  return [...(caption === undefined ? [] : [caption]), ...lines, ...(notes === "" ? [] : [notes])].join("\n");
}

/** Length in characters as a terminal counts most of them. */
function lengthOf(text: string): number {
  return [...text].length;
}
