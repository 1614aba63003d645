import type * as tf from "@tensorflow/tfjs-core";
import { DataError, ShapeError } from "../errors.ts";

/** A tensor, its shape in letters and its dtype (float32 when left out). One word a dimension: a letter, "2*H",
 *  "N*K" or "E+1"; "..." at the start stands for any leading dimensions. */
export type ShapedInput = readonly [tensor: tf.Tensor, letters: string, dtype?: "float32" | "int32"];

/** Checks that the same letter has the same size everywhere and returns the sizes.
 *  @param op name of the op, for the error text
 *  @param inputs in the order in which letters are bound; a word like "2*H" needs H bound or divides to bind it
 *  @throws ShapeError E_SHAPE_DTYPE, E_SHAPE_RANK, E_SHAPE_SIZE */
export function checkShapes(op: string, inputs: Readonly<Record<string, ShapedInput>>): Record<string, number> {
  const sizes: Record<string, number> = {};
  for (const [name, [tensor, letters, dtype = "float32"]] of Object.entries(inputs)) {
    const words = letters === "" ? [] : letters.split(" ");
    const wanted = `[${words.join(", ")}] ${dtype}`;
    const got = `[${tensor.shape.join(", ")}] ${tensor.dtype}`;
    const refuse = (code: string, why: string): never => {
      throw new ShapeError({ code, what: `${op} got ${name} ${got}`, why, fix: `pass ${name} as ${wanted}` });
    };
    if (tensor.dtype !== dtype) refuse("E_SHAPE_DTYPE", `${name} has to be ${dtype}`);
    let shape = tensor.shape;
    if (words[0] === "...") {
      words.shift();
      shape = words.length > shape.length ? shape : shape.slice(shape.length - words.length);
    }
    if (shape.length !== words.length) refuse("E_SHAPE_RANK", `${name} has the wrong number of dimensions for ${wanted}`);
    words.forEach((word, axis) => {
      const size = expectedSize(word, sizes) ?? bind(word, shape[axis], sizes);
      if (size !== shape[axis]) refuse("E_SHAPE_SIZE", `dimension ${word} is ${shape[axis]}, but the inputs before it make it ${size}`);
    });
  }
  return sizes;
}

/** Size of a word all of whose letters are bound, else undefined. */
function expectedSize(word: string, sizes: Record<string, number>): number | undefined {
  const [, left, operator, right] = /^(\w+)(?:([*+])(\w+))?$/.exec(word) ?? [];
  const value = (term: string): number | undefined => (/^\d+$/.test(term) ? Number(term) : sizes[term]);
  const a = value(left);
  if (operator === undefined || a === undefined) return a;
  const b = value(right);
  if (b === undefined) return undefined;
  return operator === "*" ? a * b : a + b;
}

/** Binds the letter of "H" or "2*H" from a measured size; returns the size the word then has. */
function bind(word: string, size: number, sizes: Record<string, number>): number {
  const [, factor, letter] = /^(?:(\d+)\*)?(\w+)$/.exec(word) ?? [];
  sizes[letter] = Math.floor(size / Number(factor ?? 1));
  return sizes[letter] * Number(factor ?? 1);
}

/** Checks host values against 0 ≤ value < size.
 *  @param isUsed which values count (default: all)
 *  @throws DataError E_INDEX_RANGE naming the first bad one */
export function checkRange(op: string, name: string, values: ArrayLike<number>, size: number, isUsed?: (i: number) => boolean): void {
  for (let i = 0; i < values.length; i++) {
    if ((values[i] >= 0 && values[i] < size) || (isUsed && !isUsed(i))) continue;
    throw new DataError({
      code: "E_INDEX_RANGE", what: `${op} got ${name}[${i}] = ${values[i]}`,
      why: `${name} have to be from 0 to ${size - 1}`, fix: `pass ${name} that were made for ${size} of them, e.g. by a tokenizer with this vocabulary or a router with these experts`,
    });
  }
}

/** Checks that offsets start at 0, never fall and end at numSlots.
 *  @returns the offsets
 *  @throws DataError E_OFFSETS */
export function checkOffsets(op: string, offsets: Int32Array, numSlots: number): Int32Array {
  const isRising = offsets.every((offset, e) => e === 0 || offset >= offsets[e - 1]);
  if (!isRising || offsets[0] !== 0 || offsets[offsets.length - 1] !== numSlots) {
    throw new DataError({
      code: "E_OFFSETS", what: `${op} got offsets that don't divide its ${numSlots} rows among the experts`,
      why: "they have to start at 0, never fall and end at the number of rows", fix: "take them from planDispatch",
    });
  }
  return offsets;
}
