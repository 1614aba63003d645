#include "divider.h"
#include "elements.h"
#include "layout.h"
#include "sort.h"
#include "transfers.h"

namespace moe::cuda {
namespace {

struct Gather {
  int64_t units, length;  // of the output; of the dimension that is indexed
  Divider slice, count, outer;
};

/** A thread moves units of 16, 4 or 1 bytes of slices. What has no valid index becomes 0. */
template <class Unit>
__global__ void __launch_bounds__(kElementThreads)
gatherUnits(const __grid_constant__ Gather g, const int32_t* indices, const Unit* x, Unit* out, IndexError* error) {
  for (int64_t i = gridThread(); i < g.units; i += gridThreads()) {
    int64_t row = g.slice.quotient(i), along = i - row * g.slice.by;
    int64_t block = g.count.quotient(row);  // which (batch, outer) pair
    int64_t index = indices[g.outer.quotient(block) * g.count.by + row - block * g.count.by];
    bool isThere = index >= 0 && index < g.length;
    if (!isThere && along == 0) noteBadIndex(error, index, g.length);
    out[i] = isThere ? x[(block * g.length + index) * g.slice.by + along] : Unit{};
  }
}

template <class Unit>
Status gatherAs(Gather gather, int64_t rows, int64_t sliceBytes, const int32_t* indices, const void* x, void* out) {
  int64_t slice = sliceBytes / static_cast<int64_t>(sizeof(Unit));
  gather.slice = Divider(slice);
  gather.units = rows * slice;
  return launch(gatherUnits<Unit>, elementGrid(gather.units), gather, indices, static_cast<const Unit*>(x), static_cast<Unit*>(out), indexError());
}

/** Keys to sort updates by: the index, or `length` where there is no such row. */
__global__ void __launch_bounds__(kElementThreads)
makeKeys(int64_t length, int64_t count, const int32_t* indices, Pairs pairs) {
  for (int64_t i = gridThread(); i < count; i += gridThreads()) {
    int64_t index = indices[i];
    pairs.keys[i] = static_cast<uint32_t>(index >= 0 && index < length ? index : length);
    pairs.values[i] = static_cast<int32_t>(i);
  }
}

/* Updates of the same row are neighbours once sorted, in their order. They are cut into pieces of equal size, so that a
 * row with very many keeps many threads busy; what a piece has of a row that goes on in other pieces is joined after. */
constexpr int64_t kPiece = 32;  // updates

struct Pieces {
  int64_t length, count, pieces, slice;  // rows of the output, updates, pieces of them, elements of a row
  Divider packs;                         // of a row
};

/** What a piece has of the row it shares with the piece before it is at partial [2 · piece], else, what it shares with
 *  the next one only, behind that. */
template <int N>
__device__ inline void storeSum(const Pieces& p, int64_t piece, uint32_t key, bool isFromBefore, bool goesOn, int64_t column,
                                const Pack<float, N>& sum, float* partial, float* out) {
  float* to = !isFromBefore && !goesOn ? out + key * p.slice : partial + (2 * piece + (isFromBefore ? 0 : 1)) * p.slice;
  storePack(to + column, sum);
}

template <int N>
__device__ inline void addPack(Pack<float, N>& sum, const Pack<float, N>& x) {
#pragma unroll
  for (int i = 0; i < N; ++i) sum.lane[i] += x.lane[i];
}

/** A thread adds up N columns of a piece. */
template <int N>
__global__ void __launch_bounds__(kElementThreads)
sumPieces(const __grid_constant__ Pieces p, const uint32_t* keys, const int32_t* order, const float* updates, float* partial, float* out) {
  for (int64_t task = gridThread(); task < p.pieces * p.packs.by; task += gridThreads()) {
    int64_t piece = p.packs.quotient(task), column = (task - piece * p.packs.by) * N;
    int64_t begin = piece * kPiece, end = min(begin + kPiece, p.count);
    uint32_t key = keys[begin];
    bool isFromBefore = begin > 0 && keys[begin - 1] == key;
    Pack<float, N> sum = {};
    for (int64_t e = begin; e < end && key < p.length; ++e) {
      uint32_t next = keys[e];
      if (next != key) {
        storeSum(p, piece, key, isFromBefore, false, column, sum, partial, out);
        sum = {}, key = next, isFromBefore = false;
        if (key >= p.length) break;
      }
      addPack(sum, loadPack<N>(updates + order[e] * p.slice + column));
    }
    if (key < p.length) storeSum(p, piece, key, isFromBefore, end < p.count && keys[end] == key, column, sum, partial, out);
  }
}

/** The first of keys [begin, end), which rise, that is larger than `key`. */
__device__ inline int64_t endOfKey(const uint32_t* keys, uint32_t key, int64_t begin, int64_t end) {
  while (begin < end) {
    int64_t middle = begin + (end - begin) / 2;
    if (keys[middle] <= key) begin = middle + 1;
    else end = middle;
  }
  return end;
}

/** A thread joins N columns of the row that begins in its piece and goes on behind it. */
template <int N>
__global__ void __launch_bounds__(kElementThreads)
joinPieces(const __grid_constant__ Pieces p, const uint32_t* keys, const float* partial, float* out) {
  for (int64_t task = gridThread(); task < p.pieces * p.packs.by; task += gridThreads()) {
    int64_t piece = p.packs.quotient(task), column = (task - piece * p.packs.by) * N;
    int64_t begin = piece * kPiece, end = begin + kPiece;
    if (end >= p.count) continue;
    uint32_t key = keys[end - 1];
    bool isFromBefore = begin > 0 && keys[begin - 1] == key;
    if (key >= p.length || keys[end] != key || isFromBefore) continue;
    int64_t lastPiece = (endOfKey(keys, key, end, p.count) - 1) / kPiece;
    Pack<float, N> sum = loadPack<N>(partial + (2 * piece + 1) * p.slice + column);
#pragma unroll 4
    for (int64_t next = piece + 1; next <= lastPiece; ++next) addPack(sum, loadPack<N>(partial + 2 * next * p.slice + column));
    storePack(out + key * p.slice + column, sum);
  }
}

template <int N>
Status sumSorted(Pieces p, const Pairs& sorted, const float* updates, float* partial, float* out) {
  p.packs = Divider(p.slice / N);
  Grid grid = elementGrid(p.pieces * p.packs.by);
  MOE_RETURN_IF_NOT_OK(launch(sumPieces<N>, grid, p, sorted.keys, sorted.values, updates, partial, out));
  return launch(joinPieces<N>, grid, p, sorted.keys, partial, out);
}

/** Sums of integers are the same in any order. */
__global__ void __launch_bounds__(kElementThreads)
addInts(int64_t length, Divider slice, int64_t elements, const int32_t* indices, const int32_t* updates, int32_t* out) {
  for (int64_t i = gridThread(); i < elements; i += gridThreads()) {
    int64_t row = slice.quotient(i), index = indices[row];
    if (index < 0 || index >= length) continue;
    atomicAdd(reinterpret_cast<unsigned*>(out) + index * slice.by + i - row * slice.by, static_cast<unsigned>(updates[i]));
  }
}

}  // namespace

Status gatherSlices(int64_t batch, int64_t outer, int64_t length, int64_t slice, int64_t count, int64_t elementBytes,
                    const int32_t* indices, const void* x, void* out) {
  Gather gather = {};
  gather.length = length;
  gather.count = Divider(count), gather.outer = Divider(outer);
  int64_t rows = batch * outer * count, bytes = slice * elementBytes;
  uint64_t together = reinterpret_cast<uintptr_t>(x) | reinterpret_cast<uintptr_t>(out) | static_cast<uint64_t>(bytes);
  if (together % 16 == 0) return gatherAs<uint4>(gather, rows, bytes, indices, x, out);
  if (together % 4 == 0) return gatherAs<uint32_t>(gather, rows, bytes, indices, x, out);
  return gatherAs<uint8_t>(gather, rows, bytes, indices, x, out);
}

/** No sum depends on the order in which threads run: the updates are sorted by their index, and each row's are added up
 *  in pieces that the sizes alone decide. */
Status scatterAddSlices(int64_t length, int64_t slice, int64_t count, const int32_t* indices, const float* updates, float* out) {
  MOE_RETURN_IF_NOT_OK(clearOnDevice(out, length * slice * 4));
  if (length == 0 || slice == 0 || count == 0) return Status::ok();
  if (count > INT32_MAX) return Status::outOfRange("updates", count, 0, INT32_MAX);
  if (length > INT32_MAX) return Status::outOfRange("rows", length, 0, INT32_MAX);
  Pieces p = {length, count, ceilDivide(count, kPiece), slice, Divider()};
  int64_t listBytes = ceilDivide(count, 64) * 256;
  Scratch lists(4 * listBytes), partial(2 * p.pieces * slice * 4);
  if (!lists.isOk()) return lists.status("the order of updates to add up");
  if (!partial.isOk()) return partial.status("partial sums of updates");
  Pairs given = {lists.as<uint32_t>(), lists.as<int32_t>(listBytes)}, sorted = given;
  Pairs spare = {lists.as<uint32_t>(2 * listBytes), lists.as<int32_t>(3 * listBytes)};
  MOE_RETURN_IF_NOT_OK(launch(makeKeys, elementGrid(count), length, count, indices, given));
  int keyBits = 1;
  while (length >> keyBits != 0) ++keyBits;
  MOE_RETURN_IF_NOT_OK(sortPairs(count, keyBits, given, spare, sorted));
  bool isInPacks = slice % 4 == 0 && isPackAligned<4>(updates) && isPackAligned<4>(out);
  if (isInPacks) return sumSorted<4>(p, sorted, updates, partial.as<float>(), out);
  return sumSorted<1>(p, sorted, updates, partial.as<float>(), out);
}

Status scatterAddIntSlices(int64_t length, int64_t slice, int64_t count, const int32_t* indices, const int32_t* updates, int32_t* out) {
  MOE_RETURN_IF_NOT_OK(clearOnDevice(out, length * slice * 4));
  int64_t elements = slice * count;
  return launch(addInts, elementGrid(elements), length, Divider(slice), elements, indices, updates, out);
}

}  // namespace moe::cuda
