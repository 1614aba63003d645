import {
  backend_util, util, type GatherV2Attrs, type OneHotAttrs, type ScatterNdAttrs, type TensorInfo, type UnsortedSegmentSumAttrs,
} from "@tensorflow/tfjs-core";
import { ShapeError } from "../../errors.ts";
import type { NativeCall } from "../nativeKernel.ts";
import type { NativeBackend } from "../storage.ts";
import { tensorKernel, type NamedKernel } from "../tensorKernel.ts";
import { areNumeric, isNumericType, sizeOf } from "./shape.ts";

interface GatherInputs {
  readonly x: TensorInfo;
  readonly indices: TensorInfo;
}

function gather({ inputs: { x, indices }, attrs, backend, native }: NativeCall<GatherV2Attrs, GatherInputs>): TensorInfo {
  const [axis] = util.parseAxisParam(attrs.axis, x.shape);
  const { batchSize, outerSize, dimSize, sliceSize, outputShape } =
    backend_util.segment_util.collectGatherOpShapeInfo(tensorLike(x), tensorLike(indices), axis, attrs.batchDims ?? 0);
  const rows = backend.ints(indices);
  const wrong = rows.find((row) => row < 0 || row >= dimSize);
  if (wrong !== undefined) throw outsideDimension(wrong, dimSize);
  const dtype = isNumericType(x.dtype) ? x.dtype : "float32";
  const out = backend.allocate(dtype, sizeOf(outputShape));
  const count = batchSize === 0 ? 0 : rows.length / batchSize;
  native.gather(batchSize, outerSize, dimSize, sliceSize, count, rows, backend.values(x), out);
  return backend.activation(outputShape, dtype, out);
}

function outsideDimension(index: number, length: number): ShapeError {
  return new ShapeError({
    code: "E_GATHER_INDEX", what: `GatherV2: the index value ${index} is not in [0, ${length - 1}]`,
    why: "an index must name a row of the dimension that is gathered", fix: "check where the indices come from",
  });
}

/** collectGatherOpShapeInfo is typed for whole tensors but reads shapes only. */
function tensorLike(info: TensorInfo): TensorInfo & { readonly rank: number; readonly size: number } {
  return { ...info, rank: info.shape.length, size: sizeOf(info.shape) };
}

interface ScatterInputs {
  readonly indices: TensorInfo;
  readonly updates: TensorInfo;
}

/** Sums updates into a zero tensor of attrs.shape; each row of indices names a place in its first dimensions. */
function scatterNd({ inputs: { indices, updates }, attrs: { shape }, backend, native }: NativeCall<ScatterNdAttrs, ScatterInputs>): TensorInfo {
  const { sliceRank, numUpdates, sliceSize, strides, outputSize } = backend_util.calculateShapes(updates, indices, shape);
  const places = placesOf(backend, "scatterND", indices, numUpdates, sliceRank, strides, shape);
  const dtype = updates.dtype === "int32" ? "int32" : "float32";
  const out = backend.allocate(dtype, outputSize);
  if (out instanceof Int32Array) native.scatterAddInts(outputSize / sliceSize, sliceSize, numUpdates, places, backend.ints(updates), out);
  else native.scatterAdd(outputSize / sliceSize, sliceSize, numUpdates, places, backend.floats(updates), out);
  backend.release(places);
  return backend.output(shape, dtype, out);
}

/** Numbers of the slices that the rows of indices [count, sliceRank] name, to be released; strides are in slices.
 *  @throws ShapeError E_INDEX_OUTSIDE */
function placesOf(backend: NativeBackend, op: string, indices: TensorInfo, count: number, sliceRank: number, strides: readonly number[], shape: readonly number[]): Int32Array {
  const rows = backend.ints(indices);
  const places = backend.allocate("int32", count);
  for (let i = 0; i < count; i += 1) {
    places[i] = 0;
    for (let d = 0; d < sliceRank; d += 1) {
      const index = rows[i * sliceRank + d];
      if (index < 0 || index >= shape[d]) throw outside(op, rows.subarray(i * sliceRank, (i + 1) * sliceRank), shape);
      places[i] += index * strides[d];
    }
  }
  return places;
}

interface GatherNdInputs {
  readonly params: TensorInfo;
  readonly indices: TensorInfo;
}

/** Slices of params that the rows of indices name. */
function gatherNd({ inputs: { params, indices }, backend, native }: NativeCall<unknown, GatherNdInputs>): TensorInfo {
  const [shape, numSlices, sliceSize, strides] = backend_util.prepareAndValidate(params, indices);
  const places = placesOf(backend, "gatherND", indices, numSlices, strides.length, strides, params.shape);
  const dtype = isNumericType(params.dtype) ? params.dtype : "float32";
  const out = backend.allocate(dtype, numSlices * sliceSize);
  native.gather(1, 1, sizeOf(params.shape) / sliceSize, sliceSize, numSlices, places, backend.values(params), out);
  backend.release(places);
  return backend.activation(shape, dtype, out);
}

interface ScatterUpdateInputs extends ScatterInputs {
  readonly tensor: TensorInfo;
}

/** A copy of tensor with slices replaced, the last update of a place winning. (tfjs's own kernel overwrites its input.) */
function tensorScatterUpdate({ inputs: { tensor, indices, updates }, backend }: NativeCall<unknown, ScatterUpdateInputs>): TensorInfo {
  const { sliceRank, numUpdates, sliceSize, strides, outputSize } = backend_util.calculateShapes(updates, indices, tensor.shape);
  const dtype = isNumericType(tensor.dtype) ? tensor.dtype : "float32";
  const out = backend.allocate(dtype, outputSize);
  out.set(backend.values(tensor));
  const rows = backend.values(updates);
  const places = placesOf(backend, "tensorScatterUpdate", indices, numUpdates, sliceRank, strides, tensor.shape);
  places.forEach((place, i) => { out.set(rows.subarray(i * sliceSize, (i + 1) * sliceSize), place * sliceSize); });
  backend.release(places);
  return backend.output(tensor.shape, dtype, out);
}

function outside(op: string, place: Int32Array, shape: readonly number[]): ShapeError {
  return new ShapeError({
    code: "E_INDEX_OUTSIDE", what: `${op} got the index [${place.join(", ")}]`,
    why: `Invalid indices: ${place.join(",")} does not index into ${shape.join(",")}`, fix: "keep every index inside the shape",
  });
}

interface SegmentInputs {
  readonly x: TensorInfo;
  readonly segmentIds: TensorInfo;
}

/** Sums rows of x by segment into float32, as tfjs does for int32 too; ids outside 0 … numSegments − 1 are left out. */
function segmentSum({ inputs: { x, segmentIds }, attrs: { numSegments }, backend, native }: NativeCall<UnsortedSegmentSumAttrs, SegmentInputs>): TensorInfo {
  const rowShape = x.shape.slice(1);
  const slice = sizeOf(rowShape);
  const size = sizeOf(x.shape);
  const rows = x.dtype === "int32" ? backend.allocate("float32", size) : backend.floats(x);
  if (x.dtype === "int32") native.intsToFloats(size, backend.ints(x), rows);
  const out = backend.allocate("float32", numSegments * slice);
  native.scatterAdd(numSegments, slice, x.shape[0], backend.ints(segmentIds), rows, out);
  if (x.dtype === "int32") backend.release(rows);
  return backend.output([numSegments, ...rowShape], "float32", out);
}

interface SelectInputs {
  readonly condition: TensorInfo;
  readonly t: TensorInfo;
  readonly e: TensorInfo;
}

function select({ inputs: { condition, t, e }, backend, native }: NativeCall<unknown, SelectInputs>): TensorInfo {
  const size = sizeOf(t.shape);
  const dtype = isNumericType(t.dtype) ? t.dtype : "float32";
  const out = backend.allocate(dtype, size);
  native.select(size, backend.bytes(condition), backend.values(t), backend.values(e), out);
  return backend.activation(t.shape, dtype, out);
}

interface OneHotInputs {
  readonly indices: TensorInfo;
}

/** Writes one value a row, so JavaScript is as fast as the addon. */
function oneHot({ inputs: { indices }, attrs: { dtype, depth, onValue, offValue }, backend }: NativeCall<OneHotAttrs, OneHotInputs>): TensorInfo {
  const type = isNumericType(dtype) ? dtype : "float32";
  const ids = backend.ints(indices);
  const out = backend.allocate(type, ids.length * depth);
  out.fill(offValue);
  ids.forEach((id, row) => {
    if (id >= 0 && id < depth) out[row * depth + id] = onValue;
  });
  return backend.output([...indices.shape, depth], type, out);
}

const areSummable = (x: TensorInfo): boolean => x.dtype === "float32" || x.dtype === "int32";

export const indexingKernels: readonly NamedKernel[] = [
  tensorKernel<GatherV2Attrs, GatherInputs>("GatherV2", { accepts: ({ x, indices }) => areNumeric(x) && indices.dtype === "int32", run: gather }),
  tensorKernel<unknown, GatherNdInputs>("GatherNd", { accepts: ({ params, indices }) => areNumeric(params) && indices.dtype === "int32" && sizeOf(indices.shape) > 0, run: gatherNd }),
  tensorKernel<ScatterNdAttrs, ScatterInputs>("ScatterNd", {
    accepts: ({ indices, updates }, { shape }) => areSummable(updates) && indices.dtype === "int32" && sizeOf(shape) > 0, run: scatterNd,
  }),
  tensorKernel<unknown, ScatterUpdateInputs>("TensorScatterUpdate", {
    accepts: ({ tensor, indices, updates }) => areNumeric(tensor, updates) && indices.dtype === "int32" && updates.shape.length > 0, run: tensorScatterUpdate,
  }),
  tensorKernel<UnsortedSegmentSumAttrs, SegmentInputs>("UnsortedSegmentSum", {
    accepts: ({ x, segmentIds }) => areSummable(x) && segmentIds.dtype === "int32" && segmentIds.shape.length === 1 && x.shape.length > 0,
    run: segmentSum,
  }),
  tensorKernel<unknown, SelectInputs>("Select", {
    accepts: ({ condition, t, e }) => areNumeric(t) && t.dtype === e.dtype && condition.dtype === "bool" && sizeOf(condition.shape) === sizeOf(t.shape), run: select,
  }),
  tensorKernel<OneHotAttrs, OneHotInputs>("OneHot", {
    accepts: ({ indices }, { dtype }) => indices.dtype === "int32" && isNumericType(dtype), run: oneHot,
  }),
];
