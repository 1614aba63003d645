import { createHash } from "node:crypto";

/** A text with all that its CARD.md says. */
export interface TextDataset {
  readonly text: string;
  /** The text's documents (chapters, files, problems, …) in order: joined with nothing between them they are the text. */
  readonly documents: readonly string[];
  /** The folder's name under datasets/. */
  readonly name: string;
  /** SPDX identifiers. */
  readonly licence: string;
  /** Where the text comes from, and by which package. */
  readonly source: string;
  /** SHA-256 of the text in UTF-8, hexadecimal. */
  readonly sha256: string;
}

/** A question with its answer, for instruction tuning. */
export interface QuestionRecord {
  readonly question: string;
  /** Steps that lead to the answer, one a line; none for a question of fact. */
  readonly steps: readonly string[];
  readonly answer: string;
  /** The kind of question, e.g. "fraction" or "capital". */
  readonly kind: string;
}

/** Questions with answers; its text holds the records in order. */
export interface QuestionDataset extends TextDataset {
  readonly records: readonly QuestionRecord[];
}

/** A chat of two messages, as chat templates take them. */
export type QuestionMessages = readonly [{ readonly role: "user"; readonly content: string }, { readonly role: "assistant"; readonly content: string }];

/** The record as a chat: the question from the user, steps and answer from the assistant. */
export function asMessages(record: QuestionRecord): QuestionMessages {
  return [{ role: "user", content: record.question }, { role: "assistant", content: answerText(record) }];
}

/** The record as plain text, with an empty line after it. */
export function recordText(record: QuestionRecord): string {
  return `Question: ${record.question}\nAnswer: ${answerText(record)}\n\n`;
}

function answerText({ steps, answer }: QuestionRecord): string {
  return [...steps, answer].join("\n");
}

/** The documents joined, with what the card says of them. */
export function textDataset(documents: readonly string[], facts: Pick<TextDataset, "name" | "licence" | "source">): TextDataset {
  const text = documents.join("");
  return { text, documents, ...facts, sha256: createHash("sha256").update(text, "utf8").digest("hex") };
}
