/** Our side of a comparison: a process that prepares and measures cases as peers.mjs asks, a JSON object a line in and out.
 *  worker.py answers the same for the peers. */
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { performance } from "node:perf_hooks";
import { createInterface } from "node:readline";
import * as tf from "@tensorflow/tfjs-core";
import { chooseBackend } from "../../../toolkit/backend/choose.ts";
import { writeSafetensors, type NamedArray } from "../../../toolkit/export/safetensors.ts";

/** One piece of work that both sides do. */
export interface PeerCase {
  readonly name: string;
  /** How often the work is run and timed each round. */
  readonly runsPerRound: number;
  /** Floating point operations of a run, where a rate says more than a time. */
  readonly flops?: number;
  /** Inputs and what our side makes of them, for the peers to compute and compare; `settings` says what to compute. */
  readonly reference: () => { arrays: Map<string, NamedArray>; settings: object };
  /** Milliseconds of each of `runs` runs; what warms up isn't among them. */
  readonly measureMs: (runs: number) => number[] | Promise<number[]>;
}

type Request = { do: "list" } | { do: "prepare"; case: string; file: string } | { do: "measure"; case: string; runs: number };

/** Answers requests on standard input until it ends. */
export async function serveCases(cases: readonly PeerCase[]): Promise<void> {
  const { name, reason, threads } = await chooseBackend("native");
  const caseNamed = (wanted: string): PeerCase => {
    const found = cases.find((one) => one.name === wanted);
    if (!found) throw new Error(`there is no case "${wanted}"`);
    return found;
  };
  const answer = async (request: Request): Promise<object> => {
    switch (request.do) {
      case "list": return { backend: name, reason, threads, cases: cases.map(({ name, flops, runsPerRound }) => ({ name, flops, runsPerRound })) };
      case "prepare": {
        const { arrays, settings } = caseNamed(request.case).reference();
        mkdirSync(dirname(request.file), { recursive: true });
        writeFileSync(request.file, writeSafetensors(arrays, { settings: JSON.stringify(settings) }));
        return {};
      }
      case "measure": return { timesMs: await caseNamed(request.case).measureMs(request.runs) };
    }
  };
  for await (const line of createInterface({ input: process.stdin })) {
    console.log(JSON.stringify(await answer(JSON.parse(line) as Request)));
  }
}

/** A tensor's values for a reference; a copy. */
export function namedArray(tensor: tf.Tensor): NamedArray {
  return tensor.dtype === "int32"
    ? { dtype: "int32", shape: tensor.shape, data: tensor.dataSync<"int32">().slice() }
    : { dtype: "float32", shape: tensor.shape, data: tensor.dataSync<"float32">().slice() };
}

/** tf.tidy for work whose result holds no tensors and is no plain tree of values either. */
export function inTidy<R>(work: () => R): R {
  tf.engine().startScope();
  try {
    return work();
  } finally {
    tf.engine().endScope();
  }
}

/** A process that waited for its turn has its threads asleep and its caches filled by others. */
export const warmUpMs = 200;
const shortestRunMs = 10;

/** Milliseconds of one call, from runs of so many calls that each is long enough to measure. */
export function repeatedTimesMs(runs: number, call: () => void): number[] {
  let repeats = 1;
  const time = (): number => {
    const startedMs = performance.now();
    for (let i = 0; i < repeats; i += 1) tf.tidy(call);
    return performance.now() - startedMs;
  };
  const startedMs = performance.now();
  for (let elapsedMs = time(); elapsedMs < shortestRunMs || performance.now() - startedMs < warmUpMs; elapsedMs = time()) {
    if (elapsedMs < shortestRunMs) repeats *= 2;
  }
  return Array.from({ length: runs }, () => time() / repeats);
}
