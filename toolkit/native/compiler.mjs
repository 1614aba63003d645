// Which C++ compiler there is, for what system and processor it compiles, and the flags that it gets.
import { spawnSync } from "node:child_process";

// -fno-math-errno and -fno-trapping-math keep NaN, infinity and rounding as they are; -ffast-math would not.
export const commonFlags = ["-std=c++20", "-O3", "-fPIC", "-pthread", "-fvisibility=hidden", "-ffp-contract=fast",
  "-fno-math-errno", "-fno-trapping-math", "-Wall", "-Wextra", "-Wno-psabi"];
// Tests of memory errors and undefined behaviour: .ci/run loads this build through MOE_LAB_ADDON.
export const sanitizerFlags = ["-fsanitize=address,undefined", "-fno-sanitize-recover=undefined", "-fno-omit-frame-pointer", "-g1", "-O1"];
export const isaFlags = {
  baseline: [],
  neon: [],
  avx2: ["-mavx2", "-mfma", "-mbmi", "-mbmi2"],
  avx512: ["-mavx512f", "-mavx512bw", "-mavx512vl", "-mavx512dq", "-mavx2", "-mfma", "-mbmi", "-mbmi2",
    "-mprefer-vector-width=512"],
};
/** Instruction sets of a processor, by Node's names for them; those not listed have the baseline only. */
const isasOfArch = { x64: ["baseline", "avx2", "avx512"], arm64: ["neon"] };

const words = (command) => command.trim().split(/\s+/);

/** Standard output of a compiler's command with these arguments; undefined where it fails or there is no such command. */
function answer(command, args) {
  const [program, ...options] = words(command);
  const { status, stdout } = spawnSync(program, [...options, ...args], { encoding: "utf8" });
  return status === 0 ? stdout : undefined;
}

/** The C++ compiler's command, or undefined. $CXX may hold options too, as for make. */
export function findCompiler() {
  if (process.env.MOE_LAB_NO_COMPILER === "1") return undefined;
  const candidates = process.env.CXX ? [process.env.CXX] : ["g++", "clang++", "c++"];
  return candidates.find((command) => answer(command, ["--version"]) !== undefined);
}

/** What has to be known of a compiler. The target is its own word: a cross compiler's differs from this machine's.
 *  @returns command and version as text; program and options to run it; platform and arch of what it makes, in Node's
 *  names ("other" for an architecture that is neither this one nor named here); isForThisMachine */
export function inspectCompiler(command) {
  const [program, ...options] = words(command);
  const macros = macrosOf(command, []);
  const platform = macros.has("__linux__") ? "linux" : macros.has("__APPLE__") ? "darwin" : process.platform;
  const unnamed = process.arch in isasOfArch ? "other" : process.arch;
  const arch = macros.has("__x86_64__") ? "x64" : macros.has("__aarch64__") ? "arm64" : unnamed;
  return { command, program, options, version: answer(command, ["--version"]) ?? "", platform, arch,
    isForThisMachine: platform === process.platform && arch === process.arch };
}

function macrosOf(command, options) {
  const text = answer(command, [...options, "-dM", "-E", "-x", "c++", "/dev/null"]) ?? "";
  return new Set([...text.matchAll(/^#define (\w+) /gm)].map(([, name]) => name));
}

/** The instruction sets that a request stands for.
 *  @param request "best" (of this machine; all where the compiler is for another), "all", or names with commas */
export function chooseIsas(request, compiler) {
  const known = isasOfArch[compiler.arch] ?? ["baseline"];
  if (request === "all") return known;
  if (request === "best") return known.length > 1 && compiler.isForThisMachine ? [bestOfThisMachine(compiler)] : known;
  const isas = request.split(",");
  const unknown = isas.find((isa) => !known.includes(isa));
  if (unknown !== undefined) throw new Error(`--isa ${unknown}: for ${compiler.arch} there are best, all, ${known.join(", ")}`);
  return isas;
}

function bestOfThisMachine(compiler) {
  const macros = macrosOf(compiler.command, ["-march=native"]);
  const has = (...names) => names.every((name) => macros.has(`__${name}__`));
  if (!has("AVX2", "FMA", "BMI", "BMI2")) return "baseline";
  return has("AVX512F", "AVX512BW", "AVX512VL", "AVX512DQ") ? "avx512" : "avx2";
}

/** The compiler's own nm: another target's objects are not for this machine's. */
export const findNm = (compiler) => (answer(compiler.command, ["-print-prog-name=nm"]) ?? "nm").trim();

/** Flags for linking the addon. On Linux the C++ library goes into it, out of everyone's sight, because Node.js brings
 *  one of another version (some distributions ship no static one: then it is Node's); runtime/glibc.cpp says why older
 *  systems can load the result. */
export function linkFlags(compiler, sanitize) {
  if (compiler.platform === "darwin") return ["-bundle", "-undefined", "dynamic_lookup"];
  if (sanitize) return ["-shared", ...sanitizerFlags, "-ldl"];
  const isStaticThere = answer(compiler.command, ["-print-file-name=libstdc++.a"])?.includes("/") ?? false;
  return ["-shared", "-s", ...(isStaticThere ? ["-static-libstdc++"] : []), "-Wl,--exclude-libs,ALL", "-Wl,--gc-sections", "-ldl"];
}
