import { util, type CastAttrs, type DataType, type FillAttrs, type TensorInfo } from "@tensorflow/tfjs-core";
import type { NumericType } from "../arrays.ts";
import type { NativeCall } from "../nativeKernel.ts";
import { tensorKernel, type NamedKernel } from "../tensorKernel.ts";
import { areNumeric, isNumericType, sizeOf } from "./shape.ts";

interface Operand {
  readonly x: TensorInfo;
}
type Tools = Pick<NativeCall, "backend">;

function filled({ backend }: Tools, shape: number[], dtype: NumericType, value: number): TensorInfo {
  const out = backend.allocate(dtype, sizeOf(shape));
  backend.fill(out, value);
  return backend.output(shape, dtype, out);
}

const fillType = ({ dtype, value }: FillAttrs): DataType => dtype ?? util.inferDtype(value);

function fill({ attrs, backend }: NativeCall<FillAttrs, unknown>): TensorInfo {
  const dtype = fillType(attrs);
  return filled({ backend }, attrs.shape, isNumericType(dtype) ? dtype : "float32", Number(attrs.value));
}

function like(value: number, { inputs: { x }, backend }: NativeCall<unknown, Operand>): TensorInfo {
  return filled({ backend }, x.shape, isNumericType(x.dtype) ? x.dtype : "float32", value);
}

/** Conversion to another dtype, as JavaScript converts: float32 to int32 drops the fraction, all but 0 is true. */
function cast({ inputs: { x }, attrs, backend, native }: NativeCall<CastAttrs, Operand>): TensorInfo {
  const size = sizeOf(x.shape);
  switch (attrs.dtype) {
    case "int32": {
      const out = backend.allocate("int32", size);
      if (x.dtype === "bool") native.bytesToInts(size, backend.bytes(x), out);
      else native.floatsToInts(size, backend.floats(x), out);
      return backend.output(x.shape, "int32", out);
    }
    case "bool": {
      const out = backend.allocate("bool", size);
      if (x.dtype === "int32") native.intsToBytes(size, backend.ints(x), out);
      else native.floatsToBytes(size, backend.floats(x), out);
      return backend.output(x.shape, "bool", out);
    }
    default: {
      const out = backend.allocate("float32", size);
      if (x.dtype === "bool") native.bytesToFloats(size, backend.bytes(x), out);
      else native.intsToFloats(size, backend.ints(x), out);
      return backend.output(x.shape, "float32", out);
    }
  }
}

const accepts = ({ x }: Operand): boolean => areNumeric(x);

export const fillingKernels: readonly NamedKernel[] = [
  tensorKernel<FillAttrs, unknown>("Fill", {
    accepts: (_, attrs) => isNumericType(fillType(attrs)) && typeof attrs.value !== "string", run: fill,
  }),
  tensorKernel<unknown, Operand>("ZerosLike", { accepts, run: (call) => like(0, call) }),
  tensorKernel<unknown, Operand>("OnesLike", { accepts, run: (call) => like(1, call) }),
  // A cast to the same dtype shares the data, which tfjs's own kernel does.
  tensorKernel<CastAttrs, Operand>("Cast", { accepts: ({ x }, { dtype }) => areNumeric(x) && isNumericType(dtype) && x.dtype !== dtype, run: cast }),
];
