#include "rmsNorm.h"

#include "device.h"

namespace moe::cuda {
namespace {

constexpr int kThreads = 256;

/** One block a row: sum = x + added (kept where `sum` is there), y = sum · scale ∘ gain. */
__global__ void __launch_bounds__(kThreads)
normRows(const float* x, const float* added, const float* gain, float epsilon, int64_t C, float* sum, float* y, float* scale) {
  int64_t start = blockIdx.x * C;
  float squares = 0.0f;
  for (int64_t c = threadIdx.x; c < C; c += kThreads) {
    float value = x[start + c];
    if (added != nullptr) value += added[start + c], sum[start + c] = value;
    squares += value * value;
  }
  float factor = 1.0f / sqrtf(blockSum(squares) / static_cast<float>(C) + epsilon);
  const float* from = added != nullptr ? sum : x;
  for (int64_t c = threadIdx.x; c < C; c += kThreads) y[start + c] = from[start + c] * factor * gain[c];
  if (threadIdx.x == 0) scale[blockIdx.x] = factor;
}

/** One block a row of dx. */
__global__ void __launch_bounds__(kThreads)
inputGradient(const float* x, const float* gain, const float* scale, const float* dy, const float* dSum, int64_t C, float* dx) {
  int64_t start = blockIdx.x * C;
  float along = 0.0f, factor = scale[blockIdx.x];
  for (int64_t c = threadIdx.x; c < C; c += kThreads) along += dy[start + c] * x[start + c] * gain[c];
  float pull = blockSum(along) * factor * factor * factor / static_cast<float>(C);
  for (int64_t c = threadIdx.x; c < C; c += kThreads) {
    float own = dy[start + c] * gain[c] * factor - x[start + c] * pull;
    dx[start + c] = dSum != nullptr ? own + dSum[start + c] : own;
  }
}

/** partial [cuts, C]: sums of dy ∘ x · scale over the rows of a cut. A thread has a column. */
__global__ void gainGradientCuts(const float* x, const float* scale, const float* dy, int64_t rows, int64_t rowsPerCut, int64_t C, float* partial) {
  int64_t c = int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
  if (c >= C) return;
  int64_t begin = blockIdx.y * rowsPerCut, end = min(begin + rowsPerCut, rows);
  float sum = 0.0f;
  for (int64_t r = begin; r < end; ++r) sum += dy[r * C + c] * x[r * C + c] * scale[r];
  partial[blockIdx.y * C + c] = sum;
}

__global__ void sumCuts(const float* partial, int64_t cuts, int64_t C, float* sums) {
  int64_t c = int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
  if (c >= C) return;
  float sum = 0.0f;
  for (int64_t cut = 0; cut < cuts; ++cut) sum += partial[cut * C + c];
  sums[c] = sum;
}

}  // namespace

Status rmsNormForward(const float* x, const float* gain, float epsilon, int64_t rows, int64_t C, float* y, float* scale) {
  return launch(normRows, Grid{dim3(rows), dim3(kThreads)}, x, nullptr, gain, epsilon, C, nullptr, y, scale);
}

Status addRmsNormForward(const float* x, const float* added, const float* gain, float epsilon, int64_t rows, int64_t C, float* sum, float* y,
                         float* scale) {
  return launch(normRows, Grid{dim3(rows), dim3(kThreads)}, x, added, gain, epsilon, C, sum, y, scale);
}

Status rmsNormBackward(const float* x, const float* gain, const float* scale, const float* dy, const float* dSum, int64_t rows, int64_t C, float* dx,
                       float* dGain) {
  constexpr int64_t kMostCuts = 64;
  int64_t rowsPerCut = ceilDivide(rows > 0 ? rows : 1, kMostCuts);
  int64_t cuts = ceilDivide(rows, rowsPerCut);
  Scratch partial((cuts > 0 ? cuts : 1) * C * 4);
  if (!partial.isOk()) return partial.status("the gain's gradient in rmsNorm");
  MOE_RETURN_IF_NOT_OK(launch(inputGradient, Grid{dim3(rows), dim3(kThreads)}, x, gain, scale, dy, dSum, C, dx));
  dim3 columns(ceilDivide(C, kThreads));
  MOE_RETURN_IF_NOT_OK(launch(gainGradientCuts, Grid{dim3(columns.x, cuts), dim3(kThreads)}, x, scale, dy, rows, rowsPerCut, C, partial.as<float>()));
  return launch(sumCuts, Grid{columns, dim3(kThreads)}, partial.as<float>(), cuts, C, dGain);
}

}  // namespace moe::cuda
