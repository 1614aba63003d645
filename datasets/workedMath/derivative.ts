import type { RandomSource } from "../../toolkit/random.ts";
import { between, nonZero, pick, sum, type Problem } from "./problem.ts";

/** coefficient · body, with its derivative of the same form; the body "" is 1. */
interface Term {
  readonly coefficient: number;
  readonly body: string;
  readonly derivative: { readonly coefficient: number; readonly body: string };
}

/** The derivative of a sum of powers of x, sometimes with a sine, cosine or exponential, term by term. */
export function derivative(random: RandomSource): Problem {
  const highest = between(random, 2, 5);
  const terms = Array.from({ length: between(random, 1, 3) }, (_, i) => power(nonZero(random, 9), highest - i)).filter((term) => term !== undefined);
  if (random.nextInt(3) === 0) terms.push(transcendental(random));
  const expression = show(terms);
  const steps = terms.map((term) => `(${show([{ ...term, coefficient: Math.abs(term.coefficient) }])})' = ${show([positive(term)])}`);
  const answer = show(terms.map((term) => term.derivative).filter(({ coefficient }) => coefficient !== 0));
  return { expression, phrasings: [`Differentiate f(x) = ${expression}.`, `What is the derivative of ${expression}?`, `Find f'(x) for f(x) = ${expression}.`], steps, answer: `f'(x) = ${answer}` };
}

/** The derivative of the term without its sign. */
function positive({ coefficient, derivative }: Term): Term["derivative"] {
  return { ...derivative, coefficient: derivative.coefficient * Math.sign(coefficient) };
}

function power(coefficient: number, exponent: number): Term | undefined {
  if (exponent < 0) return undefined;
  return { coefficient, body: powerText(exponent), derivative: { coefficient: coefficient * exponent, body: powerText(exponent - 1) } };
}

function powerText(exponent: number): string {
  if (exponent <= 0) return "";
  return exponent === 1 ? "x" : `x^${exponent}`;
}

function transcendental(random: RandomSource): Term {
  const [coefficient, rate] = [nonZero(random, 6), between(random, 1, 5)];
  const argument = `(${rate === 1 ? "" : rate}x)`;
  const [body, derivativeBody, sign] = pick(random, [["sin", "cos", 1], ["cos", "sin", -1], ["exp", "exp", 1]] as const);
  return { coefficient, body: body + argument, derivative: { coefficient: sign * coefficient * rate, body: derivativeBody + argument } };
}

function show(terms: readonly { readonly coefficient: number; readonly body: string }[]): string {
  return sum(terms.map(({ coefficient, body }) => {
    const size = Math.abs(coefficient);
    if (body === "") return [`${size}`, coefficient] as const;
    // A space keeps "3 sin(2x)" readable; powers are written "3x^2".
    const joint = body.startsWith("x") ? "" : " ";
    return [size === 1 ? body : `${size}${joint}${body}`, coefficient] as const;
  }));
}
