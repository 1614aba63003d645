// npm run bench:peers -- train|matmul|attention [--json] [--compile] [--rounds N] [--patience MINUTES] [--threads N] [--case TEXT]
// Does the same work here and in PyTorch (numpy), first checking that both get the same results, then timing them in
// turns: each round runs our side and each peer once, each in a process of its own that lives through all rounds.
// Beside PyTorch, train has the OpenBLAS floor: the time of a step's products with weights and of nothing else.
// Prints a line a case and peer, or with --json {bench, case, threads, value, unit, peer, peerVersion, peerForm,
// peerValue, ratio, ratioSpread, rounds, disturbed}: medians over rounds; ratio is how many times as fast as the peer we are, its
// spread the distance between quartiles of the rounds' ratios. A measurement in which other processes took part of the
// machine is repeated for as long as --patience allows (minutes for each case), then kept and counted as disturbed.
import { spawn } from "node:child_process";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { parseArgs } from "node:util";
import { build } from "esbuild";
import { pythonWithPeers } from "./peers/pythonPeers.mjs";
import { quietly } from "./peers/quiet.mjs";

const root = join(import.meta.dirname, "..", "..");
const threadCounts = { train: [2], matmul: [1, 2], attention: [2] };
/** The peers' sides of a bench, each in a process of its own. */
const peerScripts = { train: ["train.py", "trainFloor.py"], matmul: ["matmul.py"], attention: ["attention.py"] };
// Float32 sums in another order differ by about 1e-6; a token whose experts are nearly tied may be routed otherwise by
// that, which moves a gradient by about 1e-3. Adam divides by the gradient's size, so an update doubts more.
const bounds = [[/^update\./, 2e-2], [/^gradient\./, 2e-3], [/./, 2e-5]];
const formTrials = 3;

const { positionals, values: options } = parseArgs({
  allowPositionals: true,
  options: {
    json: { type: "boolean" }, compile: { type: "boolean" }, rounds: { type: "string", default: "9" }, patience: { type: "string", default: "10" },
    threads: { type: "string" }, case: { type: "string", default: "" },
  },
});
const [bench] = positionals;
if (positionals.length !== 1 || !(bench in threadCounts)) {
  console.error(`usage: npm run bench:peers -- ${Object.keys(threadCounts).join("|")} [--json] [--compile] [--rounds N] [--patience MINUTES] [--threads N] [--case TEXT]`);
  process.exit(2);
}

/** A process that answers a JSON object a line with another. */
class Worker {
  constructor(command, args, threads) {
    const environment = {
      MOE_LAB_THREADS: threads, OMP_NUM_THREADS: threads, OPENBLAS_NUM_THREADS: threads, MKL_NUM_THREADS: threads,
      PYTHONDONTWRITEBYTECODE: "1", PEERS_COMPILE: options.compile ? "1" : "0",
    };
    this.process = spawn(command, args, { stdio: ["pipe", "pipe", "inherit"], env: { ...process.env, ...environment } });
    this.lines = createInterface({ input: this.process.stdout })[Symbol.asyncIterator]();
    this.command = `${command} ${args.join(" ")}`;
  }

  async ask(request) {
    this.process.stdin.write(`${JSON.stringify(request)}\n`);
    const { done, value } = await this.lines.next();
    if (done) throw new Error(`${this.command} ended without an answer to ${JSON.stringify(request)}`);
    return JSON.parse(value);
  }

  end() {
    this.process.stdin.end();
  }
}

function quantile(values, share) {
  return [...values].sort((a, b) => a - b)[Math.round(share * (values.length - 1))];
}
const median = (values) => quantile(values, 0.5);
const spread = (values) => quantile(values, 0.75) - quantile(values, 0.25);
const rounded = (figure) => Number(figure.toPrecision(4));

/** The results in which a form differs from ours by more than float32 rounding explains. */
function disagreements({ distances }) {
  const bound = (name) => bounds.find(([pattern]) => pattern.test(name))[1];
  return Object.entries(distances).filter(([name, distance]) => !(distance <= bound(name))); // NaN disagrees
}

function checkForms(name, forms) {
  if (forms.length === 0) {
    console.error(`${name}: no form of the peers works here; the reasons are above`);
    process.exit(1);
  }
  for (const form of forms) {
    const wrong = disagreements(form);
    const [worst, distance] = Object.entries(form.distances).sort(([, a], [, b]) => b - a)[0];
    console.error(`${name}: ${form.peer}, ${form.name}: ${wrong.length === 0 ? "agrees" : "DISAGREES"}, largest relative difference ${distance.toExponential(1)} (${worst})`);
    for (const [result, distance] of wrong) console.error(`  ${result} differs by ${distance.toExponential(1)}`);
    if (wrong.length > 0) {
      console.error("the two sides don't do the same work, so their times say nothing");
      process.exit(1);
    }
  }
}

/** The fastest form of each peer, by a few trials in turns. */
async function fastestForms(forms, measure) {
  const trials = forms.map(() => []);
  for (let trial = 0; trial < formTrials; trial += 1) {
    for (const [i] of forms.entries()) trials[i].push(await measure(i));
  }
  for (const [i, form] of forms.entries()) console.error(`  ${form.peer}, ${form.name}: ${rounded(median(trials[i]))} ms`);
  const best = new Map();
  for (const [i, { peer }] of forms.entries()) {
    if (!best.has(peer) || median(trials[i]) < median(trials[best.get(peer)])) best.set(peer, i);
  }
  return [...best.values()];
}

function print(line) {
  if (options.json) return console.log(JSON.stringify(line));
  const { case: name, threads, value, unit, peer, peerVersion, peerForm, peerValue, ratio, ratioSpread, rounds, disturbed } = line;
  console.log(`${name}, ${threads} threads: ${value} ${unit}; ${peer} ${peerVersion} (${peerForm}) ${peerValue} ${unit}; ${ratio} ± ${ratioSpread} times as fast, ${rounds} rounds${disturbed > 0 ? `, ${disturbed} measurements disturbed` : ""}`);
}

async function compare({ name, flops, runsPerRound }, threads, ours, peers) {
  const file = join(root, "build", "peers", "reference.safetensors");
  await ours.ask({ do: "prepare", case: name, file });
  const forms = [];
  for (const worker of peers) {
    const { forms: offered } = await worker.ask({ do: "prepare", file });
    forms.push(...offered.map((form, number) => ({ ...form, worker, number })));
  }
  checkForms(name, forms);
  const deadlineMs = performance.now() + Number(options.patience) * 60_000;
  const pids = [process.pid, ...[ours, ...peers].map((worker) => worker.process.pid)];
  let disturbed = 0;
  const measure = async (worker, request) => {
    const { result, isDisturbed } = await quietly(pids, deadlineMs, () => worker.ask({ do: "measure", runs: runsPerRound, ...request }));
    if (isDisturbed) disturbed += 1;
    return median(result.timesMs);
  };
  const measureOurs = () => measure(ours, { case: name }), measurePeer = (form) => measure(forms[form].worker, { form: forms[form].number });
  const chosen = await fastestForms(forms, measurePeer);
  await measureOurs();
  disturbed = 0;
  const oursMs = [], peerMs = chosen.map(() => []);
  for (let round = 0; round < Number(options.rounds); round += 1) {
    oursMs.push(await measureOurs());
    for (const [i, form] of chosen.entries()) peerMs[i].push(await measurePeer(form));
  }
  const figure = (ms) => rounded(flops === undefined ? ms : flops / ms / 1e6);
  for (const [i, form] of chosen.entries()) {
    const ratios = peerMs[i].map((ms, round) => ms / oursMs[round]);
    print({
      bench, case: name, threads: Number(threads), value: figure(median(oursMs)), unit: flops === undefined ? "ms" : "GFLOP/s",
      peer: forms[form].peer, peerVersion: forms[form].peerVersion, peerForm: forms[form].name, peerValue: figure(median(peerMs[i])),
      ratio: rounded(median(ratios)), ratioSpread: rounded(spread(ratios)), rounds: ratios.length, disturbed,
    });
  }
}

const python = pythonWithPeers();
const outfile = join(root, "build", "bench", "peers", `${bench}.mjs`);
await build({ entryPoints: [join(import.meta.dirname, "peers", `${bench}.ts`)], bundle: true, packages: "external", platform: "node", format: "esm", outfile, logLevel: "error" });
for (const threads of options.threads === undefined ? threadCounts[bench].map(String) : [options.threads]) {
  const ours = new Worker(process.execPath, [outfile], threads);
  const peers = peerScripts[bench].map((script) => new Worker(python, [join(import.meta.dirname, "peers", script)], threads));
  const { reason, threads: ownThreads, cases } = await ours.ask({ do: "list" });
  if (ownThreads !== Number(threads)) throw new Error(`our side computes with ${ownThreads} threads instead of ${threads}`);
  console.error(`our side: ${reason}, ${ownThreads} threads`);
  for (const one of cases.filter(({ name }) => name.includes(options.case))) await compare(one, threads, ours, peers);
  for (const worker of [ours, ...peers]) worker.end();
}
