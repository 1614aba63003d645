// Builds the native addon with a plain C++ compiler: build/native/moe_lab.node for this machine, or, for publishing,
// prebuilt/<platform>-<arch>/moe_lab.node with all instruction sets of the compiler's target.
//   node toolkit/native/build.mjs [--prebuilt] [--isa best|all|NAME,…] [--output FOLDER] [--sanitize] [--quiet|--json] [--optional]
// Exit status 0 when the addon is there or no compiler is; 1 when the build failed (0 with --optional, for installs).
// $CXX names the compiler, which may be one for another machine; MOE_LAB_NO_COMPILER=1 hides all of them (for tests).
import { spawn, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { availableParallelism } from "node:os";
import { basename, dirname, join, resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { chooseIsas, commonFlags, findCompiler, findNm, inspectCompiler, isaFlags, linkFlags, sanitizerFlags } from "./compiler.mjs";

export { findCompiler };

const sourceFolder = dirname(fileURLToPath(import.meta.url));
const packageFolder = resolve(sourceFolder, "../..");
const defaultOutput = join(packageFolder, "build", "native");
const objectFolder = join(defaultOutput, "objects");
const lockPath = join(defaultOutput, "build.lock");

const hashOf = (...parts) => createHash("sha256").update(parts.join("\0")).digest("hex").slice(0, 16);

/** A source file's text with that of every header of ours that it includes. */
function textWithHeaders(path, includeFolders, seen = new Set()) {
  seen.add(path);
  const text = readFileSync(path, "utf8");
  const headers = [...text.matchAll(/^#include "(.+)"/gm)].map(([, name]) =>
    [dirname(path), ...includeFolders].map((folder) => join(folder, name)).find(existsSync));
  const fresh = headers.filter((header) => header !== undefined && !seen.has(header));
  return [text, ...fresh.map((header) => textWithHeaders(header, includeFolders, seen))].join("\0");
}

/** Everything to compile: {name, source, object, flags}; an object's name holds the hash of all that goes into it. */
function planObjects(compiler, isas, sanitize) {
  const nodeHeaders = createRequire(import.meta.url)("node-api-headers").include_dir;
  const own = join(sourceFolder, "include");
  const built = isas.map((isa) => `-DMOE_BUILT_${isa.toUpperCase()}`);
  const groups = [
    { folder: "runtime", label: `runtime-${isas.join("+")}`, flags: built },
    { folder: "binding", label: `binding-${isas.join("+")}`, flags: [...built, "-DNAPI_VERSION=8"] },
    ...isas.map((isa) => ({ folder: "host", label: isa, flags: [`-DMOE_ISA=${isa}`, "-fno-exceptions", "-fno-rtti", ...isaFlags[isa]] })),
  ];
  return groups.flatMap(({ folder, label, flags }) => {
    const files = readdirSync(join(sourceFolder, folder)).filter((file) => file.endsWith(".cpp")).sort();
    return files.map((file) => {
      const source = join(sourceFolder, folder, file);
      const all = [...commonFlags, ...flags, ...(sanitize ? sanitizerFlags : [])];
      const name = `${label}-${basename(file, ".cpp")}${sanitize ? "-sanitized" : ""}`;
      const hash = hashOf(compiler.command, compiler.version, all.join(" "), textWithHeaders(source, [own]));
      return { name, source, isHost: folder === "host", object: join(objectFolder, `${name}.${hash}.o`),
        flags: [...all, "-I", own, "-isystem", nodeHeaders] };
    });
  });
}

/** Runs a command; resolves to {status, output}. */
function run(command, args) {
  return new Promise((done) => {
    const child = spawn(command, args, { stdio: ["ignore", "pipe", "pipe"] });
    let output = "";
    child.stdout.on("data", (data) => (output += data));
    child.stderr.on("data", (data) => (output += data));
    child.on("error", (error) => done({ status: 1, output: String(error) }));
    child.on("close", (status) => done({ status, output }));
  });
}

/** Compiles what is not there yet, as many at once as there are processors; returns the compiler's complaint or "". */
async function compileObjects(compiler, objects) {
  const waiting = objects.filter(({ object }) => !existsSync(object));
  let complaint = "";
  const worker = async () => {
    for (let next = waiting.shift(); next !== undefined && complaint === ""; next = waiting.shift()) {
      const unfinished = `${next.object}.${process.pid}.tmp`;
      const { status, output } = await run(compiler.program, [...compiler.options, ...next.flags, "-c", next.source, "-o", unfinished]);
      if (status !== 0) complaint = couldNotCompile(compiler, next.source, output);
      else renameSync(unfinished, next.object);
    }
  };
  await Promise.all(Array.from({ length: availableParallelism() }, worker));
  return complaint;
}

function couldNotCompile(compiler, source, output) {
  const [name] = compiler.version.split("\n");
  return [`${name} could not compile ${basename(source)}; it needs at least g++ 11 or clang++ 14`,
    ...output.split("\n").slice(0, 20)].join("\n");
}

async function linkAddon(compiler, objects, addonPath, sanitize) {
  const unfinished = `${addonPath}.${process.pid}.tmp`;
  const { status, output } = await run(compiler.program, [...compiler.options, "-pthread", ...objects.map(({ object }) => object),
    ...linkFlags(compiler, sanitize), "-o", unfinished]);
  if (status !== 0) return output || "the linker failed";
  renameSync(unfinished, addonPath);
  return "";
}

/** Names that objects of two instruction sets define in common: the linker would keep one of them for both. */
function sharedSymbols(compiler, objects, isas) {
  const ofIsa = objects.filter(({ isHost }) => isHost).map(({ object }) => object);
  const { stdout } = spawnSync(findNm(compiler), ["-C", "--defined-only", ...ofIsa], { encoding: "utf8" });
  const weak = (stdout ?? "").split("\n").map((line) => /^[0-9a-f]* [WVu] (.+)$/.exec(line)?.[1]).filter(Boolean);
  return [...new Set(weak.filter((symbol) => !isas.some((isa) => symbol.includes(`moe::${isa}::`))))];
}

/** Only one process builds at a time; the others wait. */
async function lock() {
  for (;;) {
    try {
      writeFileSync(lockPath, String(process.pid), { flag: "wx" });
      return;
    } catch (error) {
      if (error.code !== "EEXIST") throw error;
    }
    if (!isAlive(lockPath)) rmSync(lockPath, { force: true });
    else await sleep(100);
  }
}

function isAlive(pidPath) {
  try {
    process.kill(Number(readFileSync(pidPath, "utf8")), 0);
    return true;
  } catch (error) {
    if (error.code === "ENOENT" || error.code === "ESRCH" || error instanceof TypeError) return false;
    if (error.code === "EPERM") return true;
    throw error;
  }
}

function readRecord(recordPath) {
  return existsSync(recordPath) ? JSON.parse(readFileSync(recordPath, "utf8")) : {};
}

/** Removes objects of this plan's names that older sources left behind. */
function removeOldObjects(objects) {
  const current = new Set(objects.map(({ object }) => basename(object)));
  const names = new Set(objects.map(({ name }) => name));
  for (const file of readdirSync(objectFolder))
    if (!current.has(file) && names.has(file.split(".")[0])) rmSync(join(objectFolder, file), { force: true });
}

async function buildLocked(compiler, isas, addonPath, sanitize) {
  const recordPath = addonPath.replace(/\.node$/, ".json");
  const objects = planObjects(compiler, isas, sanitize);
  const key = hashOf(...linkFlags(compiler, sanitize), ...objects.map(({ object }) => object));
  const record = readRecord(recordPath);
  if (record.key === key && record.failure) return { status: "failed", path: addonPath, detail: record.failure };
  if (record.key === key && existsSync(addonPath)) return { status: "current", path: addonPath, detail: isas.join(", ") };
  const started = Date.now();
  let failure = await compileObjects(compiler, objects);
  if (failure === "" && isas.length > 1 && !sanitize) {
    const shared = sharedSymbols(compiler, objects, isas);
    if (shared.length > 0) failure = `host/ must not share code between instruction sets, but these are: ${shared.join("; ")}`;
  }
  if (failure === "") failure = await linkAddon(compiler, objects, addonPath, sanitize);
  writeFileSync(recordPath, JSON.stringify({ key, isas, ...(failure && { failure }) }));
  if (failure !== "") return { status: "failed", path: addonPath, detail: failure };
  removeOldObjects(objects);
  return { status: "built", path: addonPath, detail: `${isas.join(", ")} in ${((Date.now() - started) / 1000).toFixed(1)} s` };
}

const noCompiler = process.platform === "win32"
  ? "the native addon can't be built on Windows. Use the Windows Subsystem for Linux"
  : "no C++ compiler was found to build the native addon. Install g++ or clang++ (Debian, Ubuntu: apt-get install g++; "
    + "Fedora: dnf install gcc-c++; macOS: xcode-select --install), or set CXX, and run node toolkit/native/build.mjs";

/** Where published packages hold the addon of one target; backend/binding.ts looks there. */
export const prebuiltFolder = (platform = process.platform, arch = process.arch) => join(packageFolder, "prebuilt", `${platform}-${arch}`);

/** Builds the addon unless it is there and current. A failure is remembered until a source changes. Prints nothing.
 *  @param prebuilt for publishing: output is by default prebuiltFolder() of the compiler's target, isa is "all"
 *  @param isa "best" (for this machine), "all" or a list such as "avx2,avx512"
 *  @param output folder for moe_lab.node
 *  @param sanitize with AddressSanitizer and UndefinedBehaviorSanitizer; the process needs libasan preloaded
 *  @returns status "built" | "current" | "no-compiler" | "failed"; path of the addon; detail for people */
export async function buildAddon({ prebuilt = false, isa = prebuilt ? "all" : "best", output, sanitize = false } = {}) {
  const command = process.platform === "win32" ? undefined : findCompiler();
  if (command === undefined) return { status: "no-compiler", path: join(output ?? defaultOutput, "moe_lab.node"), detail: noCompiler };
  const compiler = inspectCompiler(command);
  const folder = output ?? (prebuilt ? prebuiltFolder(compiler.platform, compiler.arch) : defaultOutput);
  const path = join(folder, "moe_lab.node");
  if (folder === defaultOutput && !compiler.isForThisMachine) {
    return { status: "failed", path, detail: `${command} compiles for ${compiler.platform}-${compiler.arch}, not for this machine: use --prebuilt or --output, or unset CXX` };
  }
  mkdirSync(objectFolder, { recursive: true });
  mkdirSync(folder, { recursive: true });
  await lock();
  try {
    return await buildLocked(compiler, chooseIsas(isa, compiler), path, sanitize);
  } finally {
    rmSync(lockPath, { force: true });
  }
}

if (process.argv[1] !== undefined && resolve(process.argv[1]) === fileURLToPath(import.meta.url)) {
  const { values } = parseArgs({ options: {
    prebuilt: { type: "boolean" }, isa: { type: "string" }, output: { type: "string" }, sanitize: { type: "boolean" },
    quiet: { type: "boolean" }, json: { type: "boolean" }, optional: { type: "boolean" } } });
  const result = await buildAddon(values);
  if (values.json) console.log(JSON.stringify(result));
  else if (!values.quiet) console.log(`native addon: ${result.status} (${result.detail})`);
  process.exitCode = result.status === "failed" && !values.optional ? 1 : 0;
}
