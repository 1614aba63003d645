import type { RandomSource } from "../../toolkit/random.ts";

/** A problem before it is put into words. */
export interface Problem {
  /** What the problem is about, e.g. "3x + 5 = 20"; two problems with the same one are the same. */
  readonly expression: string;
  /** Ways to ask for it, each holding the expression. */
  readonly phrasings: readonly string[];
  readonly steps: readonly string[];
  readonly answer: string;
}

export type MakeProblem = (random: RandomSource) => Problem;

/** Uniform over the integers from `least` to `most`. */
export function between(random: RandomSource, least: number, most: number): number {
  return least + random.nextInt(most - least + 1);
}

/** An integer from −size to size that is not 0. */
export function nonZero(random: RandomSource, size: number): number {
  const value = between(random, 1, size);
  return random.nextInt(2) === 0 ? value : -value;
}

export function pick<T>(random: RandomSource, values: readonly T[]): T {
  return values[random.nextInt(values.length)];
}

/** Terms as a sum: [["3x", 1], ["5", -1]] is "3x - 5". The terms' texts have no sign; "0" when there is none. */
export function sum(terms: readonly (readonly [text: string, sign: number])[]): string {
  if (terms.length === 0) return "0";
  return terms.map(([text, sign], i) => (i === 0 ? `${sign < 0 ? "-" : ""}${text}` : ` ${sign < 0 ? "-" : "+"} ${text}`)).join("");
}

/** The terms of coefficient·variable + …, those with coefficient 0 left out; the variable "" makes a constant.
 *  A coefficient of 1 is not written before a variable. */
export function linearSum(terms: readonly (readonly [coefficient: number, variable: string])[]): string {
  return sum(terms.filter(([coefficient]) => coefficient !== 0).map(([coefficient, variable]) => {
    const size = Math.abs(coefficient);
    return [variable !== "" && size === 1 ? variable : `${size}${variable}`, coefficient] as const;
  }));
}
