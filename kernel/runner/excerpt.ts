/** A source line with its number and the place underlined.
 *  @param line counted from 1; column counted from 1, in UTF-16 units; length of the underline */
export function excerpt(text: string, line: number, column: number, length: number): string {
  const gutter = String(line);
  return `  ${gutter} | ${text}\n  ${" ".repeat(gutter.length)} | ${" ".repeat(column - 1)}${"~".repeat(length)}`;
}
