import { backend_util } from "@tensorflow/tfjs-core";
import { sizeOf } from "./shape.ts";

/** How two operands spread over an output, as the addon's elementwise functions take it. */
export interface BroadcastLayout {
  readonly shape: number[];
  readonly size: number;
  readonly rank: number;
  /** [3 · rank]: sizes, strides of a, strides of b; stride 0 repeats the operand */
  readonly layout: Float64Array;
}

/** Works out NumPy-style broadcasting in as few dimensions as possible: neighbours that both operands walk through in
 *  the same way become one. */
export function broadcastLayout(aShape: number[], bShape: number[]): BroadcastLayout {
  if (isSame(aShape, bShape)) {
    const size = sizeOf(aShape);
    return { shape: aShape, size, rank: 1, layout: Float64Array.of(size, 1, 1) };
  }
  const shape = backend_util.assertAndGetBroadcastShape(aShape, bShape);
  const dimensions = mergedDimensions(shape, aShape, bShape);
  const rank = dimensions.length;
  const layout = new Float64Array(3 * rank);
  dimensions.reverse().forEach(({ size, aStride, bStride }, d) => {
    layout[d] = size;
    layout[rank + d] = aStride;
    layout[2 * rank + d] = bStride;
  });
  return { shape, size: sizeOf(shape), rank, layout };
}

interface Dimension {
  size: number;
  readonly aStride: number;
  readonly bStride: number;
}

/** Dimensions from the last to the first. */
function mergedDimensions(shape: readonly number[], aShape: readonly number[], bShape: readonly number[]): Dimension[] {
  const merged: Dimension[] = [];
  let [aSize, bSize] = [1, 1];
  for (let back = 1; back <= shape.length; back += 1) {
    const size = shape[shape.length - back];
    if (size === 1) continue;
    const aMoves = aShape[aShape.length - back] === size;
    const bMoves = bShape[bShape.length - back] === size;
    const inner = merged.at(-1);
    if (inner !== undefined && inner.aStride > 0 === aMoves && inner.bStride > 0 === bMoves) inner.size *= size;
    else merged.push({ size, aStride: aMoves ? aSize : 0, bStride: bMoves ? bSize : 0 });
    if (aMoves) aSize *= size;
    if (bMoves) bSize *= size;
  }
  return merged.length > 0 ? merged : [{ size: 1, aStride: 1, bStride: 1 }];
}

function isSame(a: readonly number[], b: readonly number[]): boolean {
  return a.length === b.length && a.every((length, d) => length === b[d]);
}
