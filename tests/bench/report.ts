/** Prints a figure as one JSON line {bench, case, value, unit, runs, spread}: value is the median of the runs, spread the
 *  distance between their quartiles. */
export function report(bench: string, name: string, unit: string, values: readonly number[]): void {
  const sorted = [...values].sort((a, b) => a - b);
  const at = (share: number): number => sorted[Math.round(share * (sorted.length - 1))];
  const rounded = (figure: number): number => Number(figure.toPrecision(4));
  console.log(JSON.stringify({ bench, case: name, value: rounded(at(0.5)), unit, runs: sorted.length, spread: rounded(at(0.75) - at(0.25)) }));
}
