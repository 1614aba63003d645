/** Text that a script has and its source has not; without line feeds. */
export interface Insertion {
  /** Where, in UTF-16 units of the source. */
  readonly at: number;
  readonly text: string;
}

const BASE64 = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
/** Line ends as V8 and TypeScript count them. */
const LINE_END = /\r\n|[\n\r\u2028\u2029]/g;
/** Words, and each other character by itself. */
const TOKEN = /[\w$\u0080-\uffff]+|\S/g;

/** The source map of a script that is its source but for some insertions, with a mapping for each token.
 *  Source: tc39.es/ecma426
 *  @param path of the source
 *  @param insertions in order
 *  @returns JSON */
export function mapOfInsertions(path: string, source: string, insertions: readonly Insertion[]): string {
  const name = path.slice(path.lastIndexOf("/") + 1);
  const mappings = new Mappings();
  let next = 0;
  let lineStart = 0;
  while (lineStart <= source.length) {
    LINE_END.lastIndex = lineStart;
    const lineEnd = LINE_END.exec(source)?.index ?? source.length;
    let shift = 0;
    const insertUpTo = (position: number): void => {
      for (let insertion = insertions[next]; insertion !== undefined && insertion.at <= position; insertion = insertions[++next]) {
        mappings.add(insertion.at - lineStart + shift, insertion.at - lineStart);
        shift += insertion.text.length;
      }
    };
    for (const { index } of source.slice(lineStart, lineEnd).matchAll(TOKEN)) {
      insertUpTo(lineStart + index);
      mappings.add(index + shift, index);
    }
    insertUpTo(lineEnd);
    mappings.endLine();
    lineStart = LINE_END.lastIndex === 0 ? source.length + 1 : LINE_END.lastIndex;
  }
  return JSON.stringify({ version: 3, sources: [name], names: [], mappings: mappings.text, sourcesContent: [source] });
}

/** Writes mappings of lines that are the same in script and source. */
class Mappings {
  text = "";
  private generatedColumn = 0;
  private sourceColumn = 0;
  private lineStep = 0;
  private isFirst = true;

  add(generatedColumn: number, sourceColumn: number): void {
    if (!this.isFirst) this.text += ",";
    this.text += number(generatedColumn - this.generatedColumn) + number(0) + number(this.lineStep) + number(sourceColumn - this.sourceColumn);
    this.generatedColumn = generatedColumn;
    this.sourceColumn = sourceColumn;
    this.lineStep = 0;
    this.isFirst = false;
  }

  endLine(): void {
    this.text += ";";
    this.generatedColumn = 0;
    this.lineStep += 1;
    this.isFirst = true;
  }
}

/** Base64 VLQ: the sign is the lowest bit; five bits a digit, lowest first, and a sixth that says that more follow. */
function number(value: number): string {
  let rest = value < 0 ? -value * 2 + 1 : value * 2;
  let digits = "";
  do {
    const digit = rest % 32;
    rest = (rest - digit) / 32;
    digits += BASE64.charAt(rest > 0 ? digit + 32 : digit);
  } while (rest > 0);
  return digits;
}
