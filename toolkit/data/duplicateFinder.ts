import { DataError } from "../errors.ts";

export interface DuplicateFinder {
  /** Remembers the text.
   *  @returns true when it, or one like it, stood before
   *  @throws DataError E_DEDUP_FULL when more than maxDocuments would have to be remembered */
  isDuplicate(text: string): boolean;
}

/** The text in one spelling: Unicode NFC, lower case, one space for each run of white space. */
export function normaliseText(text: string): string {
  return text.normalize("NFC").toLowerCase().replace(/\s+/g, " ").trim();
}

export function dedupFull(maxDocuments: number): DataError {
  return new DataError({ code: "E_DEDUP_FULL", what: `more than ${maxDocuments} documents would have to be remembered`,
    why: "duplicates of those that are forgotten would pass unseen", fix: "raise dedup.maxDocuments, if memory allows, or dedup the data in parts" });
}
