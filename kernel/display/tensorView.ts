import type { JsonObject } from "../protocol/json.ts";
import { cellStyle, escapeHtml, STYLES } from "./html.ts";
import { formatBytes, formatCount, formatNumber, formatNumbers } from "./numbers.ts";
import { STATISTICS_VALUES } from "./tensorReading.ts";
import type { Statistics, TensorReading } from "./tensorReading.ts";
import { Array, Math, Number } from "../runner/intrinsics.ts";

const NUMBER_FORMAT = { significant: 5, decimals: 4 };
const BYTES_OF_DTYPE: Readonly<Record<string, number>> = { float32: 4, int32: 4, bool: 1, complex64: 8 };

/** Shape, dtype, statistics and a corner of values, as text and as HTML.
 *  @param title what kind of value it is, e.g. "Tensor" */
export function tensorBundle(title: string, reading: TensorReading): JsonObject {
  const texts = cornerTexts(reading);
  const facts = factsOf(reading);
  const statistics = statisticsTexts(reading);
  const shape = `[${reading.shape.join(", ")}]`;
  const lines = [`${title} ${shape} ${reading.dtype}${facts === "" ? "" : `, ${facts}`}`, ...statistics, nested(reading, texts)];
  const heading = `<div style="padding:2px 0"><b>${escapeHtml(title)}</b> ${shape} ${escapeHtml(reading.dtype)}${facts === "" ? "" : `<span style="${STYLES.soft}">, ${facts}</span>`}</div>`;
  const notes = statistics.map((line) => `<div style="${STYLES.note}">${escapeHtml(line)}</div>`).join("");
  return {
    "text/html": `<div style="overflow-x:auto;font-size:13px;line-height:1.5">${heading}${notes}${matrices(reading, texts)}</div>`,
    "text/plain": lines.filter((line) => line !== "").join("\n"),
  };
}

/** What is said of a tensor whose memory was given back. */
export function disposedBundle(title: string, { shape, dtype }: Pick<TensorReading, "shape" | "dtype">): JsonObject {
  const text = `${title} [${shape.join(", ")}] ${dtype}, disposed: its values were freed`;
  return { "text/plain": text };
}

function factsOf({ shape, dtype }: TensorReading): string {
  const size = shape.reduce((product, length) => product * length, 1);
  if (size <= 1) return "";
  const bytes = BYTES_OF_DTYPE[dtype];
  return `${formatCount(size)} values${bytes === undefined ? "" : `, ${formatBytes(size * bytes)}`}`;
}

function statisticsTexts({ shape, dtype, statistics }: TensorReading): string[] {
  const size = shape.reduce((product, length) => product * length, 1);
  if (size <= 1 || dtype === "string") return [];
  if (statistics === null) {
    if (dtype === "complex64") return [];
    return [size > STATISTICS_VALUES ? `no statistics: more than ${formatCount(STATISTICS_VALUES)} values` : "no statistics: the mean is not finite, or the backend lacks the ops"];
  }
  if (dtype === "bool") return [`true ${formatCount(Math.round(statistics.mean * size))} of ${formatCount(size)}`];
  const { numNan, numInfinite } = statistics;
  const odd = [...(numNan > 0 ? [`${formatCount(numNan)} NaN`] : []), ...(numInfinite > 0 ? [`${formatCount(numInfinite)} infinite`] : [])];
  const known = Number.isNaN(statistics.mean) ? [] : [summary(statistics)];
  return [...known, ...(odd.length === 0 ? [] : [`${odd.join(", ")}${known.length === 0 ? "" : ", not counted above"}`])];
}

function summary({ min, mean, max, std }: Statistics): string {
  return `min ${formatNumber(min)}, mean ${formatNumber(mean)}, max ${formatNumber(max)}, std ${formatNumber(std)}`;
}

/** The corner's values, written alike. */
function cornerTexts({ corner }: TensorReading): string[] {
  const numbers = formatNumbers(corner.filter((value) => typeof value === "number"), NUMBER_FORMAT);
  let next = 0;
  return corner.map((value) => (typeof value === "number" ? numbers[next++] ?? "" : value));
}

/** Brackets as NumPy writes them, with … where a dimension goes on. */
function nested({ shape, cornerShape, corner }: TensorReading, texts: readonly string[]): string {
  if (corner.length === 0) return shape.includes(0) ? "[]" : "";
  const width = texts.reduce((most, text) => Math.max(most, text.length), 0);
  let next = 0;
  const write = (axis: number): string => {
    if (axis === shape.length) return (texts[next++] ?? "").padStart(shape.length === 0 ? 0 : width);
    const shown = cornerShape[axis] ?? 0;
    const isInnermost = axis === shape.length - 1;
    const parts = Array.from({ length: shown }, () => write(axis + 1));
    if ((shape[axis] ?? 0) > shown) parts.push("…");
    const separator = isInnermost ? ", " : `,${"\n".repeat(shape.length - 1 - axis)}${" ".repeat(axis + 1)}`;
    return `[${parts.join(separator)}]`;
  };
  return write(0);
}

/** The corner's matrices, one HTML table each. */
function matrices({ shape, cornerShape, corner }: TensorReading, texts: readonly string[]): string {
  if (corner.length === 0) return "";
  const [numColumns, numRows] = [cornerShape.at(-1) ?? 1, cornerShape.at(-2) ?? 1];
  const numMatrices = corner.length / (numColumns * numRows);
  const hasMoreColumns = (shape.at(-1) ?? 1) > numColumns;
  const hasMoreRows = (shape.at(-2) ?? 1) > numRows;
  const hasMoreMatrices = shape.slice(0, -2).some((length, axis) => length > (cornerShape[axis] ?? 1));
  const cell = (text: string): string => `<td style="${cellStyle("right")}">${escapeHtml(text)}</td>`;
  const table = (matrix: number): string => {
    const rows = Array.from({ length: numRows }, (_, row) => {
      const start = (matrix * numRows + row) * numColumns;
      return [...texts.slice(start, start + numColumns), ...(hasMoreColumns ? ["…"] : [])];
    });
    if (hasMoreRows) rows.push([...Array.from({ length: numColumns + Number(hasMoreColumns) }, () => "…")]);
    const label = shape.length > 2 ? `<div style="${STYLES.note}">[${matrixIndex(matrix, cornerShape).join(", ")}, :, :]</div>` : "";
    return `${label}<table style="${STYLES.table}"><tbody>${rows.map((row) => `<tr style="${STYLES.row}">${row.map(cell).join("")}</tr>`).join("")}</tbody></table>`;
  };
  return Array.from({ length: numMatrices }, (_, matrix) => table(matrix)).join("") + (hasMoreMatrices ? `<div style="${STYLES.note}">…</div>` : "");
}

/** Indices of a matrix along the leading dimensions; only the third from the end has more than one. */
function matrixIndex(matrix: number, cornerShape: readonly number[]): number[] {
  return cornerShape.slice(0, -2).map((_, axis, leading) => (axis === leading.length - 1 ? matrix : 0));
}
