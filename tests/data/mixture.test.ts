import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import type { JsonValue } from "../../toolkit/data/batchSource.ts";
import type { DataDocument } from "../../toolkit/data/documents.ts";
import { MemoryDocuments } from "../../toolkit/data/memoryDocuments.ts";
import { Mixture, openMixture, type MixtureOptions, type MixtureSettings } from "../../toolkit/data/mixture.ts";

const folder = mkdtempSync(join(tmpdir(), "moe-lab-mixture-"));
afterAll(() => rmSync(folder, { recursive: true }));

function jsonl(name: string, texts: readonly string[]): string {
  const path = join(folder, name);
  writeFileSync(path, texts.map((text) => `${JSON.stringify({ text })}\n`).join(""));
  return path;
}

const numbered = (prefix: string, count: number) => Array.from({ length: count }, (_, i) => `${prefix}${i}`);

async function take(mixture: Mixture, count = Infinity): Promise<DataDocument[]> {
  const documents: DataDocument[] = [];
  while (documents.length < count) {
    const document = await mixture.next();
    if (!document) break;
    documents.push(document);
  }
  return documents;
}

const mixtureOf = (options: MixtureOptions, ...sources: [weight: number, texts: string[], epochs: number | "endless"][]) =>
  new Mixture(sources.map(([weight, texts, epochs], i) => ({ name: `source ${i}`, weight, documents: new MemoryDocuments(texts, { epochs }) })), options);

describe("a mixture", () => {
  test("gives by largest deficit each source its share at every moment, to within one document", async () => {
    const weights = [5, 3, 2];
    const mixture = mixtureOf({}, ...weights.map((weight, i): [number, string[], "endless"] => [weight, numbered(`${i}-`, 7), "endless"]));
    const counts = [0, 0, 0];
    for (let i = 1; i <= 200; i++) {
      const [{ domain, text }] = await take(mixture, 1);
      expect(text?.[0]).toBe(String(domain));
      counts[domain] += 1;
      counts.forEach((count, source) => { expect(Math.abs(count - (weights[source] / 10) * i)).toBeLessThanOrEqual(1); });
    }
    expect(counts).toEqual([100, 60, 40]);
  });

  test("gives at random each source its share on average, the same for the same seed", async () => {
    const domains = async (seed: number) => (await take(mixtureOf({ choice: { kind: "random", seed } }, [3, ["a"], "endless"], [1, ["b"], "endless"]), 4000)).map(({ domain }) => domain);
    const first = await domains(1);
    expect(await domains(1)).toEqual(first);
    expect(await domains(2)).not.toEqual(first);
    // 4000 draws of chance 1/4: 1000 ± 27, five standard deviations.
    expect(Math.abs(first.filter((domain) => domain === 1).length - 1000)).toBeLessThan(137);
  });

  test("can give shares of characters in place of documents", async () => {
    const mixture = mixtureOf({ unit: "characters" }, [1, ["x".repeat(90)], "endless"], [1, ["y".repeat(10)], "endless"]);
    const documents = await take(mixture, 1000);
    const characters = [0, 1].map((domain) => documents.filter((document) => document.domain === domain).reduce((sum, { text = "" }) => sum + text.length, 0));
    expect(Math.abs(characters[0] - characters[1])).toBeLessThanOrEqual(90);
  });

  test("loses nothing when a source ends: the others go on alone, in their shares", async () => {
    const mixture = mixtureOf({}, [8, numbered("a", 10), 1], [1, numbered("b", 20), 1], [1, numbered("c", 20), 1]);
    const documents = await take(mixture);
    expect(documents.map(({ text }) => text).sort()).toEqual([...numbered("a", 10), ...numbered("b", 20), ...numbered("c", 20)].sort());
    const after = documents.slice(-30).map(({ domain }) => domain);
    expect(after.filter((domain) => domain === 1)).toHaveLength(15);
  });

  test("can stop with the first source that ends", async () => {
    const documents = await take(mixtureOf({ whenSourceEnds: "stop" }, [1, numbered("a", 3), 1], [1, numbered("b", 50), 1]));
    expect(documents.map(({ domain }) => domain)).toEqual([0, 1, 0, 1, 0, 1]);
  });

  test("reports documents, characters and epochs of each source", async () => {
    const mixture = mixtureOf({}, [1, ["aa", "aaa"], "endless"], [1, numbered("b", 50), 1]);
    await take(mixture, 10);
    expect(mixture.report()).toMatchObject({ read: 10, kept: 10, sources: { "source 0": { documents: 5, characters: 12, epochs: 2 }, "source 1": { documents: 5, characters: 10, epochs: 0 } } });
  });

  test("two sources of one name are E_MIXTURE_NAMES; weights that aren't above 0, or none, E_MIXTURE_WEIGHT", () => {
    const source = { name: "a", weight: 1, documents: new MemoryDocuments(["a"]) };
    expect(() => new Mixture([source, source])).toThrow(/E_MIXTURE_NAMES/);
    for (const weight of [0, -1, Number.NaN, Infinity]) expect(() => new Mixture([{ ...source, weight }])).toThrow(/E_MIXTURE_WEIGHT/);
    expect(() => new Mixture([])).toThrow(/E_MIXTURE_WEIGHT/);
  });
});

describe("openMixture", () => {
  const settings = (choice: MixtureSettings["choice"]): MixtureSettings => ({
    sources: [
      { name: "a", weight: 2, data: { files: jsonl("a.jsonl", numbered("a", 30)), shuffle: { seed: 1, bufferDocuments: 8 }, epochs: "endless" } },
      { name: "b", weight: 1, data: { files: jsonl("b.jsonl", numbered("b", 17)), epochs: 2, filters: { maxCharacters: 2 } } },
      { name: "c", weight: 1, data: { files: jsonl("c.jsonl", numbered("c", 12)), dedup: { kind: "exact" } } },
    ],
    choice,
  });

  test.each<[MixtureSettings["choice"]]>([[{ kind: "largestDeficit" }], [{ kind: "random", seed: 4 }]])(
    "%j: documents and report after restore equal those of an uninterrupted run, wherever it was taken", async (choice) => {
      const whole = await openMixture(settings(choice));
      const cursors: string[] = [], documents: DataDocument[] = [];
      for (let i = 0; i < 120; i++) {
        cursors.push(JSON.stringify(whole.cursor()));
        documents.push(...await take(whole, 1));
      }
      expect(whole.report().sources?.b.documents).toBe(20);
      for (let taken = 0; taken < 120; taken += 7) {
        const resumed = await openMixture(settings(choice));
        await take(resumed, 3);
        await resumed.restore(JSON.parse(cursors[taken]) as JsonValue);
        expect(await take(resumed, 120 - taken)).toEqual(documents.slice(taken));
        expect(resumed.report()).toEqual(whole.report());
        expect(resumed.cursor()).toEqual(whole.cursor());
        await resumed.close();
      }
      await whole.close();
    });

  test("a cursor of a mixture with other weights, names or sources is E_DATA_CURSOR", async () => {
    const cursor = (await openMixture(settings({ kind: "largestDeficit" }))).cursor();
    const [a, ...others] = settings(undefined).sources;
    for (const sources of [[{ ...a, weight: 3 }, ...others], [{ ...a, name: "x" }, ...others], others, [{ ...a, data: { ...a.data, filters: { minWords: 1 } } }, ...others]]) {
      await expect((await openMixture({ sources })).restore(cursor)).rejects.toThrow(/E_DATA_CURSOR/);
    }
  });

  test("wrong settings are E_DATA_SETTINGS that names source and setting", async () => {
    const wrong = { sources: [{ name: "a", weight: 1, data: { files: "a.jsonl", textfield: "x" } }] };
    await expect(openMixture(wrong as MixtureSettings)).rejects.toThrow(/sources\.0\.data.*textfield.*E_DATA_SETTINGS/);
  });
});
