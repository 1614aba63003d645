import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { domainNames, fourDomains } from "../../datasets/fourDomains/index.ts";
import { loadMobyDick } from "../../datasets/mobyDick/index.ts";

const bytes = (documents: readonly string[]): number => Buffer.byteLength(documents.join(""), "utf8");
const domains = fourDomains({ seed: 4, bytesPerDomain: 200_000, validationFraction: 0.2 });

test("each domain has the asked bytes in both parts, less at most a line", () => {
  expect(domains.map(({ domain }) => domain)).toEqual(domainNames);
  for (const { train, validation } of domains) {
    const longest = Math.max(...[...train, ...validation].flatMap((document) => document.split("\n")).map((line) => Buffer.byteLength(line, "utf8")), 3000);
    for (const [part, asked] of [[train, 160_000], [validation, 40_000]] as const) {
      expect(bytes(part)).toBeLessThanOrEqual(asked);
      expect(bytes(part)).toBeGreaterThan(asked - longest - 1);
      expect(part.every((document) => document.endsWith("\n"))).toBe(true);
    }
  }
});

test("no document has text in both parts", () => {
  for (const { train, validation } of domains) {
    const heads = new Set(train.map((document) => document.slice(0, 60)));
    expect(validation.filter((document) => heads.has(document.slice(0, 60)))).toEqual([]);
  }
});

test("literature is whole chapters of Moby Dick but for the last of each part", () => {
  const chapters = new Set(loadMobyDick().documents);
  const [{ train, validation, dataset }] = domains;
  for (const part of [train, validation]) expect(part.slice(0, -1).every((document) => chapters.has(document))).toBe(true);
  expect(dataset).toMatchObject({ name: "mobyDick", licence: "CC0-1.0" });
  expect(train.length).toBeGreaterThan(5);
});

test("the seed chooses the documents, and alone", () => {
  expect(fourDomains({ seed: 4, bytesPerDomain: 200_000, validationFraction: 0.2 })).toEqual(domains);
  const other = fourDomains({ seed: 5, bytesPerDomain: 200_000, validationFraction: 0.2 });
  for (const [i, { train }] of other.entries()) expect(train[0]).not.toBe(domains[i].train[0]);
});

test("the greatest size is there in every domain", () => {
  for (const { train, validation } of fourDomains({ bytesPerDomain: 1_000_000 })) expect(bytes(train) + bytes(validation)).toBeGreaterThan(990_000);
});

test.each([[{ bytesPerDomain: 9_999 }, /E_DOMAIN_BYTES/], [{ bytesPerDomain: 1_000_001 }, /E_DOMAIN_BYTES/], [{ validationFraction: 0 }, /E_VALIDATION_FRACTION/], [{ validationFraction: 0.6 }, /E_VALIDATION_FRACTION/]])("%j is refused", (options, code) => {
  expect(() => fourDomains(options)).toThrow(code);
});

test("the list of datasets and the card name the four", () => {
  const folder = join(import.meta.dirname, "..", "..", "datasets");
  expect(readFileSync(join(folder, "README.md"), "utf8")).toContain("[fourDomains](fourDomains/CARD.md)");
  const card = readFileSync(join(folder, "fourDomains", "CARD.md"), "utf8");
  for (const { domain, dataset } of domains) expect(card).toMatch(new RegExp(`\\| ${domain} \\| \\[${dataset.name}\\]`));
});
