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
  for (const name in inputs) {
    const [tensor, letters, dtype = "float32"] = inputs[name];
    const { words, isTail } = specOf(letters);
    const refuse = (code: string, why: string): never => {
      const wanted = `[${letters.split(" ").join(", ")}] ${dtype}`;
      throw new ShapeError({ code, what: `${op} got ${name} [${tensor.shape.join(", ")}] ${tensor.dtype}`, why, fix: `pass ${name} as ${wanted}` });
    };
    if (tensor.dtype !== dtype) refuse("E_SHAPE_DTYPE", `${name} has to be ${dtype}`);
    const skipped = isTail ? Math.max(0, tensor.shape.length - words.length) : 0;
    if (tensor.shape.length - skipped !== words.length) refuse("E_SHAPE_RANK", `${name} has the wrong number of dimensions for [${letters.split(" ").join(", ")}]`);
    words.forEach((word, axis) => {
      const given = tensor.shape[skipped + axis];
      const size = expectedSize(word, sizes) ?? bind(word, given, sizes);
      if (size !== given) refuse("E_SHAPE_SIZE", `dimension ${word.text} is ${given}, but the inputs before it make it ${size}`);
    });
  }
  return sizes;
}

/** One dimension: a term, or two with an operator between them. */
interface Word {
  readonly text: string;
  readonly left: string | number;
  readonly operator?: string;
  readonly right?: string | number;
}

interface Spec {
  readonly words: readonly Word[];
  /** true after "...": the words stand for the last dimensions */
  readonly isTail: boolean;
}

/** Ops check the same few shapes at every call: each is taken apart once. */
const specs = new Map<string, Spec>();

function specOf(letters: string): Spec {
  const known = specs.get(letters);
  if (known) return known;
  const texts = letters === "" ? [] : letters.split(" ");
  const isTail = texts[0] === "...";
  const spec = { isTail, words: (isTail ? texts.slice(1) : texts).map(wordOf) };
  specs.set(letters, spec);
  return spec;
}

function wordOf(text: string): Word {
  const [, left, operator, right] = /^(\w+)(?:([*+])(\w+))?$/.exec(text) ?? [];
  const term = (name: string): string | number => (/^\d+$/.test(name) ? Number(name) : name);
  return operator === undefined ? { text, left: term(left) } : { text, left: term(left), operator, right: term(right) };
}

/** Size of a word all of whose letters are bound, else undefined. */
function expectedSize({ left, operator, right }: Word, sizes: Record<string, number>): number | undefined {
  const value = (term: string | number): number | undefined => (typeof term === "number" ? term : sizes[term]);
  const a = value(left);
  if (operator === undefined || right === undefined || a === undefined) return a;
  const b = value(right);
  if (b === undefined) return undefined;
  return operator === "*" ? a * b : a + b;
}

/** Binds the letter of "H" or "2*H" from a measured size; returns the size the word then has. */
function bind({ left, right }: Word, size: number, sizes: Record<string, number>): number {
  const factor = typeof left === "number" ? left : 1;
  const letter = typeof left === "number" ? right : left;
  if (typeof letter !== "string") return size;
  sizes[letter] = Math.floor(size / factor);
  return sizes[letter] * factor;
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
