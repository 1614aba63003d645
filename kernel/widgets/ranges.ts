import { WidgetError } from "../errors.ts";

/** The values of a widget with changes that it has not taken yet, by protocol name. */
export class Draft {
  readonly changes = new Map<string, unknown>();
  private readonly values: ReadonlyMap<string, unknown>;

  constructor(values: ReadonlyMap<string, unknown>) {
    this.values = values;
  }

  get(name: string): unknown {
    return this.changes.has(name) ? this.changes.get(name) : this.values.get(name);
  }

  set(name: string, value: unknown): void {
    this.changes.set(name, value);
  }
}

/** Puts right what a change of some attributes asks of others.
 *  @throws WidgetError E_WIDGET_RANGE where that can't be done */
export type Constraint = (draft: Draft) => void;

/** min ≤ value ≤ max: a value outside moves to the nearer end, as in ipywidgets. */
export const keepInRange: Constraint = (draft) => {
  const [min, max] = range(draft);
  draft.set("value", clamp(Number(draft.get("value")), min, max));
};

/** The same for both ends of a pair. */
export const keepPairInRange: Constraint = (draft) => {
  const [min, max] = range(draft);
  const pair = draft.get("value") as readonly [number, number];
  draft.set("value", pair.map((value) => clamp(value, min, max)));
};

/** base^min ≤ value ≤ base^max. */
export const keepInLogRange: Constraint = (draft) => {
  const [min, max] = range(draft);
  const base = Number(draft.get("base"));
  if (base <= 1) throw rangeError(`base ${base}`, "a logarithmic slider needs a base above 1");
  draft.set("value", clamp(Number(draft.get("value")), base ** min, base ** max));
};

function range(draft: Draft): [number, number] {
  const [min, max] = [Number(draft.get("min")), Number(draft.get("max"))];
  if (min > max) throw rangeError(`min ${min} and max ${max}`, "min must not be above max");
  return [min, max];
}

function clamp(value: number, min: number, max: number): number {
  return Math.min(Math.max(value, min), max);
}

function rangeError(given: string, why: string): WidgetError {
  return new WidgetError({
    code: "E_WIDGET_RANGE", what: `A widget got ${given}`, why, fix: "set both ends at once with update({ min, max }), the lower one as min",
  });
}
