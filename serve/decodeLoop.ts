import { MoeLabError } from "../toolkit/errors.ts";
import type { DecodeSession } from "../toolkit/generate/session.ts";
import type { DecodeStream } from "../toolkit/tokenizer/tokenizer.ts";
import { ApiError } from "./apiErrors.ts";
import type { DecodeCommand, DecodeEvent, DecodeJob, DecodeReport, FailureReport } from "./decodeMessages.ts";
import type { FinishReason } from "./schemas.ts";
import { StopText } from "./stopText.ts";

/** Everything the loop needs of a loaded bundle. This is the seam for tests: a model of a few lines stands in for a
 *  real one (tests/serve/fakeModel.ts). */
export interface DecodeModel {
  readonly contextLength: number;
  /** Ends a text, if the tokenizer has such a token; also what an empty prompt starts from. */
  readonly endOfText: number | undefined;
  openSession(): DecodeSession;
  encode(text: string): Int32Array;
  decodeStream(): DecodeStream;
  sample(logits: Float32Array, settings: { temperature: number; topK: number; topP: number }, random: () => number): number;
  /** @returns the same numbers in [0, 1) for the same seed */
  random(seed: number): () => number;
}

export interface DecodeLoopSettings {
  readonly maxActive: number;
  readonly prefillChunkTokens: number;
}

interface Sequence {
  readonly id: number;
  readonly job: DecodeJob;
  readonly session: DecodeSession;
  readonly random: () => number;
  readonly text: DecodeStream;
  readonly stopText: StopText;
  /** Tokens that still have to go through the model: the rest of the prompt, later the last sampled token. */
  pending: Int32Array;
  /** Most tokens this sequence may generate: maxTokens, or fewer where the context ends. */
  readonly tokenLimit: number;
  generated: number;
}

/** Decodes many sequences in turn on the calling thread: each turn gives every active sequence one chunk of its prompt
 *  or one token. Between turns commands get in, so a cancellation takes effect within one turn, also during prefill.
 *  Continuous batching replaces #turn: the sequences of a turn are the batch. */
export class DecodeLoop {
  private readonly model: DecodeModel;
  private readonly settings: DecodeLoopSettings;
  private readonly report: (report: DecodeReport) => void;
  private readonly active = new Map<number, Sequence>();
  /** Expert counts of sequences that have ended, [layer][expert]. */
  private readonly endedCounts: Float64Array[] = [];
  private isTurning = false;

  constructor(model: DecodeModel, settings: DecodeLoopSettings, report: (report: DecodeReport) => void) {
    this.model = model;
    this.settings = settings;
    this.report = report;
  }

  /** Takes a command; the work it asks for is done in later turns. */
  receive(command: DecodeCommand): void {
    switch (command.kind) {
      case "submit":
        this.start(command.id, command.job);
        break;
      case "cancel": {
        const sequence = this.active.get(command.id);
        if (sequence !== undefined) this.close(sequence);
        break;
      }
      case "countExperts":
        this.report({ kind: "expertCounts", requestId: command.requestId, counts: this.countExperts() });
        break;
    }
  }

  private start(id: number, job: DecodeJob): void {
    try {
      if (this.active.size >= this.settings.maxActive) throw new Error(`more than ${this.settings.maxActive} active sequences`);
      const prompt = this.encodePrompt(job.prompt);
      const { contextLength } = this.model;
      this.active.set(id, {
        id, job, session: this.model.openSession(), random: this.model.random(job.seed),
        text: this.model.decodeStream(), stopText: new StopText(job.stop), pending: prompt,
        // The last generated token is never fed, so one more fits than the context has places left.
        tokenLimit: Math.min(job.maxTokens, contextLength - prompt.length + 1), generated: 0,
      });
      this.report({ kind: "iteration", fedTokens: 0, events: [{ kind: "started", id, promptTokens: prompt.length }] });
      this.keepTurning();
    } catch (error) {
      this.report({ kind: "iteration", fedTokens: 0, events: [{ kind: "failed", id, error: failureReport(error) }] });
    }
  }

  private encodePrompt(text: string): Int32Array {
    const { endOfText, contextLength } = this.model;
    const encoded = this.model.encode(text);
    const prompt = encoded.length === 0 && endOfText !== undefined ? Int32Array.of(endOfText) : encoded;
    if (prompt.length === 0) throw promptEmpty();
    if (prompt.length > contextLength) throw promptTooLong(prompt.length, contextLength);
    return prompt;
  }

  private keepTurning(): void {
    if (this.isTurning || this.active.size === 0) return;
    this.isTurning = true;
    // setImmediate lets the messages that arrived during a turn be handled before the next one.
    setImmediate(() => {
      this.isTurning = false;
      this.turn();
      this.keepTurning();
    });
  }

  private turn(): void {
    const events: DecodeEvent[] = [];
    let fedTokens = 0;
    for (const sequence of [...this.active.values()]) {
      try {
        const ids = sequence.pending.subarray(0, this.settings.prefillChunkTokens);
        const logits = sequence.session.feed(ids);
        fedTokens += ids.length;
        sequence.pending = sequence.pending.subarray(ids.length);
        if (sequence.pending.length === 0) this.sample(sequence, logits, events);
      } catch (error) {
        events.push({ kind: "failed", id: sequence.id, error: failureReport(error) });
        this.close(sequence);
      }
    }
    this.report({ kind: "iteration", fedTokens, events });
  }

  private sample(sequence: Sequence, logits: Float32Array, events: DecodeEvent[]): void {
    const { id, job, session } = sequence;
    const tokenId = this.model.sample(logits, job, sequence.random);
    sequence.generated += 1;
    const experts = job.wantsExpertIds ? { expertIds: session.lastExpertIds.map((ids) => [...ids]) } : {};
    if (tokenId === this.model.endOfText) {
      // The end of the text is a token that was generated but has no text of its own.
      events.push({ kind: "token", id, tokenId, text: "", ...experts });
      this.finish(sequence, "stop", sequence.stopText.push(sequence.text.end()).text + sequence.stopText.end(), events);
      return;
    }
    const { text, isStopped } = sequence.stopText.push(sequence.text.push(tokenId));
    events.push({ kind: "token", id, tokenId, text, ...experts });
    if (isStopped) this.finish(sequence, "stop", "", events);
    else if (sequence.generated >= sequence.tokenLimit) this.finishAtLength(sequence, events);
    else sequence.pending = Int32Array.of(tokenId);
  }

  private finishAtLength(sequence: Sequence, events: DecodeEvent[]): void {
    const last = sequence.stopText.push(sequence.text.end());
    this.finish(sequence, last.isStopped ? "stop" : "length", last.isStopped ? last.text : last.text + sequence.stopText.end(), events);
  }

  private finish(sequence: Sequence, reason: FinishReason, text: string, events: DecodeEvent[]): void {
    events.push({ kind: "finished", id: sequence.id, reason, text });
    this.close(sequence);
  }

  private close(sequence: Sequence): void {
    this.active.delete(sequence.id);
    addCounts(this.endedCounts, sequence.session.expertCounts);
    sequence.session.dispose();
  }

  private countExperts(): Float64Array[] {
    const counts = this.endedCounts.map((layer) => layer.slice());
    for (const { session } of this.active.values()) addCounts(counts, session.expertCounts);
    return counts;
  }
}

function addCounts(sums: Float64Array[], counts: readonly Float64Array[]): void {
  counts.forEach((layerCounts, layer) => {
    const sum = (sums[layer] ??= new Float64Array(layerCounts.length));
    layerCounts.forEach((tokens, expert) => { sum[expert] = (sum[expert] ?? 0) + tokens; });
  });
}

function promptEmpty(): ApiError {
  return new ApiError({
    code: "E_PROMPT_EMPTY", status: 400, param: "prompt", what: "the prompt has no tokens",
    why: "the model predicts from at least one token, and its tokenizer has no <|endoftext|> to start from", fix: "send a prompt that isn't empty",
  });
}

function promptTooLong(promptTokens: number, contextLength: number): ApiError {
  return new ApiError({
    code: "E_PROMPT_TOO_LONG", status: 400, param: "prompt", what: `the prompt has ${promptTokens} tokens`,
    why: `the model's context holds ${contextLength} tokens`, fix: "shorten the prompt, or serve a model with a longer contextLength",
  });
}

function failureReport(error: unknown): FailureReport {
  if (error instanceof ApiError) return { ...error.toJSON(), status: error.status, ...(error.param === null ? {} : { param: error.param }) };
  if (error instanceof MoeLabError) return { ...error.toJSON(), status: 500 };
  return {
    code: "E_DECODE_FAILED", status: 500, what: "decoding this request failed",
    why: error instanceof Error ? error.message : "something that is no error was thrown",
    fix: "try again; if it stays, check the bundle with moe-lab generate",
  };
}
