/** Reading of WordNet's database files. Source: wndb(5WN), wordnet.princeton.edu/documentation/wndb5wn */

export const partsOfSpeech = ["noun", "verb", "adj", "adv"] as const;
export type PartOfSpeech = (typeof partsOfSpeech)[number];

/** A meaning with the words that have it. */
export interface Synset {
  readonly partOfSpeech: PartOfSpeech;
  /** The first of its words whose commonest meaning this is. */
  readonly headword: string;
  readonly synonyms: readonly string[];
  readonly definition: string;
  readonly examples: readonly string[];
  /** The first word of the meaning above this one; undefined at the top, and for adjectives and adverbs. */
  readonly hypernym: string | undefined;
}

/** The meanings that are the commonest of at least one of their words, in the order of the data file.
 *  @param data the text of data.noun, data.verb, …
 *  @param index the text of index.noun, index.verb, … */
export function readSynsets(partOfSpeech: PartOfSpeech, data: string, index: string): Synset[] {
  const commonest = commonestMeanings(index);
  const lines = new Map(data.split("\n").filter((line) => /^\d{8} /.test(line)).map((line) => [line.slice(0, 8), line]));
  const synsets: Synset[] = [];
  for (const [offset, line] of lines) {
    const words = wordsOf(line);
    const headword = words.find((word) => commonest.get(word.toLowerCase()) === offset);
    if (headword === undefined) continue;
    const above = / @ (\d{8}) [nv] /.exec(line)?.[1];
    const [definition, ...examples] = glossOf(line);
    synsets.push({
      partOfSpeech, headword, synonyms: words.filter((word) => word !== headword), definition, examples,
      hypernym: above === undefined ? undefined : wordsOf(lines.get(above) ?? "").at(0),
    });
  }
  return synsets;
}

/** Word → the place of its commonest meaning: the first in its line of the index. */
function commonestMeanings(index: string): Map<string, string> {
  return new Map(index.split("\n").filter((line) => line !== "" && !line.startsWith(" ")).map((line) => {
    const fields = line.split(" ");
    const pointers = Number(fields[3]);
    return [spoken(fields[0]), fields[6 + pointers]] as const;
  }));
}

/** Line: offset, file number, type, word count in hexadecimal, then word and sense number in turns. */
function wordsOf(line: string): string[] {
  const fields = line.split(" ");
  const count = Number.parseInt(fields[3] ?? "0", 16);
  return Array.from({ length: count }, (_, i) => spoken(fields[4 + 2 * i]));
}

/** Without underscores and without the marks of an adjective's place, as in "galore(ip)". */
function spoken(word: string): string {
  return word.replaceAll("_", " ").replace(/\((?:a|p|ip)\)$/, "");
}

/** The definition, then the examples without quotation marks. */
function glossOf(line: string): [string, ...string[]] {
  const [definition, ...others] = line.slice(line.indexOf(" | ") + 3).trim().split(/;\s*(?=")/);
  return [definition.trim(), ...others.flatMap((part) => /^"([^"]+)"/.exec(part)?.[1].trim() ?? [])];
}
