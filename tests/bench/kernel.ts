/** Our Jupyter kernel beside tslab, Deno (where it runs) and ipykernel, all driven by one client, jupyter_client in Python,
 *  which takes turns between them: start, cells, output, completion, heartbeat, interrupts, memory. Cells that import
 *  @tensorflow/tfjs-core and moe-lab are our kernel's alone: the peers have no place where both are found. Lines are
 *  {bench, case, value, unit, runs, spread, lost, why}; value is the median over all rounds' figures, of a "slowest …" the
 *  largest, null where a kernel never answered; lost is how many of its rounds gave none. `npm run bench -- kernel` */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { kernelCommandLine } from "../../kernel/install.ts";
import { peers, pythonWithClient } from "./kernel/peers.ts";
import type { KernelDescription } from "./kernel/peers.ts";
import { report } from "./report.ts";

const ROUNDS = 5;
/** What is asked of our kernel, in the unit of the case. */
const BARS: Readonly<Record<string, number>> = {
  "start to first result": 1.2, "trivial cell": 5, "memory after the first cell": 150, "20,000 lines": 0.3, completion: 50,
  "slowest heartbeat while a cell is busy": 50, "interrupt: loop": 200, "interrupt: loop after await": 200, "interrupt: wait": 200,
  "trivial cell after 30": 5, "completion after 30 cells: members of tf": 50, "completion after 30 cells: members of lab": 50,
  "completion after 30 cells: a global name": 50, "completion after 30 cells: all global names": 50, "interrupt: training": 200,
};
/** Cases of which the worst figure counts as well. */
const WORST = /^interrupt: /;

interface Figure { readonly kernel: string; readonly case: string; readonly unit: string; readonly value: number | null; readonly why?: string }

const { filter = "" } = JSON.parse(process.argv[2] ?? "{}") as { filter?: string };
const python = pythonWithClient();
// Within this package, which then finds itself by its name.
const libraryCwd = join(process.cwd(), "build", "bench", "notebook");
mkdirSync(libraryCwd, { recursive: true });
const ours: KernelDescription = { name: "MoE Lab", argv: kernelCommandLine(), env: {}, language: "typescript", interruptMode: "message", libraryCwd };
const described = [ours, ...peers(python)];
const chosen = described.filter(({ name }) => name.includes(filter));
// The filter may name kernels, and else cases.
const kernels = chosen.length > 0 ? chosen : described;

const folder = mkdtempSync(join(tmpdir(), "kernel-bench-"));
const task = { rounds: ROUNDS, kernels: kernels.map((kernel) => ({ cwd: folder, ...kernel })) };
const client = spawn(python, [join(process.cwd(), "tests", "bench", "kernel", "client.py"), JSON.stringify(task)], { stdio: ["ignore", "pipe", "inherit"] });
const byCase = new Map<string, Figure[]>();
for await (const line of createInterface({ input: client.stdout })) {
  const figure = JSON.parse(line) as Figure;
  const key = `${figure.case}, ${figure.kernel}`;
  byCase.set(key, [...(byCase.get(key) ?? []), figure]);
}
const [status] = client.exitCode === null ? await once(client, "exit") as [number | null] : [client.exitCode];
rmSync(folder, { recursive: true, force: true });

for (const [name, figures] of byCase) {
  if (chosen.length === 0 && !name.includes(filter)) continue;
  const values = figures.flatMap(({ value }) => (value === null ? [] : [value]));
  const [{ case: what, kernel, unit }] = figures;
  const why = figures.find((figure) => figure.value === null)?.why;
  const bar = kernel === ours.name ? BARS[what] : undefined;
  const others = { ...(bar !== undefined && { atMost: bar }), ...(why !== undefined && { lost: figures.length - values.length, why }) };
  if (values.length === 0) {
    console.log(JSON.stringify({ bench: "kernel", case: name, value: null, unit, runs: 0, spread: null, ...others }));
    continue;
  }
  report("kernel", name, unit, values, others);
  if (WORST.test(what)) report("kernel", `slowest ${name}`, unit, [Math.max(...values)], bar === undefined ? {} : { atMost: bar });
}
process.exitCode = status ?? 1;
