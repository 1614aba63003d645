#include "layout.h"

#include "arrays.h"
#include "divider.h"
#include "elements.h"
#include "elementwise.h"

namespace moe::cuda {
namespace {

struct Axis {
  int64_t size, from, to;  // strides of both sides
};

/** A BlockCopy as a kernel takes it: its axes from the one with the longest steps in `to` to that with the shortest,
 *  without those of one element, and with those that are one in memory made one. */
struct Axes {
  int rank = 0;
  Divider sizes[kMostDimensions];
  int64_t from[kMostDimensions], to[kMostDimensions];

  Axes() = default;

  explicit Axes(const BlockCopy& block) {
    Axis axes[kMostDimensions];
    int axisCount = 0;
    for (int64_t d = 0; d < block.rank; ++d) {
      if (block.sizes[d] == 1) continue;
      int at = axisCount++;
      for (; at > 0 && axes[at - 1].to < block.toStrides[d]; --at) axes[at] = axes[at - 1];
      axes[at] = {block.sizes[d], block.fromStrides[d], block.toStrides[d]};
    }
    for (int i = 0; i < axisCount; ++i) append(axes[i]);
    if (rank == 0) append({1, 1, 1});
  }

  int64_t count() const {
    int64_t all = 1;
    for (int d = 0; d < rank; ++d) all *= sizes[d].by;
    return all;
  }

  void append(Axis axis) {
    int last = rank - 1;
    bool isOne = rank > 0 && from[last] == axis.from * axis.size && to[last] == axis.to * axis.size;
    int at = isOne ? last : rank++;
    sizes[at] = Divider(isOne ? sizes[at].by * axis.size : axis.size);
    from[at] = axis.from, to[at] = axis.to;
  }

  void remove(int axis) {
    for (int d = axis; d + 1 < rank; ++d) sizes[d] = sizes[d + 1], from[d] = from[d + 1], to[d] = to[d + 1];
    --rank;
  }

  /** Counts in units of `elements` elements, where the last axis is adjacent on both sides. */
  void widen(int64_t elements) {
    for (int d = 0; d < rank - 1; ++d) from[d] /= elements, to[d] /= elements;
    sizes[rank - 1] = Divider(sizes[rank - 1].by / elements);
  }
};

/** Adds the offsets of element `index` of the axes. */
__device__ inline void addOffsets(const Axes& axes, int64_t index, int64_t& from, int64_t& to) {
  for (int d = axes.rank - 1; d > 0; --d) {
    int64_t above = axes.sizes[d].quotient(index), along = index - above * axes.sizes[d].by;
    from += along * axes.from[d];
    to += along * axes.to[d];
    index = above;
  }
  if (axes.rank == 0) return;
  from += index * axes.from[0];
  to += index * axes.to[0];
}

template <class Unit>
__global__ void __launch_bounds__(kElementThreads)
copyUnits(const __grid_constant__ Axes axes, int64_t count, const Unit* from, Unit* to) {
  for (int64_t i = gridThread(); i < count; i += gridThreads()) {
    int64_t fromAt = 0, toAt = 0;
    addOffsets(axes, i, fromAt, toAt);
    to[toAt] = from[fromAt];
  }
}

constexpr int kTile = 32, kTileLines = 8;

/** Matrices to transpose: element (row, column) of one is at row · fromStride + column, and goes to row + column · toStride. */
struct Matrices {
  int64_t rows, columns, fromStride, toStride;
  int64_t tiles;  // of all matrices
  Divider tilesOfOne, tilesOfRow;
  Axes offsets;   // where the matrices begin
};

/** Tiles through shared memory, so that both sides are accessed along the lines they have in memory. */
template <class Element>
__global__ void __launch_bounds__(kTile * kTileLines)
copyTiles(const __grid_constant__ Matrices m, const Element* from, Element* to) {
  __shared__ Element tile[kTile][kTile + 1];
  for (int64_t task = blockIdx.x; task < m.tiles; task += gridDim.x) {
    int64_t matrix = m.tilesOfOne.quotient(task), rest = task - matrix * m.tilesOfOne.by;
    int64_t tileRow = m.tilesOfRow.quotient(rest), row = tileRow * kTile, column = (rest - tileRow * m.tilesOfRow.by) * kTile;
    int64_t fromAt = row * m.fromStride + column, toAt = column * m.toStride + row;
    addOffsets(m.offsets, matrix, fromAt, toAt);
    for (int i = threadIdx.y; i < kTile; i += kTileLines)
      if (row + i < m.rows && column + threadIdx.x < m.columns) tile[i][threadIdx.x] = from[fromAt + i * m.fromStride + threadIdx.x];
    __syncthreads();
    for (int i = threadIdx.y; i < kTile; i += kTileLines)
      if (column + i < m.columns && row + threadIdx.x < m.rows) to[toAt + i * m.toStride + threadIdx.x] = tile[threadIdx.x][i];
    __syncthreads();
  }
}

/** The axis that is adjacent in `from` while the last one is adjacent in `to`, or −1; small matrices are copied as they are. */
int axisToSwap(const Axes& axes) {
  constexpr int64_t kSmall = 8;
  int last = axes.rank - 1;
  if (axes.to[last] != 1 || axes.from[last] == 1 || axes.from[last] == 0 || axes.sizes[last].by < kSmall) return -1;
  for (int d = 0; d < last; ++d)
    if (axes.from[d] == 1 && axes.sizes[d].by >= kSmall) return d;
  return -1;
}

template <class Element>
Status copyTransposed(const Axes& axes, int swapped, const Element* from, Element* to) {
  int last = axes.rank - 1;
  Matrices m = {};
  m.rows = axes.sizes[last].by, m.columns = axes.sizes[swapped].by;
  m.fromStride = axes.from[last], m.toStride = axes.to[swapped];
  m.offsets = axes;
  m.offsets.remove(last);
  m.offsets.remove(swapped);
  int64_t tileRows = ceilDivide(m.rows, kTile), tileColumns = ceilDivide(m.columns, kTile);
  m.tilesOfOne = Divider(tileRows * tileColumns), m.tilesOfRow = Divider(tileColumns);
  m.tiles = m.offsets.count() * tileRows * tileColumns;
  return launch(copyTiles<Element>, Grid{elementGrid(m.tiles, 1).blocks, dim3(kTile, kTileLines)}, m, from, to);
}

/** The most bytes, 16, 8, 4 or those of an element, in which everything can be moved. */
int64_t unitBytes(const Axes& axes, int64_t elementBytes, const void* from, const void* to) {
  int last = axes.rank - 1;
  if (axes.from[last] != 1 || axes.to[last] != 1) return elementBytes;
  uint64_t together = reinterpret_cast<uintptr_t>(from) | reinterpret_cast<uintptr_t>(to) | static_cast<uint64_t>(axes.sizes[last].by * elementBytes);
  for (int d = 0; d < last; ++d) together |= static_cast<uint64_t>(axes.from[d] * elementBytes) | static_cast<uint64_t>(axes.to[d] * elementBytes);
  for (int64_t bytes : {16, 8, 4})
    if (together % static_cast<uint64_t>(bytes) == 0) return bytes;
  return elementBytes;
}

template <class Unit>
Status copyAll(const Axes& axes, const void* from, void* to) {
  int64_t count = axes.count();
  return launch(copyUnits<Unit>, elementGrid(count), axes, count, static_cast<const Unit*>(from), static_cast<Unit*>(to));
}

}  // namespace

Status copyBlock(const BlockCopy& block, int64_t elementBytes, const void* from, void* to) {
  if (block.rank < 1 || block.rank > kMostDimensions) return Status::outOfRange("rank", block.rank, 1, kMostDimensions);
  for (int64_t d = 0; d < block.rank; ++d)
    if (block.sizes[d] == 0) return Status::ok();
  const char* fromStart = static_cast<const char*>(from) + block.fromOffset * elementBytes;
  char* toStart = static_cast<char*>(to) + block.toOffset * elementBytes;
  Axes axes(block);
  if (axes.rank == 1 && axes.from[0] == 1 && axes.to[0] == 1) return copyArray(axes.sizes[0].by * elementBytes, fromStart, toStart);
  int swapped = axisToSwap(axes);
  if (swapped >= 0 && elementBytes == 1)
    return copyTransposed(axes, swapped, reinterpret_cast<const uint8_t*>(fromStart), reinterpret_cast<uint8_t*>(toStart));
  if (swapped >= 0) return copyTransposed(axes, swapped, reinterpret_cast<const uint32_t*>(fromStart), reinterpret_cast<uint32_t*>(toStart));
  int64_t bytes = unitBytes(axes, elementBytes, fromStart, toStart);
  if (bytes > elementBytes) axes.widen(bytes / elementBytes);
  switch (bytes) {
    case 16: return copyAll<uint4>(axes, fromStart, toStart);
    case 8: return copyAll<uint2>(axes, fromStart, toStart);
    case 4: return copyAll<uint32_t>(axes, fromStart, toStart);
    default: return copyAll<uint8_t>(axes, fromStart, toStart);
  }
}

}  // namespace moe::cuda
