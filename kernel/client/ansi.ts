/** CSI sequences (colours, cursor moves) and OSC sequences (titles, links). Source: ECMA-48, xterm ctlseqs */
const ANSI_SEQUENCE = /\u001b(?:\[[0-?]*[ -/]*[@-~]|\][^\u0007\u001b]*(?:\u0007|\u001b\\))/g;

/** Text as it reads without a terminal: no escape sequences, and of lines rewritten with \r only the last state. */
export function plainText(text: string): string {
  return text.replace(ANSI_SEQUENCE, "").replaceAll("\r\n", "\n").replace(/^.*\r(?!\n)/gm, "");
}
