import type { ErrorReport } from "../toolkit/errors.ts";
import type { FinishReason } from "./schemas.ts";

/** What is decoded for one request. */
export interface DecodeJob {
  readonly prompt: string;
  readonly maxTokens: number;
  readonly temperature: number;
  /** 0 for no limit */
  readonly topK: number;
  /** 0 < topP ≤ 1 */
  readonly topP: number;
  readonly seed: number;
  /** Texts that end the completion; they aren't part of it. */
  readonly stop: readonly string[];
  /** Report the experts that ran for each token. */
  readonly wantsExpertIds: boolean;
}

/** From the HTTP thread to the decode thread. */
export type DecodeCommand =
  | { readonly kind: "submit"; readonly id: number; readonly job: DecodeJob }
  | { readonly kind: "cancel"; readonly id: number }
  | { readonly kind: "countExperts"; readonly requestId: number };

/** What happened to one sequence. "finished" and "failed" are its last. */
export type DecodeEvent =
  | { readonly kind: "started"; readonly id: number; readonly promptTokens: number }
  | { readonly kind: "token"; readonly id: number; readonly tokenId: number; readonly text: string; readonly expertIds?: readonly (readonly number[])[] }
  | { readonly kind: "finished"; readonly id: number; readonly reason: FinishReason; readonly text: string }
  | { readonly kind: "failed"; readonly id: number; readonly error: FailureReport };

/** An error on its way between threads. */
export interface FailureReport extends Omit<ErrorReport, "cause"> {
  readonly status: number;
  readonly param?: string;
}

/** What the HTTP side knows of the served model. */
export interface ServedModel {
  /** As the bundle calls it. */
  readonly name: string;
  readonly contextLength: number;
  readonly vocabSize: number;
  readonly numLayers: number;
  readonly numExperts: number;
  readonly expertsPerToken: number;
  /** When the bundle was written, Unix time in s. */
  readonly createdSeconds: number;
  /** The backend that decodes, e.g. "native". */
  readonly backend: string;
}

/** From the decode thread to the HTTP thread. */
export type DecodeReport =
  | { readonly kind: "ready"; readonly model: ServedModel }
  | { readonly kind: "unloadable"; readonly error: Omit<ErrorReport, "cause"> }
  /** One turn over all active sequences; fedTokens counts prompt and generated tokens that went through the model. */
  | { readonly kind: "iteration"; readonly fedTokens: number; readonly events: readonly DecodeEvent[] }
  /** Tokens that each expert got since the thread started, [layer][expert]. */
  | { readonly kind: "expertCounts"; readonly requestId: number; readonly counts: readonly Float64Array[] };
