#include "layerNorm.h"

#include "elements.h"

namespace moe::cuda {
namespace {

constexpr int kMostThreads = 256;

/** Threads for a row: whole warps, four elements for each thread where a row has that many. */
int threadsOfRow(int64_t C) {
  int64_t threads = ceilDivide(ceilDivide(C, 4), kWarp) * kWarp;
  return static_cast<int>(threads < kWarp ? kWarp : threads < kMostThreads ? threads : kMostThreads);
}

/** A block a row. It is read three times: from memory, then out of the cache. */
__global__ void __launch_bounds__(kMostThreads)
normRows(const float* x, const float* gain, const float* bias, float epsilon, int64_t rows, int64_t C, float* y, float* mean, float* scale) {
  for (int64_t row = blockIdx.x; row < rows; row += gridDim.x) {
    const float* from = x + row * C;
    float sum = 0.0f, squares = 0.0f;
    for (int64_t c = threadIdx.x; c < C; c += blockDim.x) sum += from[c];
    float middle = blockSum(sum) / static_cast<float>(C);
    // squares of distances, not of values: a large mean would drown the variance
    for (int64_t c = threadIdx.x; c < C; c += blockDim.x) squares += (from[c] - middle) * (from[c] - middle);
    float factor = 1.0f / sqrtf(blockSum(squares) / static_cast<float>(C) + epsilon);
    for (int64_t c = threadIdx.x; c < C; c += blockDim.x) y[row * C + c] = (from[c] - middle) * factor * gain[c] + bias[c];
    if (threadIdx.x == 0) mean[row] = middle, scale[row] = factor;
  }
}

/** A block a row of dx. */
__global__ void __launch_bounds__(kMostThreads)
inputGradient(const float* x, const float* gain, const float* mean, const float* scale, const float* dy, int64_t rows, int64_t C, float* dx) {
  for (int64_t row = blockIdx.x; row < rows; row += gridDim.x) {
    const float *from = x + row * C, *gradient = dy + row * C;
    float middle = mean[row], factor = scale[row], straight = 0.0f, along = 0.0f;
    for (int64_t c = threadIdx.x; c < C; c += blockDim.x) {
      float pull = gradient[c] * gain[c];
      straight += pull;
      along += pull * (from[c] - middle) * factor;
    }
    float meanStraight = blockSum(straight) / static_cast<float>(C), meanAlong = blockSum(along) / static_cast<float>(C);
    for (int64_t c = threadIdx.x; c < C; c += blockDim.x) {
      float normal = (from[c] - middle) * factor;
      dx[row * C + c] = (gradient[c] * gain[c] - meanStraight - normal * meanAlong) * factor;
    }
  }
}

constexpr int kColumns = 32, kLines = 8;  // of a block of the parameters' gradients

/** Sums over the lines of a block, in the threads of the first line. */
__device__ inline float sumLines(float value) {
  __shared__ float values[kLines][kColumns];
  __syncthreads();
  values[threadIdx.y][threadIdx.x] = value;
  __syncthreads();
  float sum = 0.0f;
#pragma unroll
  for (int line = 0; line < kLines; ++line) sum += values[line][threadIdx.x];
  return sum;
}

/** partial [2, cuts, C]: sums of dy ∘ normal and of dy over the rows of a cut. */
__global__ void __launch_bounds__(kColumns * kLines)
parameterGradientCuts(const float* x, const float* mean, const float* scale, const float* dy, int64_t rows, int64_t rowsPerCut, int64_t C, float* partial) {
  int64_t c = int64_t{blockIdx.x} * kColumns + threadIdx.x;
  int64_t end = c < C ? min((blockIdx.y + 1) * rowsPerCut, rows) : 0;
  float gainSum = 0.0f, biasSum = 0.0f;
#pragma unroll 4
  for (int64_t row = blockIdx.y * rowsPerCut + threadIdx.y; row < end; row += kLines) {
    float gradient = dy[row * C + c];
    gainSum += gradient * (x[row * C + c] - mean[row]) * scale[row];
    biasSum += gradient;
  }
  gainSum = sumLines(gainSum), biasSum = sumLines(biasSum);
  if (threadIdx.y != 0 || c >= C) return;
  partial[blockIdx.y * C + c] = gainSum;
  partial[(gridDim.y + blockIdx.y) * C + c] = biasSum;
}

__global__ void __launch_bounds__(kMostThreads)
sumCuts(const float* partial, int64_t cuts, int64_t C, float* dGain, float* dBias) {
  int64_t c = int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
  if (c >= C) return;
  float gainSum = 0.0f, biasSum = 0.0f;
#pragma unroll 4
  for (int64_t cut = 0; cut < cuts; ++cut) gainSum += partial[cut * C + c], biasSum += partial[(cuts + cut) * C + c];
  dGain[c] = gainSum, dBias[c] = biasSum;
}

}  // namespace

Status layerNormForward(const float* x, const float* gain, const float* bias, float epsilon, int64_t rows, int64_t C, float* y, float* mean,
                        float* scale) {
  return launch(normRows, Grid{dim3(gridLength(rows)), dim3(threadsOfRow(C))}, x, gain, bias, epsilon, rows, C, y, mean, scale);
}

Status layerNormBackward(const float* x, const float* gain, const float* mean, const float* scale, const float* dy, int64_t rows, int64_t C,
                         float* dx, float* dGain, float* dBias) {
  constexpr int64_t kMostCuts = 64, kFewRows = 4 * kLines;
  int64_t rowsPerCut = ceilDivide(rows > 0 ? rows : 1, kMostCuts);
  if (rowsPerCut < kFewRows) rowsPerCut = kFewRows;
  int64_t cuts = ceilDivide(rows, rowsPerCut);
  Scratch scratch((cuts > 0 ? cuts : 1) * 2 * C * 4);
  if (!scratch.isOk()) return scratch.status("the gain's and the bias's gradient in layerNorm");
  auto* partial = scratch.as<float>();
  MOE_RETURN_IF_NOT_OK(launch(inputGradient, Grid{dim3(gridLength(rows)), dim3(threadsOfRow(C))}, x, gain, mean, scale, dy, rows, C, dx));
  Grid grid{dim3(gridLength(ceilDivide(C, kColumns)), static_cast<unsigned>(cuts)), dim3(kColumns, kLines)};
  MOE_RETURN_IF_NOT_OK(launch(parameterGradientCuts, grid, x, mean, scale, dy, rows, rowsPerCut, C, partial));
  return launch(sumCuts, Grid{dim3(gridLength(ceilDivide(C, kMostThreads))), dim3(kMostThreads)}, partial, cuts, C, dGain, dBias);
}

}  // namespace moe::cuda
