import type { RandomSource } from "../../toolkit/random.ts";
import { between, nonZero, type Problem } from "./problem.ts";

const SHOWN = 5;

/** The next number of a sequence: arithmetic, geometric, with growing differences, or the sum of the two before. */
export function sequence(random: RandomSource): Problem {
  const makers = [arithmeticSequence, geometricSequence, quadraticSequence, fibonacciSequence];
  const { numbers, rule, last } = makers[random.nextInt(makers.length)](random);
  const expression = numbers.slice(0, SHOWN).join(", ");
  return {
    expression,
    phrasings: [`What number comes next: ${expression}, ...?`, `Continue the sequence ${expression}, ... by one number.`],
    steps: [rule, last],
    answer: `${numbers[SHOWN]}`,
  };
}

interface Sequence {
  /** SHOWN + 1 numbers. */
  readonly numbers: readonly number[];
  readonly rule: string;
  readonly last: string;
}

function arithmeticSequence(random: RandomSource): Sequence {
  const [start, difference] = [between(random, -50, 100), nonZero(random, 30)];
  const numbers = Array.from({ length: SHOWN + 1 }, (_, i) => start + i * difference);
  return { numbers, rule: `Each number is ${Math.abs(difference)} ${difference > 0 ? "more" : "less"} than the one before.`,
    last: `${numbers[SHOWN - 1]} ${difference > 0 ? "+" : "-"} ${Math.abs(difference)} = ${numbers[SHOWN]}` };
}

function geometricSequence(random: RandomSource): Sequence {
  const [start, ratio] = [nonZero(random, 60), between(random, 2, 7)];
  const numbers = Array.from({ length: SHOWN + 1 }, (_, i) => start * ratio ** i);
  return { numbers, rule: `Each number is ${ratio} times the one before.`, last: `${numbers[SHOWN - 1]} * ${ratio} = ${numbers[SHOWN]}` };
}

function quadraticSequence(random: RandomSource): Sequence {
  const [start, first, growth] = [between(random, -20, 50), between(random, 1, 12), between(random, 1, 9)];
  const numbers = [start];
  for (let i = 0; i < SHOWN; i++) numbers.push(numbers[i] + first + i * growth);
  const difference = numbers[SHOWN] - numbers[SHOWN - 1];
  return { numbers, rule: `The differences grow by ${growth} each time, so the next one is ${difference}.`, last: `${numbers[SHOWN - 1]} + ${difference} = ${numbers[SHOWN]}` };
}

function fibonacciSequence(random: RandomSource): Sequence {
  const numbers = [between(random, 1, 40), between(random, 1, 40)];
  while (numbers.length <= SHOWN) numbers.push(numbers[numbers.length - 2] + numbers[numbers.length - 1]);
  return { numbers, rule: "Each number is the sum of the two before.", last: `${numbers[SHOWN - 2]} + ${numbers[SHOWN - 1]} = ${numbers[SHOWN]}` };
}
