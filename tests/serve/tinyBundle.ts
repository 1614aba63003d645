import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { chooseBackend } from "../../toolkit/backend/choose.ts";
import { writeBundle } from "../../toolkit/export/bundle.ts";
import { transformerConfig } from "../../toolkit/models/config.ts";
import { Transformer } from "../../toolkit/models/transformer.ts";
import { trainTokenizer } from "../../toolkit/tokenizer/train.ts";

export const tinyLayers = 2;
export const tinyExperts = 4;
export const tinyExpertsPerToken = 2;

/** Writes a bundle of a small model with random weights.
 *  @param unusedRows rows of the model's vocabulary that its tokenizer has no token for
 *  @returns its folder, and a new temporary folder that holds it */
export async function writeTinyBundle(unusedRows = 0): Promise<{ bundleDir: string; folder: string }> {
  await chooseBackend();
  const tokenizer = trainTokenizer("It is not down in any map; true places never are. ".repeat(20), { vocabSize: 300 });
  const model = new Transformer(transformerConfig({
    vocabSize: tokenizer.vocabSize + unusedRows, numLayers: tinyLayers, width: 32, numHeads: 4, contextLength: 512,
    moe: { numExperts: tinyExperts, expertsPerToken: tinyExpertsPerToken, expertWidth: 32 },
  }));
  const folder = mkdtempSync(join(tmpdir(), "moe-lab-test-"));
  const bundleDir = join(folder, "bundle");
  writeBundle(bundleDir, { name: "tiny", model, tokenizer, metrics: { validationLossNats: 5.5 } });
  model.dispose();
  return { bundleDir, folder };
}
