// Builds the native addon with a plain C++ compiler: build/native/moe_lab.node for this machine, or, for publishing,
// prebuilt/<platform>-<arch>/moe_lab.node with all instruction sets of the compiler's target.
//   node toolkit/native/build.mjs [--prebuilt] [--isa best|all|NAME,…] [--output FOLDER] [--sanitize] [--quiet|--json] [--optional]
// The addon for NVIDIA GPUs, build/native/moe_lab_cuda.node, where CUDA's compiler is; --cuda-emulated makes one for tests whose
// kernels run on the CPU, build/native-emulated/moe_lab_cuda.node.
//   node toolkit/native/build.mjs --cuda|--cuda-emulated [--architecture all|80,90a,…] [--output FOLDER] [--sanitize] [--quiet|--json]
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
import { cudaToolchain, noNvcc } from "./cuda.mjs";

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
  const headers = [...text.matchAll(/^#include ["<](.+)[">]/gm)].map(([, name]) =>
    [dirname(path), ...includeFolders].map((folder) => join(folder, name)).find(existsSync));
  const fresh = headers.filter((header) => header !== undefined && !seen.has(header));
  return [text, ...fresh.map((header) => textWithHeaders(header, includeFolders, seen))].join("\0");
}

/** Files of a folder, by the ends of their names. */
const filesOf = (folder, ...ends) => readdirSync(folder).filter((file) => ends.some((end) => file.endsWith(end))).sort().map((file) => join(folder, file));
const isForDevices = (file) => basename(file).startsWith("device");

/** What the addon for the CPU is compiled from: {label, files, flags, isHost}. */
function hostGroups(isas) {
  const folder = (name) => filesOf(join(sourceFolder, name), ".cpp");
  const built = isas.map((isa) => `-DMOE_BUILT_${isa.toUpperCase()}`);
  return [
    { label: `runtime-${isas.join("+")}`, files: folder("runtime"), flags: [...commonFlags, ...built] },
    { label: `binding-${isas.join("+")}`, files: folder("binding").filter((file) => !isForDevices(file)), flags: [...commonFlags, ...built, "-DNAPI_VERSION=8"] },
    ...isas.map((isa) => ({ label: isa, files: folder("host"), isHost: true,
      flags: [...commonFlags, `-DMOE_ISA=${isa}`, "-fno-exceptions", "-fno-rtti", ...isaFlags[isa]] })),
  ];
}

/** The same of the addon for GPUs. */
function cudaGroups(kind, { emulator, includes, defines, kernelFlags, hostFlags, kernel }) {
  const own = join(sourceFolder, "cuda");
  const ownHeaders = emulator ? [emulator] : [];
  const all = [...commonFlags, ...hostFlags, ...defines, ...includes.flatMap((folder) => ["-isystem", folder])];
  const binding = filesOf(join(sourceFolder, "binding"), ".cpp").filter((file) => basename(file) !== "memory.cpp");
  const runtime = [join(sourceFolder, "runtime", "glibc.cpp"), ...filesOf(own, ".cpp")];
  return [
    { label: `${kind}-runtime`, files: runtime, flags: [...all, "-DMOE_ISA=cuda"], ownHeaders },
    { label: `${kind}-binding`, files: binding, flags: [...all, "-DMOE_BUILT_CUDA", "-DNAPI_VERSION=8"], ownHeaders },
    { label: `${kind}-kernels`, files: filesOf(own, ".cu"), flags: [...kernelFlags, ...defines, ...includes.flatMap((folder) => ["-isystem", folder]), "-DMOE_ISA=cuda"], ownHeaders, compiler: kernel },
    ...(emulator ? [{ label: `${kind}-emulator`, files: filesOf(emulator, ".cpp"), flags: all, ownHeaders }] : []),
  ];
}

/** Everything to compile: {name, source, object, flags, compiler}; an object's name holds the hash of all that goes into it. */
function planObjects(compiler, groups, sanitize) {
  const nodeHeaders = createRequire(import.meta.url)("node-api-headers").include_dir;
  const own = join(sourceFolder, "include");
  return groups.flatMap(({ label, files, flags, isHost = false, ownHeaders = [], compiler: used = compiler }) => files.map((source) => {
    const all = [...flags, ...(sanitize ? sanitizerFlags : [])];
    const name = `${label}-${basename(source).replace(/\.\w+$/, "")}${sanitize ? "-sanitized" : ""}`;
    const hash = hashOf(used.program, ...used.options, used.version, all.join(" "), textWithHeaders(source, [own, ...ownHeaders]));
    return { name, source, isHost, compiler: used, object: join(objectFolder, `${name}.${hash}.o`), flags: [...all, "-I", own, "-isystem", nodeHeaders] };
  }));
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
async function compileObjects(objects) {
  const waiting = objects.filter(({ object }) => !existsSync(object));
  let complaint = "";
  const worker = async () => {
    for (let next = waiting.shift(); next !== undefined && complaint === ""; next = waiting.shift()) {
      const unfinished = `${next.object}.${process.pid}.tmp`;
      const { status, output } = await run(next.compiler.program, [...next.compiler.options, ...next.flags, "-c", next.source, "-o", unfinished]);
      if (status !== 0) complaint = couldNotCompile(next.compiler, next.source, output);
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

async function linkAddon(compiler, objects, addonPath, linking) {
  const unfinished = `${addonPath}.${process.pid}.tmp`;
  const { status, output } = await run(compiler.program, [...compiler.options, "-pthread", ...objects.map(({ object }) => object),
    ...linking, "-o", unfinished]);
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

/** @param plan objects, flags for linking, isas of the host's kernels, and a text that says what the addon holds */
async function buildLocked(compiler, addonPath, { objects, linking, isas, holds, sanitize }) {
  const recordPath = addonPath.replace(/\.node$/, ".json");
  const key = hashOf(...linking, ...objects.map(({ object }) => object));
  const record = readRecord(recordPath);
  if (record.key === key && record.failure) return { status: "failed", path: addonPath, detail: record.failure };
  if (record.key === key && existsSync(addonPath)) return { status: "current", path: addonPath, detail: holds };
  const started = Date.now();
  let failure = await compileObjects(objects);
  if (failure === "" && isas.length > 1 && !sanitize) {
    const shared = sharedSymbols(compiler, objects, isas);
    if (shared.length > 0) failure = `host/ must not share code between instruction sets, but these are: ${shared.join("; ")}`;
  }
  if (failure === "") failure = await linkAddon(compiler, objects, addonPath, linking);
  writeFileSync(recordPath, JSON.stringify({ key, isas, ...(failure && { failure }) }));
  if (failure !== "") return { status: "failed", path: addonPath, detail: failure };
  removeOldObjects(objects);
  return { status: "built", path: addonPath, detail: `${holds} in ${((Date.now() - started) / 1000).toFixed(1)} s` };
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
  const isas = chooseIsas(isa, compiler);
  return await locked(folder, () => buildLocked(compiler, path,
    { objects: planObjects(compiler, hostGroups(isas), sanitize), linking: linkFlags(compiler, sanitize), isas, holds: isas.join(", "), sanitize }));
}

async function locked(folder, build) {
  mkdirSync(objectFolder, { recursive: true });
  mkdirSync(folder, { recursive: true });
  await lock();
  try {
    return await build();
  } finally {
    rmSync(lockPath, { force: true });
  }
}

/** Builds the addon for NVIDIA GPUs unless it is there and current; otherwise as buildAddon.
 *  @param kind "nvcc", or "emulated" for tests on the CPU
 *  @param architecture "all", or compute capabilities with commas, such as "80,90a"
 *  @param output folder for moe_lab_cuda.node */
export async function buildCudaAddon({ kind = "nvcc", architecture = "all", output, sanitize = false } = {}) {
  const folder = output ?? (kind === "nvcc" ? defaultOutput : join(packageFolder, "build", "native-emulated"));
  const path = join(folder, "moe_lab_cuda.node");
  const command = process.platform === "linux" ? findCompiler() : undefined;
  if (command === undefined) return { status: "no-compiler", path, detail: process.platform === "linux" ? noCompiler : "the addon for GPUs is for Linux" };
  const compiler = inspectCompiler(command);
  const toolchain = cudaToolchain(kind, compiler, packageFolder, architecture);
  if (toolchain === undefined) return { status: "no-compiler", path, detail: noNvcc };
  return await locked(folder, () => buildLocked(compiler, path, {
    objects: planObjects(compiler, cudaGroups(kind, toolchain), sanitize), linking: [...linkFlags(compiler, sanitize), ...toolchain.libraries],
    isas: [], holds: kind === "nvcc" ? `CUDA, ${architecture === "all" ? "all architectures" : `sm_${architecture.replaceAll(",", ", sm_")}`}` : "emulated CUDA", sanitize }));
}

if (process.argv[1] !== undefined && resolve(process.argv[1]) === fileURLToPath(import.meta.url)) {
  const { values } = parseArgs({ options: {
    prebuilt: { type: "boolean" }, isa: { type: "string" }, output: { type: "string" }, sanitize: { type: "boolean" },
    cuda: { type: "boolean" }, "cuda-emulated": { type: "boolean" }, architecture: { type: "string" },
    quiet: { type: "boolean" }, json: { type: "boolean" }, optional: { type: "boolean" } } });
  const isEmulated = values["cuda-emulated"] === true;
  const result = values.cuda || isEmulated ? await buildCudaAddon({ ...values, kind: isEmulated ? "emulated" : "nvcc" }) : await buildAddon(values);
  if (values.json) console.log(JSON.stringify(result));
  else if (!values.quiet) console.log(`native addon: ${result.status} (${result.detail})`);
  process.exitCode = result.status === "failed" && !values.optional ? 1 : 0;
}
