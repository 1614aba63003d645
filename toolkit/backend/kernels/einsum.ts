import type { EinsumAttrs, TensorInfo } from "@tensorflow/tfjs-core";
import type { Floats } from "../arrays.ts";
import type { NativeCall } from "../nativeKernel.ts";
import { tensorKernel, type NamedKernel } from "../tensorKernel.ts";
import { copyBlock } from "./blockCopy.ts";
import { areFloat32, sizeOf, stridesOf } from "./shape.ts";

type Call = NativeCall<EinsumAttrs, TensorInfo[]>;
type Tools = Pick<Call, "backend" | "native">;

/** An array whose dimensions are named by letters. */
interface Term {
  readonly values: Floats;
  readonly letters: readonly string[];
  /** true when `values` came from allocate() and isn't a tensor's */
  readonly isOwn: boolean;
}

interface Equation {
  readonly inputs: readonly (readonly string[])[];
  readonly output: readonly string[];
}

function parse(equation: string): Equation {
  const [inputs, output] = equation.replace(/\s/g, "").split("->");
  return { inputs: inputs.split(",").map((term) => [...term]), output: [...output] };
}

/** Sums letters of one operand only, then multiplies two operands as batched matrices: letters of both and of the output
 *  are the batch, letters of both alone are summed. tfjs's own kernel builds the product over all letters in memory. */
function einsum({ inputs: tensors, attrs, backend, native }: Call): TensorInfo {
  const { inputs, output } = parse(attrs.equation);
  const tools = { backend, native };
  const sizes = letterSizes(inputs, tensors);
  const lengths = (letters: readonly string[]): number[] => letters.map((letter) => sizes[letter]);
  const terms = tensors.map((tensor, i) => {
    const term: Term = { values: backend.floats(tensor), letters: inputs[i], isOwn: false };
    return sumLetters(tools, term, inputs[i].filter((letter) => ![output, ...inputs.toSpliced(i, 1)].some((other) => other.includes(letter))), sizes);
  });
  const product = terms.length === 1 ? terms[0] : multiply(tools, terms[0], terms[1], output, sizes);
  const ordered = arranged(tools, product, output, sizes);
  const values = ordered.isOwn ? ordered.values : backend.copyOf("float32", ordered.values);
  return backend.activation(lengths(output), "float32", values);
}

function letterSizes(inputs: Equation["inputs"], tensors: readonly TensorInfo[]): Record<string, number> {
  return Object.fromEntries(inputs.flatMap((letters, i) => letters.map((letter, d) => [letter, tensors[i].shape[d]])));
}

/** The product of a and b, its letters in the order batch, a's own, b's own. */
function multiply(tools: Tools, a: Term, b: Term, output: readonly string[], sizes: Readonly<Record<string, number>>): Term {
  const common = a.letters.filter((letter) => b.letters.includes(letter));
  const batch = common.filter((letter) => output.includes(letter));
  const contracted = common.filter((letter) => !output.includes(letter));
  const [rows, columns] = [a, b].map(({ letters }) => letters.filter((letter) => !common.includes(letter)));
  const count = (letters: readonly string[]): number => sizeOf(letters.map((letter) => sizes[letter]));
  const left = arranged(tools, a, [...batch, ...rows, ...contracted], sizes);
  // b is multiplied as it lies when that is possible
  const isTransposed = isSame(b.letters, [...batch, ...columns, ...contracted]);
  const right = isTransposed ? b : arranged(tools, b, [...batch, ...contracted, ...columns], sizes);
  const values = tools.backend.allocate("float32", count([...batch, ...rows, ...columns]));
  tools.native.matmul(count(batch), count(rows), count(columns), count(contracted), false, isTransposed, count(batch), count(batch),
    left.values, right.values, values);
  releaseOwn(tools, left);
  releaseOwn(tools, right);
  return { values, letters: [...batch, ...rows, ...columns], isOwn: true };
}

function sumLetters(tools: Tools, term: Term, gone: readonly string[], sizes: Readonly<Record<string, number>>): Term {
  if (gone.length === 0) return term;
  const kept = term.letters.filter((letter) => !gone.includes(letter));
  const { values, isOwn } = arranged(tools, term, [...kept, ...gone], sizes);
  const length = sizeOf(gone.map((letter) => sizes[letter]));
  const out = tools.backend.allocate("float32", values.length / length);
  tools.native.sum(out.length, length, 1, 1, values, out);
  if (isOwn) tools.backend.release(values);
  return { values: out, letters: kept, isOwn: true };
}

/** The term with its dimensions in another order; the term itself when it has that order. */
function arranged(tools: Tools, term: Term, letters: readonly string[], sizes: Readonly<Record<string, number>>): Term {
  if (isSame(term.letters, letters)) return term;
  const lengths = letters.map((letter) => sizes[letter]);
  const strides = stridesOf(term.letters.map((letter) => sizes[letter]));
  const values = tools.backend.allocate("float32", term.values.length);
  copyBlock(tools.native, lengths, { values: term.values, strides: letters.map((letter) => strides[term.letters.indexOf(letter)]), offset: 0 },
    { values, strides: stridesOf(lengths), offset: 0 });
  releaseOwn(tools, term);
  return { values, letters, isOwn: true };
}

function releaseOwn({ backend }: Tools, { values, isOwn }: Term): void {
  if (isOwn) backend.release(values);
}

const isSame = (a: readonly string[], b: readonly string[]): boolean => a.length === b.length && a.every((letter, d) => letter === b[d]);

const areDifferent = (letters: readonly string[]): boolean => new Set(letters).size === letters.length;

/** What doesn't fit together is left to tfjs, which says why; so is a letter twice in the output. */
function accepts(tensors: TensorInfo[], { equation }: EinsumAttrs): boolean {
  const isPlain = /^[a-zA-Z]*(,[a-zA-Z]*)?->[a-zA-Z]*$/.test(equation.replace(/\s/g, ""));
  if (!isPlain || !areFloat32(...tensors) || tensors.some(({ shape }) => sizeOf(shape) === 0)) return false;
  const { inputs, output } = parse(equation);
  if (inputs.length !== tensors.length || ![...inputs, output].every(areDifferent)) return false;
  const sizes = letterSizes(inputs, tensors);
  return output.every((letter) => letter in sizes)
    && inputs.every((letters, i) => letters.length === tensors[i].shape.length && letters.every((letter, d) => tensors[i].shape[d] === sizes[letter]));
}

export const einsumKernels: readonly NamedKernel[] = [tensorKernel<EinsumAttrs, TensorInfo[]>("Einsum", { accepts, run: einsum })];
