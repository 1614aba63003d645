import type { MoeLabError } from "../toolkit/errors.ts";
import type { DecodeCommand, DecodeReport, ServedModel } from "./decodeMessages.ts";

/** Who wants to hear of a decoder. */
export interface DecoderListener {
  iteration(report: Extract<DecodeReport, { kind: "iteration" }>): void;
  /** All sequences are gone: the decoder broke, and `model` is undefined until it's back. */
  lost(error: MoeLabError): void;
}

/** Where sequences are decoded: a thread in the server, the same thread in tests. */
export interface Decoder {
  /** What is served; undefined while it loads and after it was lost. */
  readonly model: ServedModel | undefined;
  /** Has exactly one listener, set before the first command. */
  listen(listener: DecoderListener): void;
  post(command: Extract<DecodeCommand, { kind: "submit" | "cancel" }>): void;
  /** Tokens that each expert got since the decoder started, [layer][expert]; undefined if it doesn't answer now. */
  countExperts(): Promise<readonly Float64Array[] | undefined>;
  close(): Promise<void>;
}
