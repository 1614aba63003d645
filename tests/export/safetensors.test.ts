import { describe, expect, test } from "vitest";
import { FileFormatError } from "../../toolkit/errors.ts";
import { readSafetensors, writeSafetensors } from "../../toolkit/export/safetensors.ts";

const arrays = new Map([
  ["layers.0.gate", { dtype: "float32" as const, shape: [2, 2], data: Float32Array.of(1, -2, 0.5, Infinity) }],
  ["ids", { dtype: "int32" as const, shape: [3], data: Int32Array.of(1, 2, -3) }],
  ["empty", { dtype: "float32" as const, shape: [0, 4], data: new Float32Array(0) }],
]);

/** A file put together by hand from the published format. */
function handMade(header: object, data: Uint8Array, claimedLength?: number): Buffer {
  const json = Buffer.from(JSON.stringify(header));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(claimedLength ?? json.length));
  return Buffer.concat([length, json, data]);
}

describe("safetensors", () => {
  test("a file made by hand from the published format is read", () => {
    const file = handMade({ a: { dtype: "F32", shape: [2], data_offsets: [0, 8] } }, new Uint8Array(Float32Array.of(1.5, -3).buffer));
    expect(readSafetensors(file).arrays.get("a")).toEqual({ dtype: "float32", shape: [2], data: Float32Array.of(1.5, -3) });
  });

  test("what is written has header length, JSON header and little-endian data where the format says", () => {
    const file = Buffer.from(writeSafetensors(arrays, { format: "pt" }));
    const headerLength = Number(file.readBigUInt64LE(0));
    expect(headerLength % 8).toBe(0);
    const header = JSON.parse(file.toString("utf8", 8, 8 + headerLength)) as Record<string, unknown>;
    expect(header["layers.0.gate"]).toEqual({ dtype: "F32", shape: [2, 2], data_offsets: [0, 16] });
    expect(header.__metadata__).toEqual({ format: "pt" });
    expect(file.readFloatLE(8 + headerLength + 4)).toBe(-2);
    expect(file.readInt32LE(8 + headerLength + 16 + 8)).toBe(-3);
    expect(file.length).toBe(8 + headerLength + 28);
  });

  test("reading gives back what was written, also from an unaligned buffer", () => {
    const file = writeSafetensors(arrays);
    const shifted = Buffer.concat([Buffer.from([0]), file]).subarray(1);
    expect(readSafetensors(shifted).arrays).toEqual(arrays);
  });

  test.each<[string, Buffer, string]>([
    ["shorter than its header length", Buffer.from([1, 2, 3]), "E_SAFETENSORS_CORRUPT"],
    ["with a header longer than the file", handMade({}, new Uint8Array(0), 1000), "E_SAFETENSORS_CORRUPT"],
    ["with a header that isn't JSON", Buffer.concat([handMade({}, new Uint8Array(0), 4), Buffer.from("xx")]), "E_SAFETENSORS_CORRUPT"],
    ["with data cut short", handMade({ a: { dtype: "F32", shape: [2], data_offsets: [0, 8] } }, new Uint8Array(7)), "E_SAFETENSORS_CORRUPT"],
    ["with offsets that don't fit the shape", handMade({ a: { dtype: "F32", shape: [2], data_offsets: [0, 4] } }, new Uint8Array(8)), "E_SAFETENSORS_CORRUPT"],
    ["with a negative offset", handMade({ a: { dtype: "F32", shape: [2], data_offsets: [-8, 0] } }, new Uint8Array(8)), "E_SAFETENSORS_CORRUPT"],
    ["of another dtype", handMade({ a: { dtype: "F64", shape: [1], data_offsets: [0, 8] } }, new Uint8Array(8)), "E_SAFETENSORS_DTYPE"],
  ])("a file %s is refused", (_, file, code) => {
    let error: unknown;
    try { readSafetensors(file, "x.safetensors"); } catch (e) { error = e; }
    expect(error).toBeInstanceOf(FileFormatError);
    expect(error).toMatchObject({ code });
  });
});
