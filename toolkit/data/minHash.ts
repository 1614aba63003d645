import { RandomSource } from "../random.ts";
import { dedupFull, normaliseText, type DuplicateFinder } from "./duplicateFinder.ts";

export interface MinHashSettings {
  readonly threshold: number;
  readonly shingleWords: number;
  readonly hashes: number;
  readonly maxDocuments: number;
  readonly seed: number;
}

/** Chance with which a pair just at the threshold shares a band, and so is compared at all. */
const wantedRecall = 0.99;

/** Documents of one band value that are compared at most: bounds the time where boilerplate makes many share one. */
const maxCandidates = 64;

/** Finds texts whose sets of word n-grams have a Jaccard similarity from a threshold on. Texts that share a band of
 *  their MinHash signatures are candidates, and are duplicates when the whole signatures agree in at least
 *  threshold × hashes places.
 *  Source: Broder 1997, doi:10.1109/SEQUEN.1997.666900; banding: Leskovec, Rajaraman and Ullman, Mining of Massive Datasets, 3.4 */
export class MinHashIndex implements DuplicateFinder {
  private readonly settings: MinHashSettings;
  private readonly salts: Uint32Array;
  /** hashes that make a band */
  private readonly rows: number;
  private readonly bands: Band[];
  /** [documents, hashes] */
  private signatures: Uint32Array;
  private count = 0;

  constructor(settings: MinHashSettings) {
    this.settings = settings;
    const random = new RandomSource(settings.seed);
    this.salts = Uint32Array.from({ length: settings.hashes }, () => random.nextUint32());
    this.rows = rowsOfBand(settings.threshold, settings.hashes);
    this.bands = Array.from({ length: Math.floor(settings.hashes / this.rows) }, () => new Band());
    this.signatures = new Uint32Array(256 * settings.hashes);
  }

  isDuplicate(text: string): boolean {
    const { hashes, maxDocuments } = this.settings;
    const signature = this.signatureOf(text);
    const keys = this.bands.map((_, band) => hashWords(signature.subarray(band * this.rows, (band + 1) * this.rows)));
    if (this.bands.some((band, i) => band.candidates(keys[i]).some((document) => this.isSimilar(document, signature)))) return true;
    if (this.count === maxDocuments) throw dedupFull(maxDocuments);
    if ((this.count + 1) * hashes > this.signatures.length) {
      const larger = new Uint32Array(Math.min(this.signatures.length * 2, maxDocuments * hashes));
      larger.set(this.signatures);
      this.signatures = larger;
    }
    this.signatures.set(signature, this.count * hashes);
    this.bands.forEach((band, i) => { band.add(keys[i], this.count); });
    this.count += 1;
    return false;
  }

  /** The least value of each hash function over the n-grams, [hashes] uint32. */
  private signatureOf(text: string): Uint32Array {
    const signature = new Uint32Array(this.settings.hashes).fill(0xffffffff);
    for (const shingle of shingleHashes(text, this.settings.shingleWords)) {
      for (let i = 0; i < signature.length; i++) {
        const value = mix(shingle ^ this.salts[i]);
        if (value < signature[i]) signature[i] = value;
      }
    }
    return signature;
  }

  private isSimilar(document: number, signature: Uint32Array): boolean {
    const { hashes, threshold } = this.settings;
    const start = document * hashes;
    let equal = 0;
    for (let i = 0; i < hashes; i++) if (this.signatures[start + i] === signature[i]) equal += 1;
    return equal >= threshold * hashes;
  }
}

/** Documents by the value of one band: open addressing, document + 1 in each slot, 0 where it is free. */
class Band {
  private keys = new Uint32Array(1024);
  private documents = new Uint32Array(1024);
  private count = 0;

  candidates(key: number): number[] {
    const found: number[] = [];
    const mask = this.keys.length - 1;
    for (let slot = key & mask; this.documents[slot] !== 0; slot = (slot + 1) & mask) {
      if (this.keys[slot] === key) found.push(this.documents[slot] - 1);
    }
    return found;
  }

  add(key: number, document: number): void {
    if (this.candidates(key).length >= maxCandidates) return;
    insert(this.keys, this.documents, key, document + 1);
    this.count += 1;
    if (this.count * 2 <= this.keys.length) return;
    const keys = new Uint32Array(this.keys.length * 2), documents = new Uint32Array(this.keys.length * 2);
    for (const [slot, kept] of this.documents.entries()) if (kept !== 0) insert(keys, documents, this.keys[slot], kept);
    this.keys = keys;
    this.documents = documents;
  }
}

function insert(keys: Uint32Array, documents: Uint32Array, key: number, value: number): void {
  const mask = keys.length - 1;
  let slot = key & mask;
  while (documents[slot] !== 0) slot = (slot + 1) & mask;
  keys[slot] = key;
  documents[slot] = value;
}

/** The longest band with which pairs at the threshold are still found: 1 − (1 − tʳ)ᵇ ≥ wantedRecall. */
function rowsOfBand(threshold: number, hashes: number): number {
  let rows = 1;
  while (rows < hashes && 1 - (1 - threshold ** (rows + 1)) ** Math.floor(hashes / (rows + 1)) >= wantedRecall) rows += 1;
  return rows;
}

/** Hashes of the n-grams of a normalised text; of the whole text when it has fewer words. */
function* shingleHashes(text: string, shingleWords: number): Generator<number> {
  const words = (normaliseText(text).match(/\S+/g) ?? []).map(hashText);
  const last = Math.max(0, words.length - shingleWords);
  for (let i = 0; i <= last; i++) yield hashWords(words.slice(i, i + shingleWords));
}

/** FNV-1a over UTF-16 code units, then mixed. Source: Fowler, Noll and Vo, draft-eastlake-fnv */
function hashText(word: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < word.length; i++) hash = Math.imul(hash ^ word.charCodeAt(i), 0x01000193);
  return mix(hash);
}

function hashWords(words: ArrayLike<number>): number {
  let hash = 0x9e3779b9;
  for (let i = 0; i < words.length; i++) hash = mix(Math.imul(hash, 31) ^ words[i]);
  return hash;
}

/** A bijection of the 32-bit words that spreads every bit: the finaliser of MurmurHash3 (Appleby). */
function mix(word: number): number {
  let mixed = word ^ (word >>> 16);
  mixed = Math.imul(mixed, 0x85ebca6b);
  mixed ^= mixed >>> 13;
  mixed = Math.imul(mixed, 0xc2b2ae35);
  return (mixed ^ (mixed >>> 16)) >>> 0;
}
