// Entry of the decode thread: the only file of serve/ that loads models.
import { parentPort, workerData } from "node:worker_threads";
import { chooseBackend } from "../toolkit/backend/choose.ts";
import { MoeLabError } from "../toolkit/errors.ts";
import { readBundle, type Bundle } from "../toolkit/export/bundle.ts";
import { sampleToken } from "../toolkit/generate/sampler.ts";
import { openSession } from "../toolkit/generate/session.ts";
import { RandomSource } from "../toolkit/random.ts";
import { DecodeLoop, type DecodeModel } from "./decodeLoop.ts";
import type { DecodeCommand, DecodeReport, ServedModel } from "./decodeMessages.ts";
import type { DecodeWorkerData } from "./workerDecoder.ts";

if (parentPort === null) throw new Error("decodeWorker.js is started by WorkerDecoder as a worker thread");
const port = parentPort;
const report = (message: DecodeReport): void => port.postMessage(message);

try {
  const { bundleDir, maxActive, prefillChunkTokens } = workerData as DecodeWorkerData;
  const backend = await chooseBackend();
  const bundle = readBundle(bundleDir);
  const loop = new DecodeLoop(decodeModel(bundle), { maxActive, prefillChunkTokens }, report);
  port.on("message", (command: DecodeCommand) => loop.receive(command));
  report({ kind: "ready", model: servedModel(bundle, backend.name) });
} catch (error) {
  // Any other error ends the thread as uncaught, and the HTTP side hears of it.
  if (!(error instanceof MoeLabError)) throw error;
  report({ kind: "unloadable", error: error.toJSON() });
}

function decodeModel({ config, model, tokenizer }: Bundle): DecodeModel {
  return {
    contextLength: config.contextLength,
    endOfText: tokenizer.endOfText,
    openSession: () => openSession(model),
    encode: (text) => tokenizer.encode(text),
    decodeStream: () => tokenizer.decodeStream(),
    // A model may have more rows than its tokenizer has tokens, for a rounder matrix: those are never drawn.
    sample: (logits, settings, random) => sampleToken(logits.subarray(0, tokenizer.vocabSize), settings, random),
    random: (seed) => {
      const source = new RandomSource(seed);
      return () => source.next();
    },
  };
}

function servedModel({ config, manifest }: Bundle, backend: string): ServedModel {
  const { contextLength, vocabSize, numLayers, moe: { numExperts, expertsPerToken } } = config;
  return {
    name: manifest.name, createdSeconds: Math.floor(Date.parse(manifest.created) / 1000),
    contextLength, vocabSize, numLayers, numExperts, expertsPerToken, backend,
  };
}
