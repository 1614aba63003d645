import { ConfigError, DataError } from "../../errors.ts";
import { checkBatchShape, type Batch, type BatchShape } from "../batches.ts";
import { cursorFields, refuseCursor, type BatchSource, type JsonValue } from "../batchSource.ts";
import type { SequenceCounts, TokenSequence } from "./sequences.ts";

/** One row of a batch before it is padded: n tokens, n ≤ T, and what follows each of them. */
export interface Row {
  /** [n] int32 */
  readonly inputs: Int32Array;
  /** [n] int32 */
  readonly targets: Int32Array;
  /** [n] float32, 1 for a target that counts in the loss */
  readonly lossMask: Float32Array;
  /** [n] int32, where in the row the document of each token begins */
  readonly documentStart: Int32Array;
  /** the source of its documents; −1 when there are several */
  readonly domain: number;
  /** the task in a mixture of tasks */
  readonly task?: number;
}

/** A stream of rows that can go on where it stood. */
export interface RowSource {
  /** @returns undefined when the data is used up */
  next(): Promise<Row | undefined>;
  cursor(): JsonValue;
  /** @throws DataError E_DATA_CURSOR */
  restore(cursor: JsonValue): Promise<void>;
  report(): SequenceCounts;
  close(): Promise<void>;
}

/** A part of a row: the tokens from `from` to `to` of a sequence as inputs, and those after each as targets. */
export interface RowPart {
  readonly sequence: TokenSequence;
  readonly from: number;
  readonly to: number;
}

/** Sets parts side by side in a row. A part's last target may be the first token of the next part, which doesn't count
 *  in the loss: what another document begins with can't be told from this one. */
export function rowOf(parts: readonly RowPart[], nextId: number): Row {
  const length = parts.reduce((sum, { from, to }) => sum + to - from, 0);
  const row = { inputs: new Int32Array(length), targets: new Int32Array(length), lossMask: new Float32Array(length), documentStart: new Int32Array(length), domain: parts[0]?.sequence.domain ?? 0 };
  let start = 0;
  for (const [i, { sequence: { ids, isAnswer, domain }, from, to }] of parts.entries()) {
    const following = parts[i + 1];
    for (let t = from; t < to; t++) {
      const at = start + t - from;
      const isLast = t + 1 === ids.length;
      row.inputs[at] = ids[t];
      row.targets[at] = !isLast ? ids[t + 1] : following ? following.sequence.ids[following.from] : nextId;
      row.lossMask[at] = isLast || (isAnswer && isAnswer[t + 1] === 0) ? 0 : 1;
      row.documentStart[at] = start;
    }
    if (domain !== row.domain) row.domain = -1;
    start += to - from;
  }
  return row;
}

export interface RowBatchesOptions extends BatchShape {
  /** rows are padded to the longest of the batch, rounded up to a multiple of this and at most to contextLength;
   *  contextLength unless given */
  readonly padToMultiple?: number;
}

/** Batches of rows. Shorter rows are padded with token 0, which no mask counts, as documents of their own. The last
 *  batch of data that ends has fewer rows. */
export class RowBatches implements BatchSource {
  private readonly rows: RowSource;
  private readonly options: RowBatchesOptions;

  /** @throws ConfigError E_BATCH_SHAPE, E_PAD_MULTIPLE */
  constructor(rows: RowSource, options: RowBatchesOptions) {
    checkBatchShape(options);
    const { padToMultiple = options.contextLength } = options;
    if (!Number.isInteger(padToMultiple) || padToMultiple < 1) {
      throw new ConfigError({ code: "E_PAD_MULTIPLE", what: `padToMultiple is ${padToMultiple}`, why: "rows are rounded up to a multiple of it", fix: "set it to an integer from 1, e.g. 16" });
    }
    this.rows = rows;
    this.options = { ...options, padToMultiple };
  }

  async next(): Promise<Batch> {
    const batch = await this.nextOrEnd();
    if (batch) return batch;
    throw new DataError({ code: "E_DATA_ENDED", what: "the data is used up", why: "training asks for another batch", fix: 'set epochs: "endless" in the settings of the data, or train for fewer steps' });
  }

  /** @returns undefined when the data is used up */
  async nextOrEnd(): Promise<Batch | undefined> {
    const rows: Row[] = [];
    while (rows.length < this.options.batchSize) {
      const row = await this.rows.next();
      if (!row) break;
      rows.push(row);
    }
    return rows.length === 0 ? undefined : this.batchOf(rows);
  }

  /** The batches that are left, as an iteration. */
  async *[Symbol.asyncIterator](): AsyncGenerator<Batch> {
    for (let batch = await this.nextOrEnd(); batch; batch = await this.nextOrEnd()) yield batch;
  }

  cursor(): JsonValue {
    return { contextLength: this.options.contextLength, rows: this.rows.cursor() };
  }

  /** The batch size and padToMultiple may be others than when the cursor was taken. */
  async restore(cursor: JsonValue): Promise<void> {
    const { contextLength, rows } = cursorFields(cursor);
    if (contextLength !== this.options.contextLength) refuseCursor(`contextLength is ${JSON.stringify(contextLength)} in the cursor and ${this.options.contextLength} here`);
    await this.rows.restore(rows);
  }

  report(): SequenceCounts {
    return this.rows.report();
  }

  close(): Promise<void> {
    return this.rows.close();
  }

  private batchOf(rows: readonly Row[]): Batch {
    const { contextLength: most, padToMultiple = most } = this.options;
    const longest = Math.max(...rows.map(({ inputs }) => inputs.length));
    const contextLength = Math.min(most, Math.ceil(longest / padToMultiple) * padToMultiple);
    const size = rows.length * contextLength;
    const [inputs, targets, documentStart] = [new Int32Array(size), new Int32Array(size), new Int32Array(size)];
    const [lossMask, tokenMask] = [new Float32Array(size), new Float32Array(size)];
    for (const [i, row] of rows.entries()) {
      const [start, n] = [i * contextLength, row.inputs.length];
      inputs.set(row.inputs, start);
      targets.set(row.targets, start);
      lossMask.set(row.lossMask, start);
      tokenMask.fill(1, start, start + n);
      documentStart.set(row.documentStart, start);
      documentStart.fill(n, start + n, start + contextLength);
    }
    return {
      inputs, targets, batchSize: rows.length, contextLength, lossMask, domains: Int32Array.from(rows, ({ domain }) => domain),
      ...(tokenMask.includes(0) && { tokenMask }),
      ...(rows.some((row) => row.documentStart.some((start) => start !== 0)) && { documentStart }),
      ...(rows.some(({ task }) => task !== undefined) && { tasks: Int32Array.from(rows, ({ task = -1 }) => task) }),
    };
  }
}
