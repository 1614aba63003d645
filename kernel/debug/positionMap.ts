import { isJsonObject, stringField } from "../protocol/json.ts";

/** A place in a text, both counted from 0; columns in UTF-16 units. */
export interface Position { readonly line: number; readonly column: number }

interface Segment { readonly generated: Position; readonly original: Position }

const BASE64 = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
/** A base64 digit of a mapping has five bits of the number and this one: more digits follow. */
const MORE_DIGITS = 32;

/** A source map in both directions. Node.js's own SourceMap maps only from the script back, and takes what has no
 *  mapping for the code before it; a debugger must tell the compiler's own code from the user's.
 *  Source: tc39.es/ecma426 */
export class PositionMap {
  /** By line of the script, each in order of columns. */
  private readonly byLine: readonly (readonly Segment[])[];
  /** Text of the source, when the map carries it. */
  readonly sourceText: string | null;

  private constructor(byLine: readonly (readonly Segment[])[], sourceText: string | null) {
    this.byLine = byLine;
    this.sourceText = sourceText;
  }

  /** @param json a source map with one source; anything else gives a map without mappings */
  static parse(json: string): PositionMap {
    const payload: unknown = JSON.parse(json);
    if (!isJsonObject(payload)) return new PositionMap([], null);
    const [text = null] = Array.isArray(payload.sourcesContent) ? payload.sourcesContent as unknown[] : [];
    return new PositionMap(decode(stringField(payload, "mappings")), typeof text === "string" ? text : null);
  }

  /** Where code of the script came from; null for code that the compiler added. */
  original({ line, column }: Position): Position | null {
    const segment = this.byLine[line]?.findLast(({ generated }) => generated.column <= column);
    return segment?.original ?? null;
  }

  /** The script's code for a place in the source: what begins there, else what begins next on that line. */
  generated({ line, column }: Position): Position | null {
    const onLine = this.byLine.flat().filter(({ original }) => original.line === line);
    const distance = ({ original }: Segment): number => (original.column >= column ? original.column - column : Number.MAX_SAFE_INTEGER - original.column);
    let best: Segment | null = null;
    for (const segment of onLine) if (best === null || distance(segment) < distance(best)) best = segment;
    return best?.generated ?? null;
  }
}

function decode(mappings: string): Segment[][] {
  let line = 0;
  let column = 0;
  return mappings.split(";").map((text, generatedLine) => {
    let generatedColumn = 0;
    const segments: Segment[] = [];
    for (const field of text === "" ? [] : text.split(",")) {
      const [columnStep = 0, , lineStep, originalStep] = decodeNumbers(field);
      generatedColumn += columnStep;
      if (lineStep === undefined || originalStep === undefined) continue;
      line += lineStep;
      column += originalStep;
      segments.push({ generated: { line: generatedLine, column: generatedColumn }, original: { line, column } });
    }
    return segments;
  });
}

/** Base64 VLQ: the lowest bit of a number is its sign. */
function decodeNumbers(text: string): number[] {
  const numbers: number[] = [];
  let value = 0;
  let shift = 0;
  for (const character of text) {
    const digit = BASE64.indexOf(character);
    value |= (digit & (MORE_DIGITS - 1)) << shift;
    shift += 5;
    if ((digit & MORE_DIGITS) !== 0) continue;
    numbers.push((value & 1) === 0 ? value >>> 1 : -(value >>> 1));
    value = 0;
    shift = 0;
  }
  return numbers;
}
