/** The Python that has HuggingFace's transformers beside the PyTorch of build/peers/torch: made on first use. */
import { execFileSync } from "node:child_process";
import { existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

export const TRANSFORMERS_RELEASE = "5.23.0";
const root = join(import.meta.dirname, "..", "..");
const venvFolder = join(root, "build", "peers", "transformers");
const python = join(venvFolder, "bin", "python");

function run(command: string, args: readonly string[], timeout = 600_000): string {
  return execFileSync(command, args, { stdio: ["ignore", "pipe", "pipe"], timeout }).toString("utf8").trim();
}

/** @returns the path of that Python, or why there is none */
export function transformersPython(): { readonly python: string } | { readonly problem: string } {
  if (process.env.PEERS !== "1") return { problem: "PEERS=1 is not set" };
  try {
    const peers = pathToFileURL(join(root, "tests", "bench", "peers", "pythonPeers.mjs")).href;
    const torchPython = run(process.execPath, ["-e", `import("${peers}").then(({ pythonWithPeers }) => console.log(pythonWithPeers()))`]);
    const packages = run(torchPython, ["-c", "import pathlib, torch; print(pathlib.Path(torch.__file__).parent.parent)"]);
    if (!existsSync(python)) run(torchPython, ["-m", "venv", venvFolder]);
    const ownPackages = run(python, ["-c", "import sysconfig; print(sysconfig.get_path('purelib'))"]);
    writeFileSync(join(ownPackages, "torch.pth"), `${packages}\n`); // PyTorch is 5 GB: it isn't installed a second time
    run(python, ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", `transformers==${TRANSFORMERS_RELEASE}`]);
    return { python };
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    return { problem: error.message.trim().split("\n").slice(0, 3).join(" ") };
  }
}
