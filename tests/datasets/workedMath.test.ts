import { describe, expect, test } from "vitest";
import type { QuestionRecord } from "../../datasets/dataset.ts";
import { makeMathSteps } from "../../datasets/mathSteps/index.ts";
import { makeWorkedMath, mathKinds, type MathKind } from "../../datasets/workedMath/index.ts";
import { equationGap, evaluateFormula } from "./evaluateFormula.ts";

const PROBLEMS = 6000;
const { records } = makeWorkedMath({ seed: 5, problems: PROBLEMS });
const of = (kind: MathKind): QuestionRecord[] => records.filter((record) => record.kind === kind);
/** What a question is about, found by a pattern that all its phrasings share. */
const expressionOf = ({ question }: QuestionRecord, pattern: RegExp): string => pattern.exec(question)?.[0] ?? "";
const FORMULA = /[-(\d][-+*/()\d ]*[)\d](?=[.? ]|$)/;

describe("the test's own evaluator", () => {
  test.each([["2 + 3 * 4", 14], ["-2^2", -4], ["(-5) + 4", -1], ["8 / 2 / 2", 2], ["3x^2 - 4 sin(2x)", 3 * 4 - 4 * Math.sin(4)], ["2(x - 1)(x + 1)", 6], ["x/4", 0.5], ["-3/(-9)", 1 / 3]])("%s is %d with x = 2", (formula, value) => {
    expect(evaluateFormula(formula, { x: 2 })).toBeCloseTo(value, 12);
  });
});

describe("workedMath", () => {
  test("sums with parentheses have the value that their steps and their answer give", () => {
    for (const record of of("arithmetic")) {
      const value = evaluateFormula(expressionOf(record, FORMULA));
      expect(record.answer).toBe(`${value}`);
      for (const step of record.steps) expect(evaluateFormula(step.replace("= ", ""))).toBeCloseTo(value, 12);
    }
  });

  test("fractions have the value of their answer, which is in lowest terms", () => {
    for (const record of of("fraction")) {
      expect(evaluateFormula(record.answer)).toBeCloseTo(evaluateFormula(expressionOf(record, FORMULA)), 12);
      const [numerator, denominator = "1"] = record.answer.replace("-", "").split("/");
      for (let divisor = 2; divisor <= Number(denominator); divisor++) expect(Number(numerator) % divisor === 0 && Number(denominator) % divisor === 0).toBe(false);
      for (const step of record.steps.filter((text) => text.includes("="))) expect(equationGap(step, {})).toBeLessThan(1e-12);
    }
  });

  test("the answer of an equation solves it, and every step", () => {
    for (const record of of("linearEquation")) {
      const x = evaluateFormula(record.answer.replace("x = ", ""));
      for (const equation of [record.question.replace(/^(?:Solve|Find x:|For which x is) |(?: for x)?[.?]$/g, ""), ...record.steps]) expect(equationGap(equation, { x })).toBeLessThan(1e-12);
    }
  });

  test("the answer of a system solves both equations, and every step", () => {
    for (const record of of("linearSystem")) {
      const [x, y] = Array.from(record.answer.matchAll(/-?\d+/g), ([value]) => Number(value));
      const equations = Array.from(record.question.matchAll(/-?[\dxy][-\dxy+ ]* = -?\d+/g), ([equation]) => equation);
      expect(equations).toHaveLength(2);
      for (const equation of [...equations, ...record.steps.map((step) => step.replace(/^.*: /, ""))]) expect(equationGap(equation, { x, y })).toBe(0);
    }
  });

  test("derivatives are those that differences of the function give", () => {
    const step = 1e-5;
    for (const record of of("derivative")) {
      const body = record.question.replace(/^.*f\(x\) = |^.*derivative of /, "").replace(/[.?]$/, "");
      const derivative = record.answer.replace("f'(x) = ", "");
      for (const x of [-1.3, 0.4, 0.9]) {
        const slope = (evaluateFormula(body, { x: x + step }) - evaluateFormula(body, { x: x - step })) / (2 * step);
        const claimed = evaluateFormula(derivative, { x });
        expect(Math.abs(claimed - slope) / Math.max(1, Math.abs(slope))).toBeLessThan(1e-5);
      }
    }
  });

  test("a sequence goes on by the rule that its numbers follow", () => {
    for (const record of of("sequence")) {
      const numbers = Array.from((/(?:-?\d+, )+-?\d+/.exec(record.question)?.[0] ?? "").split(", "), Number);
      const [a, b, c, d, e] = numbers;
      const isGrowing = c - 2 * b + a === d - 2 * c + b && d - 2 * c + b === e - 2 * d + c;
      const candidates = [
        ...(isGrowing ? [e + (e - d) + (e - 2 * d + c)] : []),
        ...(b * b === a * c && c * c === b * d && d * d === c * e ? [(e * e) / d] : []),
        ...(a + b === c && b + c === d && c + d === e ? [d + e] : []),
      ];
      expect(candidates).toContain(Number(record.answer));
    }
  });

  test("kinds take turns, no problem comes twice, and the seed alone decides", () => {
    for (const kind of mathKinds) expect(of(kind)).toHaveLength(PROBLEMS / mathKinds.length);
    expect(new Set(records.map(({ question }) => question)).size).toBe(PROBLEMS);
    expect(makeWorkedMath({ seed: 5, problems: PROBLEMS }).records).toEqual(records);
    expect(makeWorkedMath({ seed: 6, problems: 10 }).text).not.toBe(makeWorkedMath({ seed: 5, problems: 10 }).text);
    expect(makeWorkedMath({ kinds: ["fraction"], problems: 10 }).records.map(({ kind }) => kind)).toEqual(Array(10).fill("fraction"));
    expect(makeWorkedMath({ problems: 100_000 }).records).toHaveLength(100_000);
  });

  test("counts that can't be and kinds that are not there are refused", () => {
    expect(() => makeWorkedMath({ problems: 0 })).toThrow(/E_MATH_PROBLEMS/);
    expect(() => makeWorkedMath({ problems: 100_001 })).toThrow(/E_MATH_PROBLEMS/);
    expect(() => makeWorkedMath({ problems: 30_000, kinds: ["sequence"] })).toThrow(/E_MATH_PROBLEMS/);
    expect(() => makeWorkedMath({ kinds: [] })).toThrow(/E_MATH_KINDS/);
    expect(() => makeWorkedMath({ kinds: ["topology" as MathKind] })).toThrow(/E_MATH_KINDS/);
  });
});

describe("mathSteps", () => {
  const solved = makeMathSteps({ seed: 3, problems: 400 }).records;

  test("the answer of an equation solves it, and every step of the way", () => {
    for (const { question, steps, answer } of solved.filter(({ kind }) => kind === "solveEquation")) {
      const x = evaluateFormula(answer.replace("x = ", ""));
      const equation = question.replace(/^Solve (.*) for x, step by step\.$/, "$1");
      for (const line of [equation, ...steps.map((step) => step.replace(/^[^:]*: /, ""))]) expect(equationGap(line, { x })).toBeLessThan(1e-12);
    }
  });

  test("an expression and what it is simplified to have the same value everywhere", () => {
    for (const { question, steps, answer } of solved.filter(({ kind }) => kind === "simplifyExpression")) {
      const expression = question.replace(/^Simplify (.*), step by step\.$/, "$1");
      for (const line of [answer, ...steps.map((step) => step.replace(/^[^:]*: /, ""))]) {
        for (const x of [-2, 0.5, 3]) expect(equationGap(`${expression} = ${line}`, { x })).toBeLessThan(1e-12);
      }
    }
  });

  test("half are equations, and the seed alone decides", () => {
    expect(solved.filter(({ kind }) => kind === "solveEquation")).toHaveLength(200);
    expect(makeMathSteps({ seed: 3, problems: 40 }).records).toEqual(solved.slice(0, 40));
    expect(() => makeMathSteps({ problems: 1.5 })).toThrow(/E_MATH_PROBLEMS/);
  });
});
