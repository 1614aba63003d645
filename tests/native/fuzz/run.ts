import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { build } from "esbuild";

const root = join(import.meta.dirname, "..", "..", "..");
const program = join(root, "build", "fuzz", "main.mjs");

export interface FuzzResult {
  readonly cases: number;
  readonly wrong: readonly { readonly what: string; readonly seed: number }[];
}

/** Makes the program that runFuzz starts; in build/, from where it finds the packages. */
export async function buildFuzz(): Promise<void> {
  await build({
    entryPoints: [join(import.meta.dirname, "main.ts")], outfile: program, bundle: true, format: "esm", platform: "node",
    packages: "external", external: ["#tfjs-gradients"], logLevel: "error",
  });
}

/** Fuzzes one part in a process of its own.
 *  @throws Error with the case that crashed it or that doesn't end, and how to repeat it */
export async function runFuzz(part: string, seed: number, seconds: number): Promise<FuzzResult> {
  const folder = mkdtempSync(join(tmpdir(), "moe-lab-fuzz-"));
  const progress = join(folder, "case");
  const args = [program, "--part", part, "--seed", String(seed), "--seconds", String(seconds), "--progress", progress];
  const { status, stdout, stderr } = await outcomeOf(args, (seconds + 120) * 1000);
  const last = readFileSync(progress, "utf8").trim();
  rmSync(folder, { recursive: true });
  if (status === 0) return JSON.parse(stdout) as FuzzResult;
  const [lastSeed] = last.split(" ");
  throw new Error(`fuzzing ${part} ended with ${status} in case ${last}; repeat it with\n`
    + `  node build/fuzz/main.mjs --part ${part} --seed ${lastSeed} --cases 1\n${stderr.slice(-4000)}`);
}

function outcomeOf(args: readonly string[], limitMs: number): Promise<{ status: number | string; stdout: string; stderr: string }> {
  // AddressSanitizer would end the process where the system refuses memory; a kernel makes an error of it
  const { ASAN_OPTIONS: asan, MOE_LAB_TEST_NODE: node = process.execPath } = process.env;
  const env = { ...process.env, ...(asan !== undefined && { ASAN_OPTIONS: `${asan}:allocator_may_return_null=1` }) };
  return new Promise((resolve, reject) => {
    const child = spawn(node, args, { stdio: ["ignore", "pipe", "pipe"], env, timeout: limitMs, killSignal: "SIGKILL" });
    const [stdout, stderr]: [string[], string[]] = [[], []];
    child.stdout.setEncoding("utf8").on("data", (text: string) => stdout.push(text));
    child.stderr.setEncoding("utf8").on("data", (text: string) => stderr.push(text));
    child.on("error", reject);
    child.on("close", (code, signal) => { resolve({ status: code ?? signal ?? "no status", stdout: stdout.join(""), stderr: stderr.join("") }); });
  });
}
