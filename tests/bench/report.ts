/** Median and distance between the quartiles of a figure's runs. */
export interface Summary {
  readonly value: number;
  readonly spread: number;
  readonly runs: number;
}

export function summary(values: readonly number[]): Summary {
  const sorted = [...values].sort((a, b) => a - b);
  const at = (share: number): number => sorted[Math.round(share * (sorted.length - 1))];
  return { value: rounded(at(0.5)), spread: rounded(at(0.75) - at(0.25)), runs: sorted.length };
}

/** Prints a figure as one JSON line {bench, case, value, unit, runs, spread, …}: value is the median of the runs, spread
 *  the distance between their quartiles. run.mjs makes a table of the lines unless --json asks for them as they are.
 *  @param comparison what else the line says, e.g. a ratio to something measured in turns with it */
export function report(bench: string, name: string, unit: string, values: readonly number[], comparison: object = {}): void {
  const { value, spread, runs } = summary(values);
  console.log(JSON.stringify({ bench, case: name, value, unit, runs, spread, ...comparison }));
}

/** The ratio that a line adds: median and spread of the rounds' own ratios, so that what slows a whole round counts for nothing.
 *  @param to what the figure is divided by, in words
 *  @param bar the least ratio asked for, where one is */
export function ratioTo(to: string, figures: readonly number[], references: readonly number[], bar?: number): object {
  const { value, spread } = summary(figures.map((figure, round) => figure / references[round]));
  return { ratio: value, ratioSpread: spread, to, toValue: summary(references).value, ...(bar !== undefined && { bar }) };
}

function rounded(figure: number): number {
  return Number(figure.toPrecision(4));
}
