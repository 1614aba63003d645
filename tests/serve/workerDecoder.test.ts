import { rmSync } from "node:fs";
import { pathToFileURL } from "node:url";
import { afterAll, beforeAll, expect, test } from "vitest";
import type * as compiled from "../../serve/workerDecoder.ts";
import type { DecodeEvent, DecodeJob } from "../../serve/decodeMessages.ts";
import { compiledEntry } from "../../toolkit/export/packageRoot.ts";
import { writeTinyBundle } from "./tinyBundle.ts";

// A worker thread runs compiled code, so the class that starts it comes from dist/ too.
const { WorkerDecoder } = await import(pathToFileURL(compiledEntry("serve/workerDecoder.js")).href) as typeof compiled;
type WorkerDecoder = InstanceType<typeof WorkerDecoder>;

let bundleDir = "";
let folder = "";
beforeAll(async () => { ({ bundleDir, folder } = await writeTinyBundle()); });
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const job: DecodeJob = { prompt: "true places", maxTokens: 5, temperature: 0, topK: 0, topP: 1, seed: 0, stop: [], wantsExpertIds: false };

async function decodeOne(decoder: WorkerDecoder, id: number): Promise<DecodeEvent[]> {
  const events: DecodeEvent[] = [];
  await new Promise<void>((resolve, reject) => {
    decoder.listen({
      iteration: (report) => {
        events.push(...report.events);
        if (report.events.some(({ kind }) => kind === "finished" || kind === "failed")) resolve();
      },
      lost: reject,
    });
    decoder.post({ kind: "submit", id, job });
  });
  return events;
}

test("a decode thread that breaks tells so, is started anew and decodes the same", async () => {
  const decoder = new WorkerDecoder({ bundleDir, maxActive: 2, prefillChunkTokens: 16 });
  await decoder.load();
  expect(decoder.model).toMatchObject({ name: "tiny", contextLength: 512 });
  const before = await decodeOne(decoder, 1);
  expect(before.map(({ kind }) => kind)).toEqual(["started", "token", "token", "token", "token", "token", "finished"]);

  const lost = new Promise<Error>((resolve) => decoder.listen({ iteration: () => undefined, lost: resolve }));
  decoder.post(undefined as never); // reading a command's kind throws in the thread
  expect(await lost).toMatchObject({ name: "ServerError", code: "E_DECODER_LOST" });
  expect(decoder.model).toBeUndefined();
  expect(await decoder.countExperts()).toBeUndefined();

  await expect.poll(() => decoder.model?.name, { timeout: 20_000 }).toBe("tiny");
  const again = await decodeOne(decoder, 1);
  expect(again).toEqual(before);
  await decoder.close();
});

test("a bundle that isn't there ends loading with its typed error, and no thread is started anew", async () => {
  const decoder = new WorkerDecoder({ bundleDir: `${bundleDir}-missing`, maxActive: 1, prefillChunkTokens: 16 });
  await expect(decoder.load()).rejects.toMatchObject({ code: "E_FOLDER_CORRUPT" });
  expect(decoder.model).toBeUndefined();
  await decoder.close();
});
