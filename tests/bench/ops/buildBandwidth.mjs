// Compiles bandwidth.cpp for this processor.
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, statSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { findCompiler } from "../../../toolkit/native/build.mjs";

const source = join(import.meta.dirname, "bandwidth.cpp");

/** Path of the addon, compiled where it is missing or older than its source; undefined where that can't be, with the reason
 *  on standard error. */
export function buildBandwidth(folder) {
  const addon = join(folder, "bandwidth.node");
  if (existsSync(addon) && statSync(addon).mtimeMs > statSync(source).mtimeMs) return addon;
  const compiler = findCompiler();
  if (compiler === undefined) {
    console.error("memory bandwidth is left out: it needs a C++ compiler");
    return undefined;
  }
  mkdirSync(folder, { recursive: true });
  const flags = ["-std=c++20", "-O3", "-march=native", "-fPIC", "-shared", "-pthread", "-Wno-psabi", "-DNAPI_VERSION=8"];
  const include = createRequire(import.meta.url)("node-api-headers").include_dir;
  const { status, stderr } = spawnSync(compiler, [...flags, "-isystem", include, source, "-o", addon], { encoding: "utf8" });
  if (status === 0) return addon;
  console.error(`memory bandwidth is left out: ${compiler} could not compile ${source}\n${stderr}`);
  return undefined;
}
