import { FileFormatError } from "../errors.ts";

/** One array of a safetensors file. */
export interface NamedArray {
  readonly dtype: "float32" | "int32";
  readonly shape: readonly number[];
  readonly data: Float32Array | Int32Array;
}

const dtypeNames = { float32: "F32", int32: "I32" } as const;
const bytesPerElement = 4;
/** Headers larger than this are refused, as the format's own readers do (safetensors 0.4: 100 MB). */
const maxHeaderBytes = 100_000_000;

/** Writes the safetensors format: 8 bytes little-endian header length, JSON header, little-endian data.
 *  Source: huggingface/safetensors, section Format of its README */
export function writeSafetensors(arrays: ReadonlyMap<string, NamedArray>, metadata: Record<string, string> = {}): Uint8Array {
  const header: Record<string, unknown> = { __metadata__: metadata };
  let offset = 0;
  for (const [name, { dtype, shape, data }] of arrays) {
    header[name] = { dtype: dtypeNames[dtype], shape, data_offsets: [offset, offset + data.byteLength] };
    offset += data.byteLength;
  }
  // Spaces behind the header keep the data 8-byte aligned, so that readers can map it.
  const json = Buffer.from(JSON.stringify(header));
  const headerBytes = Math.ceil(json.length / 8) * 8;
  const file = Buffer.alloc(8 + headerBytes + offset, " ");
  file.writeBigUInt64LE(BigInt(headerBytes), 0);
  json.copy(file, 8);
  let position = 8 + headerBytes;
  for (const { data } of arrays.values()) {
    file.set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength), position);
    position += data.byteLength;
  }
  return file;
}

function corrupt(file: string, why: string): FileFormatError {
  return new FileFormatError({
    code: "E_SAFETENSORS_CORRUPT", what: `${file} is not a whole safetensors file`, why,
    fix: "use an earlier checkpoint, or write the file again",
  });
}

function parseHeader(bytes: Buffer, file: string): { header: Record<string, unknown>; dataStart: number } {
  if (bytes.length < 8) throw corrupt(file, `it has ${bytes.length} bytes, fewer than the 8 of the header length`);
  const headerBytes = bytes.readBigUInt64LE(0);
  if (headerBytes > maxHeaderBytes || 8 + Number(headerBytes) > bytes.length) {
    throw corrupt(file, `its header claims ${headerBytes} bytes and the file has ${bytes.length}`);
  }
  const dataStart = 8 + Number(headerBytes);
  try {
    const header: unknown = JSON.parse(bytes.toString("utf8", 8, dataStart));
    if (typeof header !== "object" || header === null || Array.isArray(header)) throw corrupt(file, "its header is not a JSON object");
    return { header: header as Record<string, unknown>, dataStart };
  } catch (error) {
    if (error instanceof SyntaxError) throw corrupt(file, "its header is not JSON");
    throw error;
  }
}

function isCountArray(value: unknown): value is number[] {
  return Array.isArray(value) && value.every((item) => Number.isSafeInteger(item) && item >= 0);
}

/** Reads float32 and int32 arrays; every length and offset is checked.
 *  @param file name for error texts
 *  @throws FileFormatError E_SAFETENSORS_CORRUPT, E_SAFETENSORS_DTYPE */
export function readSafetensors(bytes: Uint8Array, file = "the file"): { arrays: Map<string, NamedArray>; metadata: Record<string, string> } {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const { header, dataStart } = parseHeader(buffer, file);
  const arrays = new Map<string, NamedArray>();
  let metadata: Record<string, string> = {};
  for (const [name, value] of Object.entries(header)) {
    if (name === "__metadata__") { metadata = value as Record<string, string>; continue; }
    const { dtype, shape, data_offsets: offsets } = value as { dtype: unknown; shape: unknown; data_offsets: unknown };
    if (!isCountArray(shape) || !isCountArray(offsets) || offsets.length !== 2) throw corrupt(file, `the entry ${name} has no shape or offsets`);
    if (dtype !== "F32" && dtype !== "I32") {
      throw new FileFormatError({
        code: "E_SAFETENSORS_DTYPE", what: `${name} in ${file} has dtype ${String(dtype)}`,
        why: "only F32 and I32 are read here", fix: "convert the file to F32",
      });
    }
    const [start, end] = offsets;
    const byteLength = shape.reduce((product, size) => product * size, 1) * bytesPerElement;
    if (end - start !== byteLength || dataStart + end > buffer.length) throw corrupt(file, `the data of ${name} is cut short`);
    // A copy, because the data may lie unaligned in the file.
    const data = buffer.buffer.slice(buffer.byteOffset + dataStart + start, buffer.byteOffset + dataStart + end);
    arrays.set(name, dtype === "F32" ? { dtype: "float32", shape, data: new Float32Array(data) } : { dtype: "int32", shape, data: new Int32Array(data) });
  }
  return { arrays, metadata };
}
