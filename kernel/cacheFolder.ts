import { homedir } from "node:os";
import { join } from "node:path";

/** The user's folder for what the kernel can make anew at any time.
 *  Source: specifications.freedesktop.org/basedir, and each system's own rules
 *  @returns null where the system gives the user no home */
export function cacheFolder(environment: NodeJS.ProcessEnv): string | null {
  const base = environment.XDG_CACHE_HOME ?? baseFolder(environment);
  return base === null || base === "" ? null : join(base, "moe-lab");
}

function baseFolder(environment: NodeJS.ProcessEnv): string | null {
  const home = homedir();
  switch (process.platform) {
    case "win32": return environment.LOCALAPPDATA ?? null;
    case "darwin": return home === "" ? null : join(home, "Library", "Caches");
    default: return home === "" ? null : join(home, ".cache");
  }
}
