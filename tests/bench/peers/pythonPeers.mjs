// The Python environment of the peers, build/peers/torch: made on first use.
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, statfsSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const folder = import.meta.dirname;
const peersFolder = join(folder, "..", "..", "..", "build", "peers");
// PyPI's wheel brings CUDA libraries that are not used here: 6 GB unpacked, with what pip holds meanwhile.
const neededGigabytes = 12;

function fail(what, fix) {
  console.error(`${what}\n  fix: ${fix}`);
  process.exit(1);
}

function runOrFail(command, args, fix) {
  console.error(`$ ${command} ${args.join(" ")}`);
  const { status } = spawnSync(command, args, { stdio: ["ignore", 2, 2] });
  if (status !== 0) fail(`${command} ended with status ${status}`, fix);
}

/** Path of a Python that has the peers. Installs them with pip where they are missing, which takes minutes. */
export function pythonWithPeers() {
  const given = process.env.PEERS_PYTHON;
  if (given !== undefined) return given;
  const environment = join(peersFolder, "torch");
  const python = join(environment, "bin", "python"), stamp = join(environment, "requirements.txt");
  const requirements = join(folder, "requirements.txt"), wanted = readFileSync(requirements, "utf8");
  if (existsSync(stamp) && readFileSync(stamp, "utf8") === wanted) return python;
  const other = "install PyTorch 2.4 or newer and numpy in another way and name that Python in PEERS_PYTHON";
  mkdirSync(peersFolder, { recursive: true });
  const { bavail, bsize } = statfsSync(peersFolder);
  const freeGigabytes = (bavail * bsize) / 1e9;
  console.error(`setting up the peers in ${environment} (${wanted.trim().split("\n").join(", ")}): several GB, once`);
  if (freeGigabytes < neededGigabytes) fail(`${freeGigabytes.toFixed(0)} GB are free there and about ${neededGigabytes} are needed`, `make room, or ${other}`);
  runOrFail("python3", ["-m", "venv", environment], `install python3-venv, or ${other}`);
  runOrFail(python, ["-m", "pip", "install", "--no-cache-dir", "-r", requirements], other);
  writeFileSync(stamp, wanted);
  return python;
}
