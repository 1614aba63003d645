import { DataError } from "../../errors.ts";
import type { DocumentSource } from "../documents.ts";
import { packRows, type PackingSettings } from "./packing.ts";
import { SequenceRows } from "./padding.ts";
import { RowBatches, type RowBatchesOptions, type RowSource } from "./rows.ts";
import { appendId, checkEndOfText, SequenceSource, type DocumentEncoder, type LengthLimit, type ToSequence } from "./sequences.ts";

/** A stretch of a rendered conversation. */
export interface RenderedPiece {
  readonly text: string;
  /** true for what the model should learn to write, with the mark that ends its turn */
  readonly isAnswer: boolean;
  /** true where the text is special tokens of the template; all other text is read as ordinary, whatever stands in it */
  readonly isSpecial?: boolean;
}

/** Writes a record out as the model will see it, e.g. by a chat template. A record that it can't write is dropped and
 *  counted: under "not-rendered" for undefined, under the error's code for a DataError. */
export type Render = (record: Readonly<Record<string, unknown>>) => readonly RenderedPiece[] | undefined;

/** Records {prompt, response} as they stand, the prompt right before the response. */
export const renderPromptResponse: Render = ({ prompt, response }) =>
  typeof prompt === "string" && typeof response === "string" ? [{ text: prompt, isAnswer: false }, { text: response, isAnswer: true }] : undefined;

/** What renderChat needs of a chat template; a ChatTemplate is one. */
export interface ChatRenderer {
  pieces(messages: readonly RenderedMessage[]): readonly RenderedPiece[];
}

export interface RenderedMessage {
  readonly role: string;
  readonly [field: string]: unknown;
}

/** Records with a list of messages, written by a chat template. Templates end turns with a mark of their own: set
 *  appendEndOfText: false.
 *  @param field that holds the messages */
export function renderChat(template: ChatRenderer, field = "messages"): Render {
  return (record) => {
    const messages: unknown = record[field];
    return Array.isArray(messages) && messages.every(isMessage) ? template.pieces(messages) : undefined;
  };
}

function isMessage(value: unknown): value is RenderedMessage {
  return typeof value === "object" && value !== null && "role" in value && typeof value.role === "string";
}

export interface InstructionOptions {
  /** T, tokens of a row */
  readonly contextLength: number;
  /** renderPromptResponse unless given */
  readonly render?: Render;
  /** whether end-of-text follows the last piece, counted in the loss where that is an answer; false for templates
   *  that end in a mark of their own */
  readonly appendEndOfText?: boolean;
  /** one conversation a row unless given */
  readonly packing?: PackingSettings;
  /** what becomes of conversations that don't fit a row; both are counted */
  readonly whenLonger?: LengthLimit["whenLonger"];
}

/** Rows of conversations in which only the answers count in the loss. Pieces are encoded one by one, so no token spans
 *  the border of an answer. Conversations without an answer, also after they are cut, are dropped and counted. */
export function instructionRows(documents: DocumentSource, encoder: DocumentEncoder, { contextLength, render = renderPromptResponse, appendEndOfText = true, packing, whenLonger = "truncate" }: InstructionOptions): RowSource {
  const sequences = new SequenceSource(documents, answerSequences(encoder, render, appendEndOfText), { maxTokens: contextLength + 1, whenLonger });
  return packing ? packRows(sequences, contextLength, packing) : new SequenceRows(sequences);
}

/** Batches of conversations, padded to the longest of the batch rounded up to padToMultiple (16 unless given).
 *  @throws ConfigError E_BATCH_SHAPE, E_PAD_MULTIPLE, E_END_OF_TEXT */
export function instructionBatches(documents: DocumentSource, encoder: DocumentEncoder, { padToMultiple = 16, ...options }: InstructionOptions & RowBatchesOptions): RowBatches {
  return new RowBatches(instructionRows(documents, encoder, options), { ...options, padToMultiple });
}

function answerSequences(encoder: DocumentEncoder, render: Render, appendEndOfText: boolean): ToSequence {
  const endOfText = appendEndOfText ? checkEndOfText(encoder) : -1;
  return ({ record, domain }) => {
    const rendered = renderOrCode(render, record);
    if (typeof rendered === "string") return { dropped: rendered };
    const pieces = rendered.map(({ text, isAnswer, isSpecial = false }) => ({ ids: encoder.encode(text, { allowedSpecial: isSpecial ? "all" : "none" }), isAnswer }));
    const last = pieces.at(-1);
    if (appendEndOfText && last) pieces[pieces.length - 1] = { ...last, ids: appendId(last.ids, endOfText) };
    const ids = new Int32Array(pieces.reduce((sum, piece) => sum + piece.ids.length, 0));
    const isAnswer = new Uint8Array(ids.length);
    let start = 0;
    for (const piece of pieces) {
      ids.set(piece.ids, start);
      if (piece.isAnswer) isAnswer.fill(1, start, start + piece.ids.length);
      start += piece.ids.length;
    }
    return { ids, isAnswer, domain };
  };
}

function renderOrCode(render: Render, record: Readonly<Record<string, unknown>>): readonly RenderedPiece[] | string {
  try {
    return render(record) ?? "not-rendered";
  } catch (error) {
    if (error instanceof DataError) return error.code;
    throw error;
  }
}
