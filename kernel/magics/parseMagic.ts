/** A magic at the top of a cell. */
export interface MagicCall {
  /** With its `%` or `%%`. */
  readonly name: string;
  readonly argument: string;
  /** The argument at its place, with white space for all before it. */
  readonly argumentCode: string;
  /** The lines below at their place, with empty lines for all before them. */
  readonly bodyCode: string;
  /** The lines below. */
  readonly body: string;
}

/** A magic stands on the first line of a cell that is not blank. Nowhere else: there `%` is JavaScript's operator.
 *  @returns null when the cell does not begin with a magic */
export function parseMagic(code: string): MagicCall | null {
  const found = /^(\s*)(%%?[A-Za-z]\w*)(?![\w%])([^\r\n]*)(?:\r\n|\n|\r|$)/.exec(code);
  if (found === null) return null;
  const [whole, space = "", name = "", rest = ""] = found;
  return {
    name, argument: rest.trim(), body: code.slice(whole.length),
    argumentCode: `${space}${" ".repeat(name.length)}${rest}`,
    bodyCode: whole.replaceAll(/[^\r\n]/g, " ") + code.slice(whole.length),
  };
}
