import type { RandomSource } from "../../toolkit/random.ts";
import { fractionText, reduced } from "./fraction.ts";
import { between, linearSum, nonZero, type Problem } from "./problem.ts";

/** ax + b = cx + d with one solution, a whole number or a fraction. */
export function linearEquation(random: RandomSource): Problem {
  const a = nonZero(random, 12);
  let c = random.nextInt(2) === 0 ? 0 : nonZero(random, 12);
  if (c === a) c = 0;
  const [b, d] = [nonZero(random, 20), nonZero(random, 40)];
  const [coefficient, constant] = [a - c, d - b];
  const expression = `${linearSum([[a, "x"], [b, ""]])} = ${linearSum([[c, "x"], [d, ""]])}`;
  const x = fractionText(reduced(constant, coefficient));
  const steps: string[] = [];
  if (c !== 0) steps.push(`${linearSum([[coefficient, "x"], [b, ""]])} = ${d}`);
  steps.push(`${linearSum([[coefficient, "x"]])} = ${constant}`);
  if (coefficient !== 1 && `${constant}/${coefficient}` !== x) steps.push(`x = ${constant}/${coefficient < 0 ? `(${coefficient})` : coefficient}`);
  return { expression, phrasings: [`Solve ${expression} for x.`, `Find x: ${expression}.`, `For which x is ${expression}?`], steps, answer: `x = ${x}` };
}

/** Two linear equations in x and y with one solution in whole numbers, solved by elimination. */
export function linearSystem(random: RandomSource): Problem {
  const [x, y] = [between(random, -10, 10), between(random, -10, 10)];
  const [a, b] = [nonZero(random, 6), nonZero(random, 6)];
  const c = nonZero(random, 6);
  let d = nonZero(random, 6);
  // Parallel lines: one more makes them cross, and 0 would lose the y.
  if (a * d - b * c === 0) d += d === -1 ? 2 : 1;
  const [right, secondRight] = [a * x + b * y, c * x + d * y];
  const first = `${linearSum([[a, "x"], [b, "y"]])} = ${right}`;
  const second = `${linearSum([[c, "x"], [d, "y"]])} = ${secondRight}`;
  const coefficient = a * d - b * c;
  const constant = a * secondRight - c * right;
  const steps = [
    `${timesEquation(a, "second")} minus ${timesEquation(c, "first")}: ${linearSum([[coefficient, "y"]])} = ${constant}`,
    `y = ${y}`,
    `Put into the first equation: ${linearSum([[a, "x"]])} = ${right - b * y}`,
  ];
  const expression = `${first}, ${second}`;
  return { expression, phrasings: [`Solve the system ${expression}.`, `Find x and y: ${expression}.`], steps, answer: `x = ${x}, y = ${y}` };
}

function timesEquation(factor: number, which: string): string {
  return `${factor} times the ${which} equation`;
}
