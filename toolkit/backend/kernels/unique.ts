import { util, type TensorInfo, type UniqueAttrs } from "@tensorflow/tfjs-core";
import type { NativeCall } from "../nativeKernel.ts";
import { tensorKernel, type NamedKernel } from "../tensorKernel.ts";
import { areNumeric, isNumericType, sizeOf } from "./shape.ts";

interface Operand {
  readonly x: TensorInfo;
}

/** Different values in the order of their first place, and for each element the number of its value. JavaScript's Map
 *  compares as tfjs does (NaN equals NaN, 0 equals −0); tfjs makes a text of each element. */
function unique({ inputs: { x }, attrs: { axis }, backend }: NativeCall<UniqueAttrs, Operand>): TensorInfo[] {
  const values = backend.values(x);
  const dtype = isNumericType(x.dtype) ? x.dtype : "float32";
  const numbers = new Map<number, number>();
  const indices = backend.allocate("int32", values.length);
  for (let i = 0; i < values.length; i += 1) {
    let number = numbers.get(values[i]);
    if (number === undefined) {
      number = numbers.size;
      numbers.set(values[i], number);
    }
    indices[i] = number;
  }
  const found = backend.allocate(dtype, numbers.size);
  for (const [value, number] of numbers) found[number] = value;
  const [at] = util.parseAxisParam(axis, x.shape);
  return [backend.output(x.shape.with(at, numbers.size), dtype, found), backend.output([values.length], "int32", indices)];
}

/** Rows that are whole vectors or matrices are left to tfjs. */
const accepts = ({ x }: Operand, { axis }: UniqueAttrs): boolean =>
  areNumeric(x) && x.shape.length > 0 && sizeOf(x.shape) > 0 && sizeOf(x.shape) === x.shape[util.parseAxisParam(axis, x.shape)[0]];

export const uniqueKernels: readonly NamedKernel[] = [tensorKernel<UniqueAttrs, Operand>("Unique", { accepts, run: unique })];
