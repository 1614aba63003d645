import { execFile } from "node:child_process";
import { randomBytes } from "node:crypto";
import { cp, mkdir, readdir, rename, rm } from "node:fs/promises";
import { join, relative } from "node:path";
import { promisify } from "node:util";
import { FileFormatError, ServerError } from "../errors.ts";
import { bundleManifestName, writeBundle } from "./bundle.ts";
import { compiledEntry, packageRoot } from "./packageRoot.ts";
import { readSealedFolder, writeFileWhole } from "./sealedFolder.ts";

/** What is promoted: a bundle that is there, or what writeBundle makes one of. */
export type PromoteSource = { readonly bundleDir: string } | Parameters<typeof writeBundle>[1];

/** A folder that `docker build` turns into the image of a server. */
export interface PromotedFolder {
  readonly path: string;
  /** The bundle inside it, which a server can also load directly. */
  readonly bundleDir: string;
  /** Every file, by its path below the folder, sorted. */
  readonly files: readonly string[];
}

/** Tells a promoted folder from one of the user's own. */
const markerName = "promoted.json";

/** Writes everything that a service needs into one folder: the bundle, the package as moe-lab.tgz, Dockerfile,
 *  compose.yaml, and the settings of Prometheus and Grafana. Whole or not at all; a folder promoted before is replaced.
 *  @throws FileFormatError E_FOLDER_NOT_OURS, E_FOLDER_CORRUPT, E_WRITE_FAILED; ServerError E_NOT_BUILT, E_NPM_PACK */
export async function promote(source: PromoteSource, outDir: string): Promise<PromotedFolder> {
  compiledEntry("serve/main.js");
  await checkReplaceable(outDir);
  const fresh = `${outDir}.${randomBytes(4).toString("hex")}.new`;
  try {
    await mkdir(fresh, { recursive: true });
    await cp(join(packageRoot, "deployment", "files"), fresh, { recursive: true });
    const name = await placeBundle(source, join(fresh, "bundle"));
    const version = await packPackage(fresh);
    writeFileWhole(join(fresh, markerName), `${JSON.stringify({ promotedBy: "moe-lab", version, name, created: new Date().toISOString() }, null, 2)}\n`);
    await replaceFolder(fresh, outDir);
  } finally {
    await rm(fresh, { recursive: true, force: true });
  }
  const entries = await readdir(outDir, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile()).map((entry) => relative(outDir, join(entry.parentPath, entry.name)));
  return { path: outDir, bundleDir: join(outDir, "bundle"), files: files.sort() };
}

async function checkReplaceable(outDir: string): Promise<void> {
  const names = await namesIn(outDir);
  if (names === undefined || names.length === 0 || names.includes(markerName)) return;
  throw new FileFormatError({
    code: "E_FOLDER_NOT_OURS", what: `${outDir} exists and wasn't written by promote`, why: "it holds something else, which would be lost",
    fix: "choose another folder or empty this one",
  });
}

/** @returns undefined where there is no such folder */
async function namesIn(folder: string): Promise<string[] | undefined> {
  try {
    return await readdir(folder);
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return undefined;
    throw error;
  }
}

/** @returns the model's name */
async function placeBundle(source: PromoteSource, path: string): Promise<string> {
  if (!("bundleDir" in source)) return writeBundle(path, source).name;
  // A damaged bundle is noticed here and not when the container starts.
  const { manifest } = readSealedFolder(source.bundleDir, bundleManifestName);
  await cp(source.bundleDir, path, { recursive: true });
  return String(manifest["name"]);
}

/** Packs this very package, so that the image serves with the code that promoted.
 *  @returns its version */
async function packPackage(folder: string): Promise<string> {
  const isWindows = process.platform === "win32";
  const args = ["pack", "--ignore-scripts", "--json", "--loglevel=error", "--pack-destination", folder];
  let answer: string;
  try {
    ({ stdout: answer } = await promisify(execFile)(isWindows ? "npm.cmd" : "npm", args, { cwd: packageRoot, shell: isWindows, maxBuffer: 64 * 1024 * 1024 }));
  } catch (error) {
    throw new ServerError({
      code: "E_NPM_PACK", what: "npm couldn't pack moe-lab", why: error instanceof Error ? error.message : "npm failed",
      fix: "check that npm runs here (npm --version); it comes with Node.js", cause: error,
    });
  }
  const [packed] = JSON.parse(answer) as { filename: string; version: string }[];
  if (packed === undefined) throw new Error("npm pack named no file");
  await rename(join(folder, packed.filename), join(folder, "moe-lab.tgz"));
  return packed.version;
}

async function replaceFolder(fresh: string, outDir: string): Promise<void> {
  const old = `${fresh}.old`;
  const wasThere = (await namesIn(outDir)) !== undefined;
  if (wasThere) await rename(outDir, old);
  try {
    await rename(fresh, outDir);
  } catch (error) {
    if (wasThere) await rename(old, outDir);
    throw error;
  }
  await rm(old, { recursive: true, force: true });
}
