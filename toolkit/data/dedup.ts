import { z } from "zod";
import { DigestSet } from "./digestSet.ts";
import type { DuplicateFinder } from "./duplicateFinder.ts";
import { MinHashIndex } from "./minHash.ts";

/** How documents that stood before are found. What is remembered is in memory and begins anew with each epoch. */
export const dedupSchema = z.discriminatedUnion("kind", [
  z.strictObject({
    /** the same text, but for case, white space and Unicode's ways of writing a character */
    kind: z.literal("exact"),
    /** documents that are remembered, in up to 64 bytes each */
    maxDocuments: z.int().min(1).max(100_000_000).default(10_000_000),
  }),
  z.strictObject({
    /** texts that share most of their word n-grams */
    kind: z.literal("near"),
    /** Jaccard similarity of the sets of n-grams from which a document is a duplicate */
    threshold: z.number().min(0.3).max(1).default(0.8),
    /** n, words of an n-gram */
    shingleWords: z.int().min(1).max(20).default(5),
    /** hash functions of a signature: the similarity is estimated with a standard deviation of √(s(1 − s)/hashes) */
    hashes: z.int().min(16).max(512).default(128),
    /** documents that are remembered, in up to about 1.3 KiB each with 128 hashes */
    maxDocuments: z.int().min(1).max(10_000_000).default(1_000_000),
    seed: z.int().min(0).default(0),
  }),
]);
export type DedupSettings = z.input<typeof dedupSchema>;

export function duplicateFinder(settings: z.output<typeof dedupSchema>): DuplicateFinder {
  return settings.kind === "exact" ? new DigestSet(settings.maxDocuments) : new MinHashIndex(settings);
}
