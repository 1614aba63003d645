import { opendirSync, statSync } from "node:fs";
import type { Dirent } from "node:fs";
import { join } from "node:path";
import { systemErrorCode } from "../errors.ts";

/** Entries of a folder that are looked at. */
const MAX_SCANNED = 20_000;

/** A file or folder beside others. */
export interface Listed { readonly name: string; readonly isFolder: boolean }

/** The entries of a folder, by name, hidden ones left out unless asked for; none when it can't be read. */
export function list(folder: string, withHidden = false): Listed[] {
  const found: Listed[] = [];
  try {
    const directory = opendirSync(folder);
    try {
      for (let seen = 0; seen < MAX_SCANNED; seen++) {
        const entry = directory.readSync();
        if (entry === null) break;
        if (withHidden || !entry.name.startsWith(".")) found.push({ name: entry.name, isFolder: isFolder(folder, entry) });
      }
    } finally {
      directory.closeSync();
    }
  } catch (error) {
    // Missing, no folder, or not ours to read: nothing to offer.
    if (systemErrorCode(error) === undefined) throw error;
  }
  return found.sort((a, b) => (a.name < b.name ? -1 : 1));
}

function isFolder(folder: string, entry: Dirent): boolean {
  if (!entry.isSymbolicLink()) return entry.isDirectory();
  try {
    return statSync(join(folder, entry.name)).isDirectory();
  } catch (error) {
    if (systemErrorCode(error) === undefined) throw error;
    // The link leads nowhere.
    return false;
  }
}
