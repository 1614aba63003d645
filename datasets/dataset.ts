/** A text with all that its CARD.md says. */
export interface TextDataset {
  readonly text: string;
  /** The folder's name under datasets/. */
  readonly name: string;
  /** SPDX identifiers. */
  readonly licence: string;
  /** Where the text comes from, and by which package. */
  readonly source: string;
  /** SHA-256 of the text in UTF-8, hexadecimal. */
  readonly sha256: string;
}
