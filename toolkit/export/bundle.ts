import { FileFormatError } from "../errors.ts";
import { transformerConfig, type TransformerConfig } from "../models/config.ts";
import { Transformer } from "../models/transformer.ts";
import { Tokenizer } from "../tokenizer/tokenizer.ts";
import { readSafetensors, writeSafetensors } from "./safetensors.ts";
import { fileOf, readSealedFolder, writeSealedFolder } from "./sealedFolder.ts";
import { assignVariables, readVariables } from "./weights.ts";

export const bundleManifestName = "bundle.json";
/** Raised when a reader of the former layout can't read the new one. */
export const bundleFormat = 1;

/** What bundle.json says beside the checksums. */
export interface BundleManifest {
  readonly format: number;
  /** name under which the server offers the model */
  readonly name: string;
  /** ISO 8601 */
  readonly created: string;
  /** figures of the run, e.g. { validationLossNats: 3.1 } */
  readonly metrics: Readonly<Record<string, number>>;
}

export interface Bundle {
  readonly manifest: BundleManifest;
  readonly config: TransformerConfig;
  readonly model: Transformer;
  readonly tokenizer: Tokenizer;
}

/** Writes a promoted model: bundle.json, config.json, model.safetensors, tokenizer.json; whole or not at all.
 *  @throws FileFormatError E_WRITE_FAILED, E_FOLDER_NOT_OURS, E_BUNDLE_VOCABULARY */
export function writeBundle(path: string, content: { name: string; model: Transformer; tokenizer: Tokenizer; metrics?: Readonly<Record<string, number>> }): BundleManifest {
  const { model, tokenizer, name, metrics = {} } = content;
  if (tokenizer.vocabSize > model.config.vocabSize) {
    throw new FileFormatError({
      code: "E_BUNDLE_VOCABULARY", what: `the tokenizer has ${tokenizer.vocabSize} tokens and the model a vocabSize of ${model.config.vocabSize}`,
      why: "the tokenizer would make ids that the model can't embed", fix: "promote the model with the tokenizer it was trained with",
    });
  }
  const manifest: BundleManifest = { format: bundleFormat, name, created: new Date().toISOString(), metrics };
  writeSealedFolder(path, bundleManifestName, { ...manifest }, new Map<string, Uint8Array | string>([
    ["config.json", `${JSON.stringify(model.config, null, 2)}\n`],
    ["model.safetensors", writeSafetensors(readVariables(model.state()))],
    ["tokenizer.json", JSON.stringify(tokenizer.toJSON())],
  ]));
  return manifest;
}

/** Reads and checks a bundle and builds its model on the current backend.
 *  @throws FileFormatError E_FOLDER_CORRUPT, E_BUNDLE_FORMAT, E_WEIGHTS_MISMATCH; ConfigError when its config can't be */
export function readBundle(path: string): Bundle {
  const folder = readSealedFolder(path, bundleManifestName);
  const manifest = folder.manifest as unknown as BundleManifest;
  if (manifest.format !== bundleFormat) {
    throw new FileFormatError({
      code: "E_BUNDLE_FORMAT", what: `${path} has bundle format ${String(manifest.format)}`,
      why: `this version reads format ${bundleFormat}`, fix: "promote the run again with this version of moe-lab",
    });
  }
  const config = transformerConfig(JSON.parse(fileOf(folder, "config.json", path).toString("utf8")) as TransformerConfig);
  const tokenizer = Tokenizer.fromJSON(JSON.parse(fileOf(folder, "tokenizer.json", path).toString("utf8")));
  const model = new Transformer(config);
  try {
    assignVariables(model.state(), readSafetensors(fileOf(folder, "model.safetensors", path), `${path}/model.safetensors`).arrays, `${path}/model.safetensors`);
  } catch (error) {
    model.dispose();
    throw error;
  }
  return { manifest, config, model, tokenizer };
}
