import { readdirSync, readFileSync } from "node:fs";
import { join, sep } from "node:path";
import { textDataset, type TextDataset } from "../dataset.ts";
import { changed, packageFolder, type SearchOptions } from "../npmPackage.ts";

const files = { packageName: "@tensorflow/tfjs-core", release: "4.22.0", use: "its TypeScript sources are read from its source maps" };
const SHA256 = "18efed6d9bc5b1a0aea027426bb0795745fc12f8ffbd213529908e3aa79a1243";
/** Tests repeat themselves, and miniprogram is the whole library once more. */
const LEFT_OUT = /(?:_test|(?:^|\/)version|tf-core\S*)\.js$|^miniprogram\/|^scripts\/|^tests\.js$/;
const INLINE_MAP = /\n\/\/# sourceMappingURL=data:application\/json;base64,([\w+/=]+)\s*$/;
const LICENCE_HEADER = /^\s*\/\*\*\s+\* @license[^]*?\*\/\s*/;

/** The TypeScript sources of TensorFlow.js core 4.22.0, each file a document that begins with its path. See CARD.md.
 *  @throws DataError E_DATASET_MISSING, E_DATASET_CHANGED */
export function loadTfjsSource(options: SearchOptions = {}): TextDataset {
  const folder = join(packageFolder(files, options), "dist");
  const names = readdirSync(folder, { recursive: true, encoding: "utf8" }).map((name) => name.split(sep).join("/"))
    .filter((name) => name.endsWith(".js") && !LEFT_OUT.test(name)).sort();
  const documents = names.flatMap((name) => sourceOf(readFileSync(join(folder, name), "utf8"), name));
  const dataset = textDataset(documents, { name: "tfjsSource", licence: "Apache-2.0", source: `TensorFlow.js core, Google LLC; npm ${files.packageName} ${files.release}, sources in the source maps of dist/` });
  if (dataset.sha256 !== SHA256) throw changed(files, `the sources in ${files.packageName} have the SHA-256 ${dataset.sha256}`, `results are stated for the sources with ${SHA256}, which release ${files.release} has`);
  return dataset;
}

/** The TypeScript source that a compiled file holds in its source map, without the licence header; [] when it has none. */
function sourceOf(compiled: string, name: string): string[] {
  const map = INLINE_MAP.exec(compiled)?.[1];
  if (map === undefined) return [];
  const { sourcesContent } = JSON.parse(Buffer.from(map, "base64").toString("utf8")) as { sourcesContent?: readonly string[] };
  const source = sourcesContent?.[0]?.replace(LICENCE_HEADER, "").trim();
  return source === undefined || source === "" ? [] : [`// ${name.replace(/\.js$/, ".ts")}\n${source}\n\n`];
}
