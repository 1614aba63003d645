import type { EarlyStop } from "./recipe.ts";

/** One evaluation of a run. */
export interface ValidationPoint {
  readonly step: number;
  /** of the first validation set, over as many tokens in every evaluation, so that they compare */
  readonly lossNats: number;
  /** true for the evaluation over all validation tokens that ends a run */
  readonly isFinal: boolean;
}

/** The evaluation of the lowest loss; of equal ones the earliest. */
export function bestValidation(validations: readonly ValidationPoint[]): ValidationPoint | undefined {
  // A loss that is not finite is null in the file.
  return validations.filter(({ lossNats }) => Number.isFinite(lossNats))
    .reduce<ValidationPoint | undefined>((best, point) => (best === undefined || point.lossNats < best.lossNats ? point : best), undefined);
}

/** True when the last `patience` evaluations brought no loss that is lower by more than minDeltaNats than the best before. */
export function isPatienceOver(validations: readonly ValidationPoint[], earlyStop: EarlyStop | undefined): boolean {
  if (!earlyStop) return false;
  let best = Infinity, without = 0;
  for (const { lossNats, isFinal } of validations) {
    if (isFinal) continue;
    if (lossNats < best - earlyStop.minDeltaNats) { best = lossNats; without = 0; }
    else without += 1;
  }
  return without >= earlyStop.patience;
}
