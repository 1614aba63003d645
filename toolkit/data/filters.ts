import { z } from "zod";
import { measureText, type TextMeasures } from "./textMeasures.ts";

const count = z.int().min(0).optional();
const length = z.number().min(0).optional();
const share = z.number().min(0).max(1).optional();
const shareByLength = z.partialRecord(z.enum(["2", "3", "4", "5", "6", "7", "8", "9", "10"]), z.number().min(0).max(1)).optional();

/** Bounds on what measureText measures; a document that breaks one is left out and counted under the bound's name. */
export const filterSchema = z.strictObject({
  /** the bounds of Rae et al. 2021; those named beside it replace them */
  preset: z.enum(["gopher"]).optional(),
  minCharacters: count, maxCharacters: count, minWords: count, maxWords: count,
  minMeanWordLength: length, maxMeanWordLength: length,
  /** number signs and ellipses for each word */
  maxSymbolToWordRatio: length,
  /** share of words with a letter */
  minAlphabeticWords: share,
  /** how many of the eight commonest English words stand in it */
  minStopWords: count,
  /** shares of lines that aren't blank: begun by a bullet, ended by an ellipsis, ended by . ! ? or a closing quote */
  maxBulletLines: share, maxEllipsisLines: share, minPunctuatedLines: share,
  /** shares of lines and paragraphs that stood before in the document, by number and by characters */
  maxDuplicateLines: share, maxDuplicateLineCharacters: share, maxDuplicateParagraphs: share, maxDuplicateParagraphCharacters: share,
  /** share of characters in the commonest word n-gram, by n, e.g. {"2": 0.2} */
  maxTopNgramCharacters: shareByLength,
  /** share of characters in word n-grams that stand more than once, by n */
  maxDuplicateNgramCharacters: shareByLength,
});
export type FilterSettings = z.input<typeof filterSchema>;
type Bounds = Omit<z.output<typeof filterSchema>, "preset">;

/** Source: Rae et al. 2021, arXiv:2112.11446, appendix A.1.1 and table A1 */
export const gopherBounds: Bounds = {
  minWords: 50, maxWords: 100_000, minMeanWordLength: 3, maxMeanWordLength: 10, maxSymbolToWordRatio: 0.1,
  maxBulletLines: 0.9, maxEllipsisLines: 0.3, minAlphabeticWords: 0.8, minStopWords: 2,
  maxDuplicateLines: 0.3, maxDuplicateParagraphs: 0.3, maxDuplicateLineCharacters: 0.2, maxDuplicateParagraphCharacters: 0.2,
  maxTopNgramCharacters: { 2: 0.2, 3: 0.18, 4: 0.16 },
  maxDuplicateNgramCharacters: { 5: 0.15, 6: 0.14, 7: 0.13, 8: 0.12, 9: 0.11, 10: 0.1 },
};

type SimpleBound = Exclude<keyof Bounds, "maxTopNgramCharacters" | "maxDuplicateNgramCharacters">;

/** What each bound is on. */
const measured: Record<SimpleBound, (text: TextMeasures) => number> = {
  minCharacters: (text) => text.characters, maxCharacters: (text) => text.characters,
  minWords: (text) => text.words, maxWords: (text) => text.words,
  minMeanWordLength: (text) => text.meanWordLength, maxMeanWordLength: (text) => text.meanWordLength,
  maxSymbolToWordRatio: (text) => text.symbolToWordRatio,
  minAlphabeticWords: (text) => text.alphabeticWords,
  minStopWords: (text) => text.stopWords,
  maxBulletLines: (text) => text.bulletLines, maxEllipsisLines: (text) => text.ellipsisLines, minPunctuatedLines: (text) => text.punctuatedLines,
  maxDuplicateLines: (text) => text.duplicateLines().share, maxDuplicateLineCharacters: (text) => text.duplicateLines().characterShare,
  maxDuplicateParagraphs: (text) => text.duplicateParagraphs().share, maxDuplicateParagraphCharacters: (text) => text.duplicateParagraphs().characterShare,
};

/** A function that tells the first bound that a text breaks, e.g. "maxTopNgramCharacters.2"; undefined for none. */
export function textFilter({ preset, ...own }: z.output<typeof filterSchema>): (text: string) => string | undefined {
  const bounds: Bounds = { ...(preset === "gopher" ? gopherBounds : {}), ...withoutUndefined(own) };
  const simple = (Object.keys(measured) as SimpleBound[]).flatMap((name) => {
    const bound = bounds[name];
    return bound === undefined ? [] : [{ name, bound, isBroken: name.startsWith("min") ? (value: number) => value < bound : (value: number) => value > bound }];
  });
  const top = byLength(bounds.maxTopNgramCharacters), repeated = byLength(bounds.maxDuplicateNgramCharacters);
  return (text) => {
    const measures = measureText(text);
    const broken = simple.find(({ name, isBroken }) => isBroken(measured[name](measures)));
    if (broken || (top.length === 0 && repeated.length === 0)) return broken?.name;
    const longestTop = top.find(([n, bound]) => measures.ngrams(n).topShare > bound);
    if (longestTop) return `maxTopNgramCharacters.${longestTop[0]}`;
    const longestRepeated = repeated.find(([n, bound]) => measures.ngrams(n).duplicateShare > bound);
    return longestRepeated && `maxDuplicateNgramCharacters.${longestRepeated[0]}`;
  };
}

function byLength(bounds: Bounds["maxTopNgramCharacters"]): [n: number, bound: number][] {
  return Object.entries(bounds ?? {}).map(([n, bound]): [number, number] => [Number(n), bound]).sort(([a], [b]) => a - b);
}

/** So that a bound that is named but undefined doesn't take away the preset's. */
function withoutUndefined(bounds: Bounds): Bounds {
  return Object.fromEntries(Object.entries(bounds).filter(([, value]) => value !== undefined));
}
