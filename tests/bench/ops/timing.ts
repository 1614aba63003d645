import { performance } from "node:perf_hooks";

/** Measures one of several pieces of work that take turns; gives milliseconds of one call. */
export type Measurement = () => number;

/** Shorter runs would measure the clock and one interruption more than the work. */
const shortestRunMs = 8;
/** Before each run, so that the caches hold what this work needs and not what the one before it left. */
const warmUpMs = 3;

/** Measures `work` by runs of as many calls as take some milliseconds. */
export function timed(work: () => void): Measurement {
  let calls = 1;
  const runMs = (): number => {
    const startedMs = performance.now();
    for (let i = 0; i < calls; i += 1) work();
    return performance.now() - startedMs;
  };
  return () => {
    const startedMs = performance.now();
    do work(); while (performance.now() - startedMs < warmUpMs);
    let elapsedMs = runMs();
    for (; elapsedMs < shortestRunMs; elapsedMs = runMs()) calls *= 2;
    return elapsedMs / calls;
  };
}

/** Milliseconds of one call, by measurement and round. The measurements take turns, so that what slows the machine for a
 *  while slows all of them; a first round warms up and isn't counted. */
export function inTurns(rounds: number, measurements: readonly Measurement[]): number[][] {
  for (const measure of measurements) measure();
  const times: number[][] = measurements.map(() => []);
  for (let round = 0; round < rounds; round += 1) measurements.forEach((measure, i) => { times[i].push(measure()); });
  return times;
}
