#include "adamw.h"

#include "rows.h"

/* Many parameters in one launch: the list of them is an argument of the kernel, and a block finds its piece in it. */
namespace moe::cuda {
namespace {

constexpr int kThreads = 256;
/** Sizes of lists: kernels take 32,764 bytes of arguments; a short list is quicker to hand over. */
constexpr int kLongList = 512, kShortList = 64;

template <class Item, int Most>
struct Pieces {
  Item items[Most];
  uint32_t firstBlock[Most + 1];  // block firstBlock[i] has the first piece of item i
  int count;

  /** The item of a block. */
  __device__ int itemOf(uint32_t block) const {
    int low = 0, high = count - 1;
    while (low < high) {
      int middle = (low + high + 1) / 2;
      if (firstBlock[middle] <= block)
        low = middle;
      else
        high = middle - 1;
    }
    return low;
  }
};

/** Calls run(pieces, blocks, blocksBefore) for as many items at once as a list holds. valuesOfBlock: the size of a piece. */
template <int Most, class Item, class Run>
Status forEachList(const Item* items, int64_t count, int64_t valuesOfBlock, Run&& run) {
  constexpr int64_t kMostBlocks = INT32_MAX;
  Pieces<Item, Most> pieces;
  int64_t blocksBefore = 0;
  for (int64_t next = 0; next < count;) {
    int64_t blocks = 0;
    for (pieces.count = 0; next < count && pieces.count < Most; ++next) {
      int64_t more = ceilDivide(items[next].count, valuesOfBlock);
      if (blocks + more > kMostBlocks) break;
      pieces.items[pieces.count] = items[next];
      pieces.firstBlock[pieces.count++] = static_cast<uint32_t>(blocks);
      blocks += more;
    }
    if (pieces.count == 0) return Status::outOfRange("the values of a parameter", items[next].count, 0, kMostBlocks * valuesOfBlock);
    MOE_RETURN_IF_NOT_OK(run(pieces, Grid{dim3(static_cast<unsigned>(blocks)), dim3(kThreads)}, blocksBefore));
    blocksBefore += blocks;
  }
  return Status::ok();
}

__device__ inline bool areAlignedHere(uintptr_t addresses) { return (addresses & 15) == 0; }

constexpr int64_t kUpdatedOfBlock = kThreads * 8;

struct Update {
  const AdamwFactors& f;
  float gradientScale, decay;

  __device__ void operator()(float gradient, float& value, float& first, float& second) const {
    float g = gradient * gradientScale;
    first = first * f.beta1 + g * f.firstShare;
    second = second * f.beta2 + g * g * f.secondShare;
    float step = first * f.firstScale / (sqrtf(second * f.secondScale) + f.epsilon);
    value = value - value * decay - step * f.learningRate;
  }
};

template <int Most>
__global__ void __launch_bounds__(kThreads)
updateValues(const __grid_constant__ AdamwFactors f, const __grid_constant__ Pieces<AdamwParameter, Most> pieces) {
  float gradientScale = *f.gradientScale;
  if (!(fabsf(gradientScale) < INFINITY)) return;
  int index = pieces.itemOf(blockIdx.x);
  const AdamwParameter& parameter = pieces.items[index];
  const float* gradient = parameter.gradient;
  float *value = parameter.value, *first = parameter.firstMoment, *second = parameter.secondMoment;
  int64_t begin = (blockIdx.x - pieces.firstBlock[index]) * kUpdatedOfBlock;
  int64_t count = min(kUpdatedOfBlock, parameter.count - begin);
  bool isAligned = areAlignedHere(reinterpret_cast<uintptr_t>(gradient) | reinterpret_cast<uintptr_t>(value) | reinterpret_cast<uintptr_t>(first) |
                                  reinterpret_cast<uintptr_t>(second));
  Update update{f, gradientScale, parameter.decay};
  forEachOfRow(isAligned, begin, count, threadIdx.x, kThreads,
               [&](int64_t offset) {
                 int64_t i = begin + offset;
                 float4 g = loadFour(gradient + i);
                 auto &v = *reinterpret_cast<float4*>(value + i), &m = *reinterpret_cast<float4*>(first + i), &s = *reinterpret_cast<float4*>(second + i);
                 float4 newV = v, newM = m, newS = s;
                 update(g.x, newV.x, newM.x, newS.x), update(g.y, newV.y, newM.y, newS.y);
                 update(g.z, newV.z, newM.z, newS.z), update(g.w, newV.w, newM.w, newS.w);
                 v = newV, m = newM, s = newS;
               },
               [&](int64_t offset) { update(gradient[begin + offset], value[begin + offset], first[begin + offset], second[begin + offset]); });
}

constexpr int64_t kSquaredOfBlock = kThreads * 64;

/** partial [blocks]: Σ x² of a piece. */
template <int Most>
__global__ void __launch_bounds__(kThreads)
sumSquares(const __grid_constant__ Pieces<FloatSpan, Most> pieces, double* partial) {
  int index = pieces.itemOf(blockIdx.x);
  const FloatSpan& span = pieces.items[index];
  const float* x = span.data;
  int64_t begin = (blockIdx.x - pieces.firstBlock[index]) * kSquaredOfBlock;
  int64_t count = min(kSquaredOfBlock, span.count - begin);
  double sums[2] = {};
  auto square = [](float value) { return static_cast<double>(value) * value; };
  forEachOfRow(areAlignedHere(reinterpret_cast<uintptr_t>(x)), begin, count, threadIdx.x, kThreads,
               [&](int64_t offset) {
                 float4 four = loadFour(x + begin + offset);
                 sums[0] += square(four.x) + square(four.y);
                 sums[1] += square(four.z) + square(four.w);
               },
               [&](int64_t offset) { sums[0] += square(__ldg(x + begin + offset)); });
  double sum = blockSum(sums[0] + sums[1]);
  if (threadIdx.x == 0) partial[blockIdx.x] = sum;
}

constexpr int kJoinThreads = 1024;

/** One block. */
__global__ void __launch_bounds__(kJoinThreads)
joinNorm(const double* partial, int64_t count, double maxNorm, float* norm, float* gradientScale) {
  double sum = 0.0;
#pragma unroll 4
  for (int64_t i = threadIdx.x; i < count; i += kJoinThreads) sum += partial[i];
  double length = sqrt(blockSum(sum));
  if (threadIdx.x != 0) return;
  *norm = static_cast<float>(length);
  bool isFinite = fabsf(*norm) < INFINITY;
  *gradientScale = isFinite ? static_cast<float>(length <= maxNorm ? 1.0 : maxNorm / length) : NAN;
}

/** Calls function.template operator()<Most>() with the size of the lists to make. */
template <class Function>
Status withListsFor(int64_t count, Function function) {
  return count <= kShortList ? function.template operator()<kShortList>() : function.template operator()<kLongList>();
}

}  // namespace

Status adamwUpdate(const AdamwFactors& factors, const AdamwParameter* parameters, int64_t count) {
  return withListsFor(count, [&]<int Most>() {
    return forEachList<Most>(parameters, count, kUpdatedOfBlock, [&](const auto& pieces, const Grid& grid, int64_t) {
      return launch(updateValues<Most>, grid, factors, pieces);
    });
  });
}

Status globalNorm(const FloatSpan* spans, int64_t count, double maxNorm, float* norm, float* gradientScale) {
  int64_t blocks = 0;
  for (int64_t i = 0; i < count; ++i) blocks += ceilDivide(spans[i].count, kSquaredOfBlock);
  Scratch partial(blocks * 8 + 8);
  if (!partial.isOk()) return partial.status("the partial sums of a norm");
  MOE_RETURN_IF_NOT_OK(withListsFor(count, [&]<int Most>() {
    return forEachList<Most>(spans, count, kSquaredOfBlock, [&](const auto& pieces, const Grid& grid, int64_t blocksBefore) {
      return launch(sumSquares<Most>, grid, pieces, partial.as<double>() + blocksBefore);
    });
  }));
  return launch(joinNorm, Grid{dim3(1), dim3(kJoinThreads)}, partial.as<double>(), blocks, maxNorm, norm, gradientScale);
}

}  // namespace moe::cuda
