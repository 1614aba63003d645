import { ConfigError } from "../../toolkit/errors.ts";
import { RandomSource } from "../../toolkit/random.ts";
import type { TextDataset } from "../dataset.ts";
import { loadFactbookQuestions } from "../factbookQuestions/index.ts";
import { loadMobyDick } from "../mobyDick/index.ts";
import type { SearchOptions } from "../npmPackage.ts";
import { loadTfjsSource } from "../tfjsSource/index.ts";
import { makeWorkedMath } from "../workedMath/index.ts";

export const domainNames = ["literature", "code", "math", "questions"] as const;
export type DomainName = (typeof domainNames)[number];

export interface FourDomainsOptions extends SearchOptions {
  /** Chooses the documents of each part; integer, 0 ≤ seed < 2⁵³; 1 when left out. */
  readonly seed?: number;
  /** UTF-8 bytes of each domain, training and validation together, 10,000 to 1,000,000; 500,000 when left out. */
  readonly bytesPerDomain?: number;
  /** Share of them for validation, 0 < validationFraction ≤ 0.5; 0.1 when left out. */
  readonly validationFraction?: number;
}

/** A domain's documents; no document has a part in both lists. */
export interface Domain {
  readonly domain: DomainName;
  readonly train: readonly string[];
  readonly validation: readonly string[];
  /** The dataset that the documents are from, with its licence and source. */
  readonly dataset: Omit<TextDataset, "text" | "documents">;
}

const LEAST_BYTES = 10_000;
const MOST_BYTES = 1_000_000;
/** Enough for MOST_BYTES: a problem has about 125 bytes. */
const MATH_PROBLEMS = 12_000;

/** Prose, program text, worked mathematics and questions of fact, of equal size, for studies of what experts specialise in.
 *  Train and validation are split by document; each part is cut at a line border, at most one line below its size.
 *  @throws DataError E_DATASET_MISSING, E_DATASET_CHANGED as the loaders of the domains do
 *  @throws ConfigError E_DOMAIN_BYTES, E_VALIDATION_FRACTION, E_SEED */
export function fourDomains({ seed = 1, bytesPerDomain = 500_000, validationFraction = 0.1, ...search }: FourDomainsOptions = {}): readonly Domain[] {
  checkOptions(bytesPerDomain, validationFraction);
  const datasets: Readonly<Record<DomainName, () => TextDataset>> = {
    literature: () => loadMobyDick(search),
    code: () => loadTfjsSource(search),
    math: () => makeWorkedMath({ problems: MATH_PROBLEMS }),
    questions: () => loadFactbookQuestions(search),
  };
  const validationBytes = Math.round(bytesPerDomain * validationFraction);
  return domainNames.map((domain, stream) => {
    const { documents, name, licence, source, sha256 } = datasets[domain]();
    const shuffled = Array.from(new RandomSource(seed, stream).permutation(documents.length), (i) => documents[i]);
    const validation = takeBytes(shuffled, validationBytes);
    const train = takeBytes(shuffled.slice(validation.length), bytesPerDomain - validationBytes);
    return { domain, train, validation, dataset: { name, licence, source, sha256 } };
  });
}

function checkOptions(bytesPerDomain: number, validationFraction: number): void {
  if (!Number.isInteger(bytesPerDomain) || bytesPerDomain < LEAST_BYTES || bytesPerDomain > MOST_BYTES) {
    throw new ConfigError({ code: "E_DOMAIN_BYTES", what: `bytesPerDomain is ${bytesPerDomain}`, why: `each domain has text for ${LEAST_BYTES} to ${MOST_BYTES} bytes`, fix: "set such an integer, e.g. 500000" });
  }
  if (!(validationFraction > 0 && validationFraction <= 0.5)) {
    throw new ConfigError({ code: "E_VALIDATION_FRACTION", what: `validationFraction is ${validationFraction}`, why: "both parts need text, and training the greater one", fix: "set it above 0 and at most 0.5, e.g. 0.1" });
  }
}

/** The first documents with these bytes in all; of the last one as many whole lines as fit. */
function takeBytes(documents: readonly string[], bytes: number): string[] {
  const taken: string[] = [];
  let left = bytes;
  for (const document of documents) {
    const length = Buffer.byteLength(document, "utf8");
    if (length >= left) return [...taken, firstLines(document, left)].filter((part) => part !== "");
    taken.push(document);
    left -= length;
  }
  return taken;
}

/** As many whole lines as fit into the bytes; perhaps none. */
function firstLines(document: string, bytes: number): string {
  const start = Buffer.from(document, "utf8").subarray(0, bytes);
  return start.subarray(0, start.lastIndexOf("\n") + 1).toString("utf8");
}
