#include "product.h"

#include "productTiles.h"
#include "sharedProduct.h"

namespace moe::cuda {
namespace {

Precision precisionInUse = Precision::float32;

/** Brings Lines × Width elements of an operand into shared memory as 16-bit values, in vectors of eight. */
template <Narrow N, int Lines, int Width, int Threads>
struct NarrowLoader {
  static constexpr int kVectors = Lines * Width / 8 / Threads;
  /** Elements from one line in shared memory to the next: eight lines begin in eight different groups of four banks. */
  static constexpr int kStride = Width + 8;
  static constexpr int kElements = Lines * kStride;
  uint32_t held[kVectors][4];

  __device__ static int lineOf(int v) { return (v * Threads + static_cast<int>(threadIdx.x)) / (Width / 8); }
  __device__ static int columnOf(int v) { return (v * Threads + static_cast<int>(threadIdx.x)) % (Width / 8) * 8; }

  /** Starts the way of a part: by asynchronous copies where the values lie as they are needed, else into registers. */
  __device__ void fetch(const Source& source, bool isDirect, int64_t firstLine, int64_t firstColumn, uint16_t* shared, IndexError* error) {
#pragma unroll
    for (int v = 0; v < kVectors; ++v) {
      int64_t line = firstLine + lineOf(v), column = firstColumn + columnOf(v);
      if (isDirect) {
        const char* from = source.at(line, column, error);
        copyAsync(shared + lineOf(v) * kStride + columnOf(v), from != nullptr ? from : source.data, from != nullptr);
        continue;
      }
      float eight[8];
      loadEight(source, line, column, error, eight);
#pragma unroll
      for (int i = 0; i < 4; ++i) held[v][i] = narrowPair<N>(eight[2 * i], eight[2 * i + 1]);
    }
  }

  /** Ends the way of what went into registers. */
  __device__ void store(bool isDirect, uint16_t* shared) const {
    if (isDirect) return;
#pragma unroll
    for (int v = 0; v < kVectors; ++v)
      *reinterpret_cast<uint4*>(shared + lineOf(v) * kStride + columnOf(v)) = make_uint4(held[v][0], held[v][1], held[v][2], held[v][3]);
  }
};

/** Which operands may be copied without a change of format. */
struct Direct {
  bool a, b;
};

/** What a source looks like to a block: see Product. */
template <bool TransposeA>
__device__ Source sourceOfA(const Product& p, const Tile& t, bool isVector) {
  if constexpr (TransposeA) return Source::of(p.a, t.group, t.depthOffset, t.depth, t.rows, isVector);
  else return Source::of(p.a, t.group, t.rowOffset, t.rows, t.depth, isVector);
}

template <bool TransposeB>
__device__ Source sourceOfB(const Product& p, const Tile& t, bool isVector) {
  if constexpr (TransposeB) return Source::of(p.b, t.group, 0, p.n, t.depth, isVector);
  else return Source::of(p.b, t.group, t.depthOffset, t.depth, p.n, isVector);
}

constexpr int kDepth = 32, kStages = 3, kWarpRows = 2, kWarpColumns = 4, kThreads = kWarpRows * kWarpColumns * kWarp;

template <Narrow N, bool TransposeA, bool TransposeB, int Rows, int Columns>
struct TensorCoreTile {
  using LoaderA = NarrowLoader<N, TransposeA ? kDepth : Rows, TransposeA ? Rows : kDepth, kThreads>;
  using LoaderB = NarrowLoader<N, TransposeB ? Columns : kDepth, TransposeB ? kDepth : Columns, kThreads>;
  static constexpr int kStageElements = LoaderA::kElements + LoaderB::kElements;
  static constexpr int kOwnRows = Rows / kWarpRows, kOwnColumns = Columns / kWarpColumns;
  static constexpr size_t kSharedBytes = size_t{kStages} * kStageElements * 2;

  /** Adds the product of one stage to a warp's sums. */
  __device__ static void multiplyStage(const uint16_t* a, const uint16_t* b, float (&sums)[kOwnRows / 16][kOwnColumns / 8][4]) {
    int warp = threadIdx.x / kWarp;
    NarrowTiles<N>::template multiply<TransposeA, TransposeB>(sums, a, LoaderA::kStride, warp / kWarpColumns * kOwnRows, b, LoaderB::kStride,
                                                               warp % kWarpColumns * kOwnColumns, kDepth);
  }
};

/** A block computes a tile of C: three stages of both operands in shared memory, sums in registers. */
template <Narrow N, bool TransposeA, bool TransposeB, int Rows, int Columns>
__global__ void __launch_bounds__(kThreads)
tensorCoreProduct(const __grid_constant__ Product p, Direct vectors, Direct direct, IndexError* error) {
  using Shape = TensorCoreTile<N, TransposeA, TransposeB, Rows, Columns>;
  Tile tile;
  if (!findTile<Rows, Columns>(p, error, tile)) return;
  Source a = sourceOfA<TransposeA>(p, tile, vectors.a), b = sourceOfB<TransposeB>(p, tile, vectors.b);
  uint16_t* shared = dynamicShared<uint16_t>();
  typename Shape::LoaderA loadA;
  typename Shape::LoaderB loadB;
  auto stageOfA = [&](int64_t step) { return shared + step % kStages * Shape::kStageElements; };
  auto stageOfB = [&](int64_t step) { return stageOfA(step) + Shape::LoaderA::kElements; };
  auto fetch = [&](int64_t step) {
    int64_t k = step * kDepth;
    loadA.fetch(a, direct.a, TransposeA ? k : tile.firstRow, TransposeA ? tile.firstRow : k, stageOfA(step), error);
    loadB.fetch(b, direct.b, TransposeB ? tile.firstColumn : k, TransposeB ? k : tile.firstColumn, stageOfB(step), error);
  };
  auto store = [&](int64_t step) { loadA.store(direct.a, stageOfA(step)), loadB.store(direct.b, stageOfB(step)); };

  float sums[Shape::kOwnRows / 16][Shape::kOwnColumns / 8][4] = {};
  Steps steps = Steps::of(p, tile, kDepth);
  for (int64_t step = steps.begin; step < steps.begin + kStages - 1; ++step) {
    if (step < steps.end) fetch(step), store(step);
    commitCopies();
  }
  for (int64_t step = steps.begin; step < steps.end; ++step) {
    waitForCopies<kStages - 2>();
    __syncthreads();  // the stage is there for all, and the one before it has been read by all
    int64_t next = step + kStages - 1;
    if (next < steps.end) fetch(next);
    commitCopies();
    Shape::multiplyStage(stageOfA(step), stageOfB(step), sums);
    if (next < steps.end) store(next);
  }

  int lane = threadIdx.x % kWarp, warp = threadIdx.x / kWarp;
  int64_t firstRow = tile.firstRow + warp / kWarpColumns * Shape::kOwnRows + lane / 4;
  int64_t firstColumn = tile.firstColumn + warp % kWarpColumns * Shape::kOwnColumns + lane % 4 * 2;
#pragma unroll
  for (int i = 0; i < Shape::kOwnRows / 16; ++i)
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      int64_t row = firstRow + i * 16 + half * 8;
      if (row >= tile.rows) continue;
      int64_t start = rowOfC(p, tile, row);
#pragma unroll
      for (int j = 0; j < Shape::kOwnColumns / 8; ++j) {
        int64_t column = firstColumn + j * 8;
        if (column < p.n) storePair(p, start + column, sums[i][j][half * 2], sums[i][j][half * 2 + 1], column + 1 < p.n);
      }
    }
}

constexpr int kPlainDepth = 16, kPlainSide = 16, kPlainThreads = kPlainSide * kPlainSide;

/** Brings an operand's part into shared memory with k as the first dimension; DepthFirst where its lines run along k. */
template <bool DepthFirst, int Size>
__device__ void bringPlain(const Source& source, int64_t first, int64_t k, float (&shared)[kPlainDepth][Size + 4], IndexError* error) {
  constexpr int kVectorsOfLine = (DepthFirst ? kPlainDepth : Size) / 8;
  for (int v = threadIdx.x; v < Size * kPlainDepth / 8; v += kPlainThreads) {
    int line = v / kVectorsOfLine, column = v % kVectorsOfLine * 8;
    float eight[8];
    loadEight(source, (DepthFirst ? first : k) + line, (DepthFirst ? k : first) + column, error, eight);
#pragma unroll
    for (int i = 0; i < 8; ++i) (DepthFirst ? shared[column + i][line] : shared[line][column + i]) = eight[i];
  }
}

/** The same without tensor cores, in float32: a thread has Own × Own elements of the tile. */
template <bool TransposeA, bool TransposeB, int Own>
__global__ void __launch_bounds__(kPlainThreads)
plainProduct(const __grid_constant__ Product p, Direct vectors, IndexError* error) {
  constexpr int kSize = kPlainSide * Own;
  __shared__ float sharedA[kPlainDepth][kSize + 4], sharedB[kPlainDepth][kSize + 4];
  Tile tile;
  if (!findTile<kSize, kSize>(p, error, tile)) return;
  Source a = sourceOfA<TransposeA>(p, tile, vectors.a), b = sourceOfB<TransposeB>(p, tile, vectors.b);
  int ownRow = threadIdx.x / kPlainSide, ownColumn = threadIdx.x % kPlainSide;
  float sums[Own][Own] = {};
  Steps steps = Steps::of(p, tile, kPlainDepth);
  for (int64_t k = steps.begin * kPlainDepth; k < steps.end * kPlainDepth; k += kPlainDepth) {
    bringPlain<!TransposeA, kSize>(a, tile.firstRow, k, sharedA, error);
    bringPlain<TransposeB, kSize>(b, tile.firstColumn, k, sharedB, error);
    __syncthreads();
#pragma unroll
    for (int d = 0; d < kPlainDepth; ++d) {
      float fromA[Own], fromB[Own];
#pragma unroll
      for (int i = 0; i < Own; ++i) fromA[i] = sharedA[d][ownRow * Own + i], fromB[i] = sharedB[d][ownColumn + i * kPlainSide];
#pragma unroll
      for (int i = 0; i < Own; ++i)
#pragma unroll
        for (int j = 0; j < Own; ++j) sums[i][j] = fmaf(fromA[i], fromB[j], sums[i][j]);
    }
    __syncthreads();
  }
#pragma unroll
  for (int i = 0; i < Own; ++i) {
    int64_t row = tile.firstRow + ownRow * Own + i;
    if (row >= tile.rows) continue;
    int64_t start = rowOfC(p, tile, row);
#pragma unroll
    for (int j = 0; j < Own; ++j) {
      int64_t column = tile.firstColumn + ownColumn + j * kPlainSide;
      if (column < p.n) storePair(p, start + column, sums[i][j], 0.0f, false);
    }
  }
}

/** Whether vectors of eight elements of the operand are aligned to 16 bytes. */
bool hasVectors(const Operand& o) {
  int64_t multiple = o.element == Element::float32 ? 4 : 8;
  return reinterpret_cast<uintptr_t>(o.data) % 16 == 0 && o.stride % multiple == 0 && o.groupStride % multiple == 0;
}

bool isDirect(const Operand& o, Precision precision, int64_t width) {
  bool isSame = (o.element == Element::bfloat16 && precision == Precision::bfloat16) ||
                (o.element == Element::float16 && precision == Precision::float16);
  return isSame && hasVectors(o) && width % 8 == 0;
}

template <Narrow N, bool TransposeA, bool TransposeB, int Size>
Status launchTensorCores(const Product& p, Precision precision) {
  using Shape = TensorCoreTile<N, TransposeA, TransposeB, Size, Size>;
  Direct vectors{hasVectors(p.a), hasVectors(p.b)};
  Direct direct{isDirect(p.a, precision, TransposeA ? p.m : p.k), isDirect(p.b, precision, TransposeB ? p.k : p.n)};
  Grid grid{dim3(tilesOf(p, Size, Size), p.splits), dim3(kThreads), Shape::kSharedBytes};
  return launch(tensorCoreProduct<N, TransposeA, TransposeB, Size, Size>, grid, p, vectors, direct, indexError());
}

template <bool TransposeA, bool TransposeB, int Own>
Status launchPlain(const Product& p) {
  Direct vectors{hasVectors(p.a), hasVectors(p.b)};
  int64_t tiles = tilesOf(p, kPlainSide * Own, kPlainSide * Own);
  return launch(plainProduct<TransposeA, TransposeB, Own>, Grid{dim3(tiles, p.splits), dim3(kPlainThreads)}, p, vectors, indexError());
}

/** Small tiles where large ones would leave multiprocessors without work. */
bool hasSmallTiles(const Product& p) { return tilesOf(p, 128, 128) < multiprocessors(); }

template <bool TransposeA, bool TransposeB>
Status launchProduct(const Product& p, Precision precision) {
  if (precision == Precision::bfloat16) {
    return hasSmallTiles(p) ? launchTensorCores<Narrow::bfloat16, TransposeA, TransposeB, 64>(p, precision)
                            : launchTensorCores<Narrow::bfloat16, TransposeA, TransposeB, 128>(p, precision);
  }
  if (precision == Precision::float16) {
    return hasSmallTiles(p) ? launchTensorCores<Narrow::float16, TransposeA, TransposeB, 64>(p, precision)
                            : launchTensorCores<Narrow::float16, TransposeA, TransposeB, 128>(p, precision);
  }
  return hasSmallTiles(p) ? launchPlain<TransposeA, TransposeB, 4>(p) : launchPlain<TransposeA, TransposeB, 8>(p);
}

Status launchAny(const Product& p, Precision precision) {
  if (p.transposeA) return p.transposeB ? launchProduct<true, true>(p, precision) : launchProduct<true, false>(p, precision);
  return p.transposeB ? launchProduct<false, true>(p, precision) : launchProduct<false, false>(p, precision);
}

/** C (+)= the sum of the partial ones [splits, count], always in the same order. */
__global__ void sumSplits(const __grid_constant__ Product p, const float* partial, int64_t count) {
  int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
  if (i >= count) return;
  float sum = 0.0f;
  for (int64_t split = 0; split < p.splits; ++split) sum += partial[split * count + i];
  int64_t group = i / (p.m * p.n), row = i / p.n % p.m;
  storePair(p, group * p.cGroupStride + row * p.cStride + i % p.n, sum, 0.0f, false);
}

/** Parts of a long sum, where the tiles alone are too few for the device: weight gradients of small matrices. */
int64_t splitsOf(const Product& p) {
  if (p.ragged == Ragged::m) return 1;
  constexpr int64_t kLeastDepth = 256, kMostSplits = 32;
  int64_t depth = p.ragged == Ragged::k ? p.total / p.groups : p.k;
  int64_t wanted = multiprocessors() / tilesOf(p, 64, 64);
  int64_t splits = wanted < depth / kLeastDepth ? wanted : depth / kLeastDepth;
  return splits < 1 ? 1 : splits < kMostSplits ? splits : kMostSplits;
}

}  // namespace

Precision productPrecision() { return precisionInUse; }
void setProductPrecision(Precision precision) { precisionInUse = precision; }

Status multiply(const Product& p, Precision precision) {
  if (p.groups == 0 || p.n == 0 || (p.ragged == Ragged::m ? p.total : p.m) == 0) return Status::ok();
  int64_t splits = splitsOf(p);
  if (splits == 1) return launchAny(p, precision);
  int64_t count = p.groups * p.m * p.n;
  Scratch partial(splits * count * 4);
  if (!partial.isOk()) return launchAny(p, precision);
  Product parts = p;
  parts.splits = splits;
  parts.c = partial.as<float>(), parts.cElement = Element::float32, parts.accumulate = false;
  parts.cStride = p.n, parts.cGroupStride = p.m * p.n;
  MOE_RETURN_IF_NOT_OK(launchAny(parts, precision));
  constexpr int kSumThreads = 256;
  Product whole = p;
  whole.splits = splits;
  return launch(sumSplits, Grid{dim3(ceilDivide(count, kSumThreads)), dim3(kSumThreads)}, whole, partial.as<float>(), count);
}

}  // namespace moe::cuda
