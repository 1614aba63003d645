import { Buffer } from "../runner/intrinsics.ts";

/** What the first bytes of an image file say. */
export interface ImageFacts {
  readonly mime: "image/png" | "image/jpeg" | "image/gif" | "image/webp";
  /** Size in px, or null where it isn't read. */
  readonly size: readonly [width: number, height: number] | null;
}

/** Recognizes PNG, JPEG, GIF and WebP by their first bytes.
 *  Sources: W3C PNG 5.2; ITU-T T.81 B.1; GIF89a 17; RFC 9649 */
export function imageFacts(bytes: Uint8Array): ImageFacts | null {
  const data = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (startsWith(data, [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a])) {
    return { mime: "image/png", size: data.length >= 24 ? [data.readUInt32BE(16), data.readUInt32BE(20)] : null };
  }
  if (startsWith(data, [0xff, 0xd8, 0xff])) return { mime: "image/jpeg", size: jpegSize(data) };
  if (/^GIF8[79]a/.test(data.toString("latin1", 0, 6))) return { mime: "image/gif", size: data.length >= 10 ? [data.readUInt16LE(6), data.readUInt16LE(8)] : null };
  if (data.toString("latin1", 0, 4) === "RIFF" && data.toString("latin1", 8, 12) === "WEBP") return { mime: "image/webp", size: null };
  return null;
}

function startsWith(data: Buffer, magic: readonly number[]): boolean {
  return magic.every((byte, index) => data[index] === byte);
}

/** The frame header, SOF0 … SOF15 without the tables DHT, JPG and DAC, holds height and width. */
function jpegSize(data: Buffer): readonly [number, number] | null {
  let offset = 2;
  while (offset + 9 <= data.length && data[offset] === 0xff) {
    const marker = data[offset + 1] ?? 0;
    if (marker >= 0xc0 && marker <= 0xcf && ![0xc4, 0xc8, 0xcc].includes(marker)) return [data.readUInt16BE(offset + 7), data.readUInt16BE(offset + 5)];
    offset += 2 + data.readUInt16BE(offset + 2);
  }
  return null;
}
