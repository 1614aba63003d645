const MULTIPLIER = 0x5bd1e995;
const SHIFT = 24;

/** MurmurHash2, 32 bits, of a text's UTF-8 bytes: how JupyterLab names a cell's source.
 *  @param seed 32 bits
 *  @returns 0 ≤ hash < 2^32
 *  Source: Austin Appleby's MurmurHash2.cpp, github.com/aappleby/smhasher */
export function murmur2(text: string, seed: number): number {
  const bytes = Buffer.from(text, "utf8");
  const tailStart = bytes.length - bytes.length % 4;
  let hash = seed ^ bytes.length;
  for (let offset = 0; offset < tailStart; offset += 4) {
    let block = Math.imul(bytes.readInt32LE(offset), MULTIPLIER);
    block = Math.imul(block ^ (block >>> SHIFT), MULTIPLIER);
    hash = Math.imul(hash, MULTIPLIER) ^ block;
  }
  if (tailStart < bytes.length) hash = Math.imul(hash ^ bytes.readUIntLE(tailStart, bytes.length - tailStart), MULTIPLIER);
  hash = Math.imul(hash ^ (hash >>> 13), MULTIPLIER);
  return (hash ^ (hash >>> 15)) >>> 0;
}
