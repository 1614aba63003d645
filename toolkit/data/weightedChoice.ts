import { ConfigError } from "../errors.ts";
import { RandomSource, type RandomState } from "../random.ts";
import { cursorFields, refuseCursor, type JsonValue } from "./batchSource.ts";

/** How a mixture chooses the source of what comes next. */
export type ChoiceSettings =
  /** at random, with chances proportional to the weights */
  | { readonly kind: "random"; readonly seed: number }
  /** always the source that is furthest behind its share; the lower index of equal ones */
  | { readonly kind: "largestDeficit" };

/** Chooses among weighted sources. */
export class WeightedChoice {
  private readonly weights: readonly number[];
  private readonly settings: ChoiceSettings;
  private random: RandomSource;
  /** what was taken of each source so far, in any unit */
  private taken: number[];

  /** @throws ConfigError E_MIXTURE_WEIGHT, E_SEED */
  constructor(weights: readonly number[], settings: ChoiceSettings) {
    const wrong = weights.findIndex((weight) => !(weight > 0 && Number.isFinite(weight)));
    if (wrong >= 0 || weights.length === 0) {
      throw new ConfigError({ code: "E_MIXTURE_WEIGHT", what: weights.length === 0 ? "the mixture has no sources" : `weight ${wrong} of the mixture is ${weights[wrong]}`,
        why: "a mixture takes from each of its sources in proportion to its weight, a number above 0", fix: "leave a source out that should give nothing" });
    }
    this.weights = weights;
    this.settings = settings;
    this.random = new RandomSource(settings.kind === "random" ? settings.seed : 0);
    this.taken = weights.map(() => 0);
  }

  /** @param isOpen which sources can still give, [sources]
   *  @returns the index of one of them, −1 when there is none */
  choose(isOpen: readonly boolean[]): number {
    const open = this.weights.map((_, i) => i).filter((i) => isOpen[i]);
    const total = open.reduce((sum, i) => sum + this.weights[i], 0);
    if (this.settings.kind === "random") {
      let left = this.random.next() * total;
      // Rounding may leave a trace of `left` behind the last one.
      return open.find((i) => (left -= this.weights[i]) < 0) ?? open.at(-1) ?? -1;
    }
    const given = open.reduce((sum, i) => sum + this.taken[i], 0);
    const deficit = (i: number) => (this.weights[i] / total) * given - this.taken[i];
    return open.reduce((best, i) => (best < 0 || deficit(i) > deficit(best) ? i : best), -1);
  }

  /** Notes that something of this size was taken from a source. */
  add(index: number, amount: number): void {
    this.taken[index] += amount;
  }

  /** Plain JSON. */
  state(): JsonValue {
    return { random: { ...this.random.state() }, taken: [...this.taken] };
  }

  /** @throws DataError E_DATA_CURSOR */
  restore(state: JsonValue | undefined): void {
    const { random, taken } = cursorFields(state);
    if (!Array.isArray(taken) || taken.length !== this.weights.length || !taken.every((amount) => typeof amount === "number" && amount >= 0)) refuseCursor("the cursor belongs to a mixture of other sources");
    try {
      this.random = RandomSource.fromState(random as unknown as RandomState);
    } catch (error) {
      if (!(error instanceof ConfigError || error instanceof TypeError)) throw error;
      refuseCursor("the cursor holds no state of a random source");
    }
    this.taken = [...taken as number[]];
  }
}
