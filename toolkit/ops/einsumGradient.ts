import * as tf from "@tensorflow/tfjs-core";
import { ShapeError } from "../errors.ts";

/** The gradient of each operand is again an einsum, of the output's gradient and the other operand. A letter that only
 *  this operand has was summed away: the gradient is the same all along it. */
tf.registerGradient({
  kernelName: tf.Einsum,
  saveAllInputs: true,
  gradFunc: (dy, operands, attrs) => {
    const { operandLetters, outputLetters } = readEquation(attrs.equation as string); // einsum has no other attribute
    const output: Term = { tensor: dy as tf.Tensor, letters: outputLetters };
    const terms = operands.map((tensor, i): Term => ({ tensor, letters: operandLetters[i] }));
    return Object.fromEntries(terms.map((term, i) => [i, () => gradientOf(term, output, terms.filter((_, j) => j !== i))]));
  },
});

interface Term {
  readonly tensor: tf.Tensor;
  /** one for each dimension */
  readonly letters: string;
}

function gradientOf(operand: Term, output: Term, others: readonly Term[]): tf.Tensor {
  const letters = [...operand.letters];
  const isShared = letters.map((letter) => [output, ...others].some((term) => term.letters.includes(letter)));
  const target = letters.filter((_, d) => isShared[d]).join("");
  // A letter of one term only is summed before: tfjs's einsum of two operands can't do it.
  const factors = [output, ...others].map((term, i, all) =>
    summed(term, (letter) => target.includes(letter) || all.some((other, j) => j !== i && other.letters.includes(letter))));
  const shared = tf.einsum(`${factors.map((factor) => factor.letters).join(",")}->${target}`, ...factors.map(({ tensor }) => tensor));
  const withSummed = tf.reshape(shared, operand.tensor.shape.map((size, d) => (isShared[d] ? size : 1)));
  return tf.broadcastTo(withSummed, operand.tensor.shape);
}

/** The term summed over the letters that aren't kept. */
function summed({ tensor, letters }: Term, isKept: (letter: string) => boolean): Term {
  const axes = [...letters].flatMap((letter, d) => (isKept(letter) ? [] : [d]));
  return { tensor: axes.length === 0 ? tensor : tf.sum(tensor, axes), letters: [...letters].filter(isKept).join("") };
}

/** @throws ShapeError E_EINSUM_OUTPUT where tfjs's einsum computes something else than the equation says */
function readEquation(equation: string): { operandLetters: string[]; outputLetters: string } {
  const [inputs, outputLetters] = equation.replace(/\s/g, "").split("->");
  if (new Set(outputLetters).size !== outputLetters.length) {
    throw new ShapeError({
      code: "E_EINSUM_OUTPUT", what: `einsum has no gradient for "${equation}"`,
      why: "tfjs doesn't support an output with the same letter twice", fix: "name each letter of the output once",
    });
  }
  return { operandLetters: inputs.split(","), outputLetters };
}
