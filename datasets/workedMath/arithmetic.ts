import type { RandomSource } from "../../toolkit/random.ts";
import { fractionText, greatestCommonDivisor, reduced } from "./fraction.ts";
import { between, pick, type Problem } from "./problem.ts";

type Operator = "+" | "-" | "*" | "/";
type Expression = number | { readonly operator: Operator; readonly left: Expression; readonly right: Expression };

const PRECEDENCE: Readonly<Record<Operator, number>> = { "+": 1, "-": 1, "*": 2, "/": 2 };

/** Three to five whole numbers joined by +, -, * and divisions without remainder, computed one operation at a time. */
export function arithmetic(random: RandomSource): Problem {
  const whole = randomExpression(random, between(random, 2, 4));
  const expression = show(whole);
  const steps: string[] = [];
  let rest: Expression = whole;
  while (typeof rest !== "number") {
    rest = computeOne(rest);
    steps.push(`= ${show(rest)}`);
  }
  return { expression, phrasings: [`Compute ${expression}.`, `What is ${expression}?`, `Work out the value of ${expression}.`], steps, answer: `${rest}` };
}

function randomExpression(random: RandomSource, operations: number): Expression {
  if (operations === 0) return between(random, 1, 20);
  if (operations === 1 && random.nextInt(4) === 0) {
    const divisor = between(random, 2, 12);
    return { operator: "/", left: divisor * between(random, 1, 12), right: divisor };
  }
  const leftOperations = random.nextInt(operations);
  const operator = pick<Operator>(random, ["+", "-", "*"]);
  return { operator, left: randomExpression(random, leftOperations), right: randomExpression(random, operations - 1 - leftOperations) };
}

/** The expression after its leftmost operation on two numbers. */
function computeOne(expression: Expression): Expression {
  if (typeof expression === "number") return expression;
  const { operator, left, right } = expression;
  if (typeof left !== "number") return { operator, left: computeOne(left), right };
  if (typeof right !== "number") return { operator, left, right: computeOne(right) };
  switch (operator) {
    case "+": return left + right;
    case "-": return left - right;
    case "*": return left * right;
    case "/": return left / right;
    default: return operator satisfies never;
  }
}

function show(expression: Expression): string {
  if (typeof expression === "number") return `${expression}`;
  const { operator, left, right } = expression;
  return `${showPart(left, PRECEDENCE[operator])} ${operator} ${showPart(right, PRECEDENCE[operator] + 1)}`;
}

/** A side of an operation, in parentheses where it binds less than needed or is negative. */
function showPart(part: Expression, needed: number): string {
  const isBare = typeof part === "number" ? part >= 0 : PRECEDENCE[part.operator] >= needed;
  return isBare ? show(part) : `(${show(part)})`;
}

/** A sum, difference, product or quotient of two fractions, in lowest terms. */
export function fraction(random: RandomSource): Problem {
  const [a, b, c, d] = [between(random, 1, 15), between(random, 2, 15), between(random, 1, 15), between(random, 2, 15)];
  const operator = pick<Operator>(random, ["+", "-", "*", "/"]);
  const expression = `${a}/${b} ${operator} ${operator === "/" ? `(${c}/${d})` : `${c}/${d}`}`;
  const { steps, numerator, denominator } = operator === "+" || operator === "-" ? addFractions(a, b, c, d, operator) : multiplyFractions(a, b, c, d, operator);
  const answer = fractionText(reduced(numerator, denominator));
  const unreduced = `${numerator}/${denominator}`;
  return {
    expression,
    phrasings: [`Compute ${expression} and reduce the result.`, `What is ${expression} in lowest terms?`],
    steps: answer === unreduced ? steps : [...steps, `${unreduced} = ${answer}`],
    answer,
  };
}

function addFractions(a: number, b: number, c: number, d: number, operator: "+" | "-"): { steps: string[]; numerator: number; denominator: number } {
  const denominator = (b * d) / greatestCommonDivisor(b, d);
  const [left, right] = [a * (denominator / b), c * (denominator / d)];
  const numerator = operator === "+" ? left + right : left - right;
  return { steps: [`The common denominator of ${b} and ${d} is ${denominator}.`, `${left}/${denominator} ${operator} ${right}/${denominator} = ${numerator}/${denominator}`], numerator, denominator };
}

function multiplyFractions(a: number, b: number, c: number, d: number, operator: "*" | "/"): { steps: string[]; numerator: number; denominator: number } {
  const [top, bottom] = operator === "*" ? [c, d] : [d, c];
  const flipped = operator === "/" ? [`Dividing by ${c}/${d} is multiplying by ${d}/${c}.`] : [];
  const [numerator, denominator] = [a * top, b * bottom];
  return { steps: [...flipped, `(${a} * ${top})/(${b} * ${bottom}) = ${numerator}/${denominator}`], numerator, denominator };
}
