import { createHash } from "node:crypto";
import { ConfigError, DataError } from "../errors.ts";
import { RandomSource } from "../random.ts";
import { cursorFields, refuseCursor, type BatchSource, type JsonValue } from "./batchSource.ts";

/** B rows of T tokens and what follows each of them, row after row. The optional parts are left out where they
 *  would say nothing: every target counts, no padding, a document a row. */
export interface Batch {
  /** [B·T] int32 */
  readonly inputs: Int32Array;
  /** [B·T] int32; targets[i] is the token after inputs[i] */
  readonly targets: Int32Array;
  readonly batchSize: number;
  readonly contextLength: number;
  /** [B·T] float32, 1 for a target that counts in the loss, else 0 */
  readonly lossMask?: Float32Array;
  /** [B·T] float32, 0 for padding, which counts neither in losses nor in routing statistics; else 1 */
  readonly tokenMask?: Float32Array;
  /** [B·T] int32, the place 0 to T − 1 in its row at which the token's document begins; attention must not look before it */
  readonly documentStart?: Int32Array;
  /** [B] int32, the source of each row in a mixture; −1 for a row that holds several */
  readonly domains?: Int32Array;
  /** [B] int32, the task of each row in a mixture of tasks */
  readonly tasks?: Int32Array;
}

/** A batch whose last rows may be padding. */
export interface MaskedBatch extends Batch {
  /** [B·T] float32, 1 for a target that counts, 0 for padding */
  readonly lossMask: Float32Array;
}

export interface BatchShape {
  /** B */
  readonly batchSize: number;
  /** T */
  readonly contextLength: number;
}

export interface TokenBatchesOptions extends BatchShape {
  readonly seed: number;
}

/** The place in the data at which training stands; plain JSON. */
export type DataCursor = {
  readonly seed: number;
  readonly contextLength: number;
  /** Number of token ids, to notice other data. */
  readonly tokens: number;
  /** SHA-256 of the token ids, to notice other data of the same length. */
  readonly sha256: string;
  /** Epochs that are through. */
  readonly epoch: number;
  /** Windows of this epoch that are through. */
  readonly index: number;
};

/** Endless training batches of shuffled windows of T tokens. Each epoch cuts the tokens into windows that follow
 *  each other without overlap, from a random start below T, and gives each window once; a batch may hold windows
 *  of two epochs. The order depends on the seed, the epoch and the number of tokens only. */
export class TokenBatches implements BatchSource {
  private readonly ids: Int32Array;
  private readonly options: TokenBatchesOptions;
  private epoch = 0;
  private index = 0;
  /** Where each window of this epoch starts, in the order they are given. */
  private windowStarts: Uint32Array;
  // Of the first cursor: a run without checkpoints needs none.
  private sha256: string | undefined;

  /** @param ids [tokens] int32, at least T + 1; kept, not copied
   *  @throws ConfigError E_BATCH_SHAPE, E_SEED
   *  @throws DataError E_TOO_FEW_TOKENS */
  constructor(ids: Int32Array, options: TokenBatchesOptions) {
    checkBatchShape(options);
    if (ids.length <= options.contextLength) throw tooFewTokens(ids.length, options.contextLength + 1);
    this.ids = ids;
    this.options = options;
    this.windowStarts = this.shuffleWindows();
  }

  next(): Batch {
    const { batchSize, contextLength } = this.options;
    const inputs = new Int32Array(batchSize * contextLength);
    const targets = new Int32Array(batchSize * contextLength);
    for (let row = 0; row < batchSize; row++) {
      const start = this.nextWindow();
      inputs.set(this.ids.subarray(start, start + contextLength), row * contextLength);
      targets.set(this.ids.subarray(start + 1, start + contextLength + 1), row * contextLength);
    }
    return { inputs, targets, batchSize, contextLength };
  }

  cursor(): DataCursor {
    const { seed, contextLength } = this.options;
    this.sha256 ??= createHash("sha256").update(new Uint8Array(this.ids.buffer, this.ids.byteOffset, this.ids.byteLength)).digest("hex");
    return { seed, contextLength, tokens: this.ids.length, sha256: this.sha256, epoch: this.epoch, index: this.index };
  }

  /** Goes on exactly where the cursor was taken; the batch size may be another.
   *  @throws DataError E_DATA_CURSOR when it belongs to other data, another seed or contextLength */
  restore(cursor: JsonValue): void {
    const own = this.cursor();
    const fields = cursorFields(cursor);
    for (const name of ["seed", "contextLength", "tokens", "sha256"] as const) {
      if (fields[name] !== own[name]) refuseCursor(`${name} is ${JSON.stringify(fields[name])} in the cursor and ${own[name]} here`);
    }
    const { epoch, index } = fields;
    if (!isCount(epoch) || !isCount(index)) return refuseCursor(`the cursor stands at window ${JSON.stringify(index)} of epoch ${JSON.stringify(epoch)}`);
    const windowStarts = this.shuffleWindows(epoch);
    if (index > windowStarts.length) refuseCursor(`the cursor stands at window ${index} of ${windowStarts.length}`);
    this.epoch = epoch;
    this.index = index;
    this.windowStarts = windowStarts;
  }

  private nextWindow(): number {
    if (this.index === this.windowStarts.length) {
      this.epoch += 1;
      this.index = 0;
      this.windowStarts = this.shuffleWindows();
    }
    return this.windowStarts[this.index++];
  }

  private shuffleWindows(epoch = this.epoch): Uint32Array {
    const { seed, contextLength } = this.options;
    const random = new RandomSource(seed, epoch);
    const inputTokens = this.ids.length - 1;
    // With other starts each epoch the model sees each token at other places of its context.
    const phase = random.nextInt(Math.min(contextLength, inputTokens - contextLength + 1));
    const windows = Math.floor((inputTokens - phase) / contextLength);
    return random.permutation(windows).map((window) => phase + window * contextLength);
  }
}

/** Batches for evaluation: windows in text order, each target ids[1..] once; padding at the end has lossMask 0.
 *  @param ids [tokens] int32, at least 2
 *  @throws ConfigError E_BATCH_SHAPE
 *  @throws DataError E_TOO_FEW_TOKENS */
export function* sequentialBatches(ids: Int32Array, { batchSize, contextLength }: BatchShape): Generator<MaskedBatch> {
  checkBatchShape({ batchSize, contextLength });
  if (ids.length < 2) throw tooFewTokens(ids.length, 2);
  // Windows follow each other without gaps, so a batch is one stretch of the text.
  const size = batchSize * contextLength;
  for (let start = 0; start < ids.length - 1; start += size) {
    const count = Math.min(size, ids.length - 1 - start);
    const inputs = new Int32Array(size);
    const targets = new Int32Array(size);
    inputs.set(ids.subarray(start, start + count));
    targets.set(ids.subarray(start + 1, start + count + 1));
    yield { inputs, targets, lossMask: new Float32Array(size).fill(1, 0, count), batchSize, contextLength };
  }
}

/** @throws ConfigError E_BATCH_SHAPE */
export function checkBatchShape(shape: BatchShape): void {
  for (const name of ["batchSize", "contextLength"] as const) {
    if (Number.isInteger(shape[name]) && shape[name] >= 1) continue;
    throw new ConfigError({ code: "E_BATCH_SHAPE", what: `${name} is ${shape[name]}`, why: "a batch has at least one row of one token", fix: `set ${name} to an integer from 1` });
  }
}

function tooFewTokens(tokens: number, needed: number): DataError {
  return new DataError({ code: "E_TOO_FEW_TOKENS",
    what: `the data has ${tokens} tokens`,
    why: `at least ${needed} are needed: a window and the token after it`,
    fix: "take more text or a smaller contextLength" });
}

function isCount(value: JsonValue | undefined): value is number {
  return typeof value === "number" && Number.isSafeInteger(value) && value >= 0;
}
