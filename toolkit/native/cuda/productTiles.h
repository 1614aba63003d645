#pragma once
/* What both kernels of products share: which tile a block computes, and how an operand's part comes in. */
#include "product.h"

namespace moe::cuda {

/** The work of a block: rows [firstRow, firstRow + Rows) and columns of one group's C, over k in [0, depth). */
struct Tile {
  int64_t group, firstRow, firstColumn;
  int64_t rows, depth;         // m and k of the group
  int64_t rowOffset, depthOffset;  // where the group begins in a ragged dimension
};

/** Begin and end of a group's part: inside [0, total] and rising, whatever the offsets are. */
__device__ inline int2 partOf(const int32_t* offsets, int64_t group, int64_t total, IndexError* error) {
  int64_t begin = offsets[group], end = offsets[group + 1];
  if (begin < 0 || end < begin || end > total) {
    noteBadIndex(error, begin < 0 || begin > total ? begin : end, total + 1);
    begin = min(max(begin, int64_t{0}), total);
    end = min(max(end, begin), total);
  }
  return make_int2(static_cast<int>(begin), static_cast<int>(end));
}

/** The steps of k that are this block's: a part of all where a product is split. */
struct Steps {
  int64_t begin, end;

  __device__ static Steps of(const Product& p, const Tile& tile, int depthOfStep) {
    int64_t steps = ceilDivide(tile.depth, depthOfStep), split = blockIdx.y;
    return {steps * split / p.splits, steps * (split + 1) / p.splits};
  }
};

/** Where row `row` of the tile's group begins in C. */
__device__ inline int64_t rowOfC(const Product& p, const Tile& tile, int64_t row) {
  return (int64_t{blockIdx.y} * p.groups + tile.group) * p.cGroupStride + (tile.rowOffset + row) * p.cStride;
}

/** Blocks that a product needs, for tiles of so many rows and columns; an upper bound where m is ragged. */
inline int64_t tilesOf(const Product& p, int64_t tileRows, int64_t tileColumns) {
  int64_t columns = ceilDivide(p.n, tileColumns);
  if (p.ragged == Ragged::m) return (ceilDivide(p.total, tileRows) + p.groups) * columns;
  return p.groups * ceilDivide(p.m, tileRows) * columns;
}

/** The tile of this block; false where there is none for it. All threads call it. */
template <int TileRows, int TileColumns>
__device__ inline bool findTile(const Product& p, IndexError* error, Tile& tile) {
  int64_t columns = ceilDivide(p.n, TileColumns), id = blockIdx.x;
  tile.firstColumn = id % columns * TileColumns;
  int64_t row = id / columns;
  tile.depth = p.k, tile.rows = p.m, tile.rowOffset = tile.depthOffset = 0;
  if (p.ragged != Ragged::m) {
    int64_t rowTiles = ceilDivide(p.m, TileRows);
    tile.group = row / rowTiles, tile.firstRow = row % rowTiles * TileRows;
    if (p.ragged == Ragged::k) {
      int2 part = partOf(p.offsets, tile.group, p.total, error);
      tile.depthOffset = part.x, tile.depth = part.y - part.x;
    }
    return true;
  }
  // Each warp finds the group by itself, 32 groups at a time.
  int lane = threadIdx.x % kWarp;
  for (int64_t first = 0; first < p.groups; first += kWarp) {
    int2 part = first + lane < p.groups ? partOf(p.offsets, first + lane, p.total, error) : make_int2(0, 0);
    int tiles = (part.y - part.x + TileRows - 1) / TileRows, upTo = tiles;
#pragma unroll
    for (int distance = 1; distance < kWarp; distance *= 2) {
      int before = __shfl_up_sync(kAllLanes, upTo, distance);
      if (lane >= distance) upTo += before;
    }
    unsigned reached = __ballot_sync(kAllLanes, row < upTo);
    if (reached != 0) {
      int owner = __ffs(static_cast<int>(reached)) - 1;
      int before = __shfl_sync(kAllLanes, upTo - tiles, owner);
      tile.rowOffset = __shfl_sync(kAllLanes, part.x, owner);
      tile.rows = __shfl_sync(kAllLanes, part.y, owner) - tile.rowOffset;
      tile.group = first + owner, tile.firstRow = (row - before) * TileRows;
      return true;
    }
    row -= __shfl_sync(kAllLanes, upTo, kWarp - 1);
  }
  return false;
}

/** An operand as the block's group has it: `lines` rows as stored, each of `width` elements. */
struct Source {
  const char* data;
  const int32_t* rowIds;
  int64_t stride, lines, width, rows;
  Element element;
  bool isVector;  // vectors of 8 elements are aligned

  __device__ static Source of(const Operand& o, int64_t group, int64_t offset, int64_t lines, int64_t width, bool isVector) {
    int bytes = o.element == Element::float32 ? 4 : 2;
    int64_t start = group * o.groupStride + (o.rowIds == nullptr ? offset * o.stride : 0);
    return {static_cast<const char*>(o.data) + start * bytes, o.rowIds == nullptr ? nullptr : o.rowIds + offset, o.stride, lines, width, o.rows,
            o.element, isVector};
  }

  /** Where element `column` of row `line` is; null where it is not there. Row ids that name no row are noted. */
  __device__ const char* at(int64_t line, int64_t column, IndexError* error) const {
    if (line >= lines || column >= width) return nullptr;
    if (rowIds != nullptr) {
      int64_t id = rowIds[line];
      if (id < 0 || id >= rows) {
        noteBadIndex(error, id, rows);
        return nullptr;
      }
      line = id;
    }
    return data + (line * stride + column) * (element == Element::float32 ? 4 : 2);
  }
};

/** Element i of what `at` found. */
__device__ inline float elementAt(const char* from, Element element, int i) {
  switch (element) {
    case Element::bfloat16: return widen<Narrow::bfloat16>(reinterpret_cast<const uint16_t*>(from)[i]);
    case Element::float16: return widen<Narrow::float16>(reinterpret_cast<const uint16_t*>(from)[i]);
    default: return reinterpret_cast<const float*>(from)[i];
  }
}

/** Eight elements from `column` on, zeros beyond the row's end. */
__device__ inline void loadEight(const Source& source, int64_t line, int64_t column, IndexError* error, float (&to)[8]) {
  const char* from = source.at(line, column, error);
  bool isWhole = from != nullptr && source.isVector && column + 8 <= source.width;
  if (isWhole && source.element == Element::float32) {
    float4 low = reinterpret_cast<const float4*>(from)[0], high = reinterpret_cast<const float4*>(from)[1];
    to[0] = low.x, to[1] = low.y, to[2] = low.z, to[3] = low.w;
    to[4] = high.x, to[5] = high.y, to[6] = high.z, to[7] = high.w;
    return;
  }
#pragma unroll
  for (int i = 0; i < 8; ++i) to[i] = from != nullptr && column + i < source.width ? elementAt(from, source.element, i) : 0.0f;
}

/** Stores two neighbouring elements of C; the second only where it is there. */
__device__ inline void storePair(const Product& p, int64_t index, float first, float second, bool hasSecond) {
  if (p.cElement == Element::float32) {
    float* to = static_cast<float*>(p.c) + index;
    if (p.accumulate) first += to[0], second += hasSecond ? to[1] : 0.0f;
    to[0] = first;
    if (hasSecond) to[1] = second;
    return;
  }
  bool isBfloat16 = p.cElement == Element::bfloat16;
  uint16_t* to = static_cast<uint16_t*>(p.c) + index;
  if (p.accumulate) {
    first += elementAt(reinterpret_cast<const char*>(to), p.cElement, 0);
    second += hasSecond ? elementAt(reinterpret_cast<const char*>(to), p.cElement, 1) : 0.0f;
  }
  to[0] = isBfloat16 ? narrow<Narrow::bfloat16>(first) : narrow<Narrow::float16>(first);
  if (hasSecond) to[1] = isBfloat16 ? narrow<Narrow::bfloat16>(second) : narrow<Narrow::float16>(second);
}

}  // namespace moe::cuda
