/** Front ends count code points, JavaScript strings UTF-16 units.
 *  @param position code points from the start, clamped to the code
 *  @returns UTF-16 units from the start */
export function utf16Offset(code: string, position: number): number {
  let offset = 0;
  let passed = 0;
  for (const character of code) {
    if (passed >= position) break;
    offset += character.length;
    passed += 1;
  }
  return offset;
}

/** The way back: UTF-16 units to code points. */
export function codePointOffset(code: string, offset: number): number {
  return [...code.slice(0, offset)].length;
}
