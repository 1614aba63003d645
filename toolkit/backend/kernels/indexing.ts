import {
  backend_util, util, type GatherV2Attrs, type OneHotAttrs, type ScatterNdAttrs, type TensorInfo, type UnsortedSegmentSumAttrs,
} from "@tensorflow/tfjs-core";
import { ShapeError } from "../../errors.ts";
import type { Ints } from "../arrays.ts";
import type { NativeCall } from "../nativeKernel.ts";
import { tensorKernel, type NamedKernel } from "../tensorKernel.ts";
import { copyBlock } from "./blockCopy.ts";
import { broadcastLayout } from "./broadcast.ts";
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
  const wrong = backend.hostValues(indices, "int32")?.find((row) => row < 0 || row >= dimSize);
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
  const places = placesOf({ backend, native }, "scatterND", { indices, count: numUpdates, sliceRank, strides, shape });
  if (updates.dtype === "int32") {
    const sums = backend.allocate("int32", outputSize);
    native.scatterAddInts(outputSize / sliceSize, sliceSize, numUpdates, places, backend.ints(updates), sums);
    backend.release(places);
    return backend.output(shape, "int32", sums);
  }
  const sums = backend.allocate("float32", outputSize);
  native.scatterAdd(outputSize / sliceSize, sliceSize, numUpdates, places, backend.floats(updates), sums);
  backend.release(places);
  return backend.output(shape, "float32", sums);
}

/** Rows of indices [count, sliceRank] that name slices of a tensor of `shape`; strides are in slices. */
interface PlaceRows {
  readonly indices: TensorInfo;
  readonly count: number;
  readonly sliceRank: number;
  readonly strides: readonly number[];
  readonly shape: readonly number[];
}

/** Numbers of the slices that the rows name, Σ_d index_d · stride_d, to be released. What lies outside is found where the
 *  indices are in JavaScript's memory.
 *  @throws ShapeError E_INDEX_OUTSIDE */
function placesOf({ backend, native }: Pick<NativeCall, "backend" | "native">, op: string, rows: PlaceRows): Ints {
  const { indices, count, sliceRank, strides } = rows;
  checkPlaces(op, backend.hostValues(indices, "int32"), rows);
  const from = backend.ints(indices);
  const [places, column, stride] = [backend.allocate("int32", count), backend.allocate("int32", count), backend.allocate("int32", 1)];
  const each = broadcastLayout([count], [count]), scaled = broadcastLayout([count], [1]);
  backend.fill(places, 0);
  for (let d = 0; d < sliceRank; d += 1) {
    copyBlock(native, [count], { values: from, strides: [sliceRank], offset: d }, { values: column, strides: [1], offset: 0 });
    backend.fill(stride, strides[d]);
    native.multiplyInts(scaled.rank, scaled.layout, column, stride, column);
    native.addInts(each.rank, each.layout, places, column, places);
  }
  backend.release(column);
  backend.release(stride);
  return places;
}

function checkPlaces(op: string, values: Int32Array | undefined, { count, sliceRank, shape }: PlaceRows): void {
  if (values === undefined) return;
  for (let i = 0; i < count; i += 1)
    for (let d = 0; d < sliceRank; d += 1) {
      const index = values[i * sliceRank + d];
      if (index < 0 || index >= shape[d]) throw outside(op, values.subarray(i * sliceRank, (i + 1) * sliceRank), shape);
    }
}

interface GatherNdInputs {
  readonly params: TensorInfo;
  readonly indices: TensorInfo;
}

/** Slices of params that the rows of indices name. */
function gatherNd({ inputs: { params, indices }, backend, native }: NativeCall<unknown, GatherNdInputs>): TensorInfo {
  const [shape, numSlices, sliceSize, strides] = backend_util.prepareAndValidate(params, indices);
  const places = placesOf({ backend, native }, "gatherND", { indices, count: numSlices, sliceRank: strides.length, strides, shape: params.shape });
  const dtype = isNumericType(params.dtype) ? params.dtype : "float32";
  const out = backend.allocate(dtype, numSlices * sliceSize);
  native.gather(1, 1, sizeOf(params.shape) / sliceSize, sliceSize, numSlices, places, backend.values(params), out);
  backend.release(places);
  return backend.activation(shape, dtype, out);
}

interface ScatterUpdateInputs extends ScatterInputs {
  readonly tensor: TensorInfo;
}

/** On the host: a copy of tensor with slices replaced, the last update of a place winning. (tfjs's own kernel overwrites its input.) */
function tensorScatterUpdate({ inputs: { tensor, indices, updates }, backend }: NativeCall<unknown, ScatterUpdateInputs>): TensorInfo {
  const { sliceRank, numUpdates, sliceSize, strides } = backend_util.calculateShapes(updates, indices, tensor.shape);
  const dtype = isNumericType(tensor.dtype) ? tensor.dtype : "float32";
  const [out, rows, places] = [backend.hostCopy(tensor, dtype).slice(), backend.hostCopy(updates, dtype), backend.hostCopy(indices, "int32")];
  checkPlaces("tensorScatterUpdate", places, { indices, count: numUpdates, sliceRank, strides, shape: tensor.shape });
  for (let i = 0; i < numUpdates; i += 1) {
    const place = strides.slice(0, sliceRank).reduce((sum, stride, d) => sum + places[i * sliceRank + d] * stride, 0);
    out.set(rows.subarray(i * sliceSize, (i + 1) * sliceSize), place * sliceSize);
  }
  return backend.fromHost(tensor.shape, dtype, out);
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

/** onValue where the column's number is the row's index, else offValue. */
function oneHot({ inputs: { indices }, attrs: { dtype, depth, onValue, offValue }, backend, native }: NativeCall<OneHotAttrs, OneHotInputs>): TensorInfo {
  const type = isNumericType(dtype) ? dtype : "float32";
  const rows = sizeOf(indices.shape), size = rows * depth;
  const columns = backend.fromHost([depth], "int32", Int32Array.from({ length: depth }, (_, column) => column));
  const isAt = backend.allocate("bool", size);
  const { rank, layout } = broadcastLayout([rows, 1], [1, depth]);
  native.equalInts(rank, layout, backend.ints(indices), backend.ints(columns), isAt);
  const [on, off, out] = [backend.allocate(type, size), backend.allocate(type, size), backend.allocate(type, size)];
  backend.fill(on, onValue);
  backend.fill(off, offValue);
  native.select(size, isAt, on, off, out);
  for (const values of [isAt, on, off]) backend.release(values);
  backend.disposeIntermediateTensorInfo(columns);
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
    accepts: ({ tensor, indices, updates }) => areNumeric(tensor, updates) && tensor.dtype === updates.dtype && indices.dtype === "int32" && updates.shape.length > 0, run: tensorScatterUpdate,
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
