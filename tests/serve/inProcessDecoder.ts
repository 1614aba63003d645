import { ServerError } from "../../toolkit/errors.ts";
import { DecodeLoop, type DecodeModel } from "../../serve/decodeLoop.ts";
import type { DecodeReport, ServedModel } from "../../serve/decodeMessages.ts";
import type { Decoder, DecoderListener } from "../../serve/decoder.ts";
import { fakeExperts, fakeLayers } from "./fakeModel.ts";

/** Runs the real decode loop on the thread of the test, so that a test says which model it decodes. */
export class InProcessDecoder implements Decoder {
  model: ServedModel | undefined;
  private readonly loop: DecodeLoop;
  private listener: DecoderListener | undefined;
  private counts: readonly Float64Array[] = [];

  constructor(model: DecodeModel, maxActive: number) {
    this.model = {
      name: "alphabet", contextLength: model.contextLength, vocabSize: 257, numLayers: fakeLayers, numExperts: fakeExperts,
      expertsPerToken: 2, createdSeconds: 1_700_000_000, backend: "fake",
    };
    this.loop = new DecodeLoop(model, { maxActive, prefillChunkTokens: 4 }, (report) => this.receive(report));
  }

  listen(listener: DecoderListener): void { this.listener = listener; }

  post(command: Parameters<Decoder["post"]>[0]): void {
    // Messages between threads never arrive during the call that sent them.
    setImmediate(() => this.loop.receive(command));
  }

  async countExperts(): Promise<readonly Float64Array[]> {
    this.loop.receive({ kind: "countExperts", requestId: 0 });
    return await Promise.resolve(this.counts);
  }

  async close(): Promise<void> { await Promise.resolve(); }

  /** What WorkerDecoder does when its thread ends. */
  break(): void {
    this.model = undefined;
    this.listener?.lost(new ServerError({ code: "E_DECODER_LOST", what: "lost", why: "the test broke it", fix: "none" }));
  }

  private receive(report: DecodeReport): void {
    if (report.kind === "iteration") this.listener?.iteration(report);
    if (report.kind === "expertCounts") this.counts = report.counts;
  }
}
