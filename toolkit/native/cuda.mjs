// What the addon for GPUs is compiled from, and with which compilers: CUDA's, or for tests a plain one beside
// tests/native/cudaEmulator, with which kernels run on the CPU.
import { spawnSync } from "node:child_process";
import { existsSync, readdirSync } from "node:fs";
import { delimiter, dirname, join } from "node:path";
import { commonFlags } from "./compiler.mjs";

/** GPUs that kernels are built for, by the PTX that their code is made from; 90a holds Hopper's own instructions. Code of 80 runs
 *  on 86 and 89 too, where that of their own is only scheduled better. */
const codesOf = { 80: ["80", "86", "89"], "90a": ["90a"] };
/** For GPUs that come later, which compile it when they load the addon. */
const lastingPtx = "90";

const nvccFlags = ["-std=c++20", "-O3", "-lineinfo", "--threads", "2", "-Xcompiler", "-fPIC,-fvisibility=hidden,-Wall,-Wextra,-Wno-psabi",
  "-cudart", "static", "-diag-suppress", "20012"];
// Kernels of the emulator run for tests only: less time for the compiler, and pragmas of CUDA's.
const emulatedFlags = ["-O2", "-Wno-unknown-pragmas", "-Wno-unused-function"];

/** Folders where Python's wheels nvidia-cuda-nvcc, nvidia-cuda-runtime and so on keep CUDA: of a virtual environment or of the system. */
function wheelFolders() {
  const homes = [process.env.MOE_LAB_CUDA_HOME, process.env.VIRTUAL_ENV, "/usr/local", "/usr"].filter(Boolean);
  const libraries = homes.flatMap((home) => ["lib", "lib64"].map((name) => join(home, name))).filter(existsSync);
  const pythons = libraries.flatMap((library) => readdirSync(library).filter((name) => /^python3(\.\d+)?$/.test(name)).map((name) => join(library, name)));
  return pythons.flatMap((python) => ["site-packages", "dist-packages"].flatMap((packages) =>
    ["cu13", "cu12", "cuda_nvcc"].map((name) => join(python, packages, "nvidia", name))));
}

function nvccCandidates() {
  if (process.env.NVCC) return [process.env.NVCC];
  const folders = [...(process.env.MOE_LAB_CUDA_HOME ? [join(process.env.MOE_LAB_CUDA_HOME, "bin")] : []),
    ...(process.env.PATH ?? "").split(delimiter), "/usr/local/cuda/bin", ...wheelFolders().map((folder) => join(folder, "bin"))];
  return folders.map((folder) => join(folder, "nvcc"));
}

/** CUDA's compiler, or undefined: $NVCC, in MOE_LAB_CUDA_HOME, PATH, /usr/local/cuda or Python's wheels.
 *  @returns program, version as text, folder that holds bin, include and lib or lib64 */
export function findNvcc() {
  if (process.env.MOE_LAB_NO_COMPILER === "1") return undefined;
  for (const program of nvccCandidates()) {
    const { status, stdout } = spawnSync(program, ["--version"], { encoding: "utf8" });
    if (status === 0) return { program, version: stdout, folder: toolkitFolder(program) };
  }
  return undefined;
}

function toolkitFolder(program) {
  const { stderr, stdout } = spawnSync(program, ["--dryrun", "-x", "cu", "/dev/null"], { encoding: "utf8" });
  const top = /^#\$ TOP=(.+)$/m.exec(`${stderr}\n${stdout}`)?.[1].trim();
  return top ?? dirname(dirname(program));
}

export const noNvcc = "no nvcc was found to build the addon for GPUs. Install CUDA 13, or pip install nvidia-cuda-nvcc nvidia-cuda-runtime "
  + "nvidia-cuda-crt nvidia-nvvm nvidia-cuda-cccl into a virtual environment that MOE_LAB_CUDA_HOME names, and run node toolkit/native/build.mjs --cuda";

/** @param architecture "all", or names such as "80,90a" */
function codeFlags(architecture) {
  const isWhole = architecture === "all";
  const codes = isWhole ? Object.entries(codesOf) : architecture.split(",").map((name) => [name, [name]]);
  const native = codes.flatMap(([ptx, names]) => ["-gencode", `arch=compute_${ptx},code=[${names.map((name) => `sm_${name}`).join(",")}]`]);
  return isWhole ? [...native, "-gencode", `arch=compute_${lastingPtx},code=compute_${lastingPtx}`] : native;
}

/** How the addon for GPUs is compiled.
 *  @param kind "nvcc" | "emulated"
 *  @param architecture see codeFlags
 *  @returns includes for all sources; kernel {program, options, version} for *.cu; libraries for the linker */
export function cudaToolchain(kind, host, packageFolder, architecture = "all") {
  if (kind === "emulated") {
    const emulator = join(packageFolder, "tests", "native", "cudaEmulator");
    return { emulator, includes: [emulator], defines: ["-DMOE_EMULATED"], kernelFlags: ["-x", "c++", "-include", "cuda_runtime.h", ...commonFlags, ...emulatedFlags], hostFlags: emulatedFlags,
      kernel: { program: host.program, options: host.options, version: host.version }, libraries: [] };
  }
  const nvcc = findNvcc();
  if (nvcc === undefined) return undefined;
  const libraries = ["lib64", "lib"].map((name) => join(nvcc.folder, name)).filter((folder) => existsSync(join(folder, "libcudart_static.a")));
  return { includes: [join(nvcc.folder, "include")], defines: [], kernelFlags: [...nvccFlags, ...codeFlags(architecture)], hostFlags: [],
    kernel: { program: nvcc.program, options: ["-ccbin", host.program], version: nvcc.version },
    libraries: [...libraries.map((folder) => `-L${folder}`), "-lcudart_static", "-lrt", "-ldl", "-lpthread"] };
}
