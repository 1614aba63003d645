import { util, type TensorInfo, type UniqueAttrs } from "@tensorflow/tfjs-core";
import { hostArrayOfType, type HostArrayOfType, type NumericType } from "../arrays.ts";
import type { NativeCall } from "../nativeKernel.ts";
import { tensorKernel, type NamedKernel } from "../tensorKernel.ts";
import { areNumeric, isNumericType, sizeOf } from "./shape.ts";

interface Operand {
  readonly x: TensorInfo;
}

/** On the host: different values in the order of their first place, and for each element the number of its value. */
function unique({ inputs: { x }, attrs: { axis }, backend }: NativeCall<UniqueAttrs, Operand>): TensorInfo[] {
  const dtype = isNumericType(x.dtype) ? x.dtype : "float32";
  const values = backend.hostCopy(x, dtype);
  const numbers = new Int32Array(values.length);
  const first = numberValues(values, numbers);
  const found = new hostArrayOfType[dtype](first.length);
  first.forEach((place, number) => { found[number] = values[place]; });
  const [at] = util.parseAxisParam(axis, x.shape);
  return [backend.fromHost(x.shape.with(at, first.length), dtype, found), backend.fromHost([values.length], "int32", numbers)];
}

/** Numbers the values in a hash table with open addressing. As in tfjs, NaN equals NaN and 0 equals −0.
 *  @param numbers gets the number of each element's value
 *  @returns the first place of each value */
function numberValues(values: HostArrayOfType[NumericType], numbers: Int32Array): number[] {
  const mask = 2 ** Math.ceil(Math.log2(2 * values.length)) - 1;
  const table = new Int32Array(mask + 1).fill(-1);
  const scratch = new Float64Array(1);
  const bits = new Uint32Array(scratch.buffer);
  const first: number[] = [];
  for (let i = 0; i < values.length; i += 1) {
    const value = values[i] + 0; // −0 becomes 0
    scratch[0] = Number.isNaN(value) ? NaN : value;
    // Multiplying by an odd constant spreads the bits upwards. Source: Knuth, TAOCP 3, section 6.4
    const hash = Math.imul(bits[0] ^ bits[1], 0x9e3779b1);
    let at = (hash ^ (hash >>> 15)) & mask;
    while (table[at] >= 0 && !isSame(values[first[table[at]]], value)) at = (at + 1) & mask;
    if (table[at] < 0) table[at] = first.push(i) - 1;
    numbers[i] = table[at];
  }
  return first;
}

const isSame = (a: number, b: number): boolean => a === b || (Number.isNaN(a) && Number.isNaN(b));

/** Rows that are whole vectors or matrices are left to tfjs. */
const accepts = ({ x }: Operand, { axis }: UniqueAttrs): boolean =>
  areNumeric(x) && x.shape.length > 0 && sizeOf(x.shape) > 0 && sizeOf(x.shape) === x.shape[util.parseAxisParam(axis, x.shape)[0]];

export const uniqueKernels: readonly NamedKernel[] = [tensorKernel<UniqueAttrs, Operand>("Unique", { accepts, run: unique })];
