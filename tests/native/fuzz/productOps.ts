import * as tf from "@tensorflow/tfjs-core";
import type { Chance } from "./chance.ts";
import type { OpMaker } from "./opMakers.ts";
import { floats, ints, type Sample } from "./samples.ts";

/** A sum over k of products of values up to 3, in another order and with other roundings. */
const products = { relative: 1e-4, absolute: 1e-3 };

/** A matrix, or its transpose, below batch dimensions. */
function matrix(chance: Chance, batch: readonly number[], rows: number, columns: number, isTransposed: boolean): Sample {
  const shape = [...batch, ...(isTransposed ? [columns, rows] : [rows, columns])];
  return chance.isTrue(0.9) ? floats(chance, shape, "special") : ints(chance, shape, -9, 9);
}

const length = (chance: Chance): number => (chance.isTrue(0.05) ? 0 : chance.int(1, chance.pick([3, 20, 70])));

function operands(chance: Chance): { a: Sample; b: Sample; transposeA: boolean; transposeB: boolean; n: number } {
  const [m, n, k] = [length(chance), length(chance), length(chance)];
  const [transposeA, transposeB] = [chance.isTrue(0.5), chance.isTrue(0.5)];
  const batch = Array.from({ length: chance.int(0, 2) }, () => chance.int(1, 3));
  const partly = (): number[] => (chance.isTrue(0.7) ? batch : batch.map((size) => (chance.isTrue(0.5) ? 1 : size)));
  const a = matrix(chance, partly(), m, k, transposeA);
  const b = matrix(chance, partly(), k, n, transposeB);
  return { a, b, transposeA, transposeB, n };
}

const equations = ["ij,jk->ik", "ij,kj->ki", "bij,bjk->bik", "ij->ji", "ij->", "ijk->j", "i,i->", "i,j->ij", "ij,ij->ij", "bihd,bjhd->bhij"];

const activations = ["linear", "relu", "relu6", "elu", "sigmoid", "leakyrelu"] as const;

export const productOps: Readonly<Record<string, OpMaker>> = {
  matMul: (chance) => {
    const { a, b, transposeA, transposeB } = operands(chance);
    return { inputs: [a, b], run: ([x, y]) => tf.matMul(x, y, transposeA, transposeB), settings: { transposeA, transposeB }, ...products };
  },
  fusedMatMul: (chance) => {
    const { a, b, transposeA, transposeB, n } = operands(chance);
    const activation = chance.pick(activations);
    const bias = floats(chance, chance.isTrue(0.5) ? [n] : [1, n], "special");
    return {
      inputs: [{ ...a, dtype: "float32" }, { ...b, dtype: "float32" }, bias],
      run: ([x, y, c]) => tf.fused.matMul({ a: x, b: y, transposeA, transposeB, bias: c, activation }), settings: { transposeA, transposeB, activation }, ...products,
    };
  },
  fft: (chance) => {
    const shape = [...Array.from({ length: chance.int(0, 2) }, () => chance.int(1, 3)), chance.pick([1, 2, 3, 5, 8, 12, 16, 31, 64])];
    const isInverse = chance.isTrue(0.5);
    return {
      inputs: [floats(chance, shape, "calm"), floats(chance, shape, "calm")], settings: { isInverse }, relative: 1e-4, absolute: 1e-4,
      run: ([re, im]) => {
        const x = tf.complex(re, im);
        const y = isInverse ? tf.ifft(x) : tf.fft(x);
        return [tf.real(y), tf.imag(y)];
      },
    };
  },
  einsum: (chance) => {
    const equation = chance.pick(equations);
    const sizes: Record<string, number> = {};
    const inputs = equation.split("->")[0].split(",").map((letters) => {
      const shape = [...letters].map((letter) => (sizes[letter] ??= chance.int(1, 9)));
      return floats(chance, shape, "calm");
    });
    return { inputs, run: (tensors) => tf.einsum(equation, ...tensors), settings: equation, ...products };
  },
};
