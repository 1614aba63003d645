#include "expertFeedForward.h"

#include <type_traits>

#include "activation.h"
#include "device.h"
#include "dispatch.h"
#include "product.h"

namespace moe::cuda {
namespace {

constexpr int kThreads = 256;

/** assignment [S] = n · K + k of each slot, −1 of those that no choice names. Fill it with −1 first. */
__global__ void noteAssignments(const int32_t* tokenSlot, int64_t choices, int64_t S, int32_t* assignment, IndexError* error) {
  int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
  if (i >= choices) return;
  int32_t slot = tokenSlot[i];
  if (slot == -1) return;
  if (slot < 0 || slot >= S) noteBadIndex(error, slot, S);
  else assignment[slot] = static_cast<int32_t>(i);
}

__global__ void clearAssignments(int64_t S, int32_t* assignment) {
  int64_t s = int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
  if (s < S) assignment[s] = -1;
}

/** How far the slots go that experts have: offsets[E], inside [0, S]. */
__device__ int64_t usedSlots(const int32_t* offsets, int64_t E, int64_t S) { return min(max(int64_t{offsets[E]}, int64_t{0}), S); }

/** hidden [S, H] = f(g) ∘ u of the first product's rows, f(g) without a gate. A thread has two neighbouring columns. */
template <class F, bool Gated, class Value>
__global__ void activate(const float* activations, const int32_t* offsets, int64_t E, int64_t S, int64_t H, Value* hidden) {
  int64_t h = int64_t{blockIdx.x} * blockDim.x + threadIdx.x, used = usedSlots(offsets, E, S);
  if (h >= H) return;
  for (int64_t s = blockIdx.y; s < used; s += gridDim.y) {
    const float* gate = activations + s * (Gated ? 2 * H : H);
    float value = F::value(gate[h]);
    if constexpr (Gated) value *= gate[H + h];
    if constexpr (std::is_same_v<Value, float>) hidden[s * H + h] = value;
    else hidden[s * H + h] = narrow<Narrow::bfloat16>(value);
  }
}

/** Backward through the activation, in place; a block has a slot. On entry hidden[s] is the gradient of the unweighted
 *  hidden row; on exit weight · hidden row, activations[s] the gradient of the first product, and dWeights that of the
 *  slot's weight. */
template <class F, bool Gated>
__global__ void __launch_bounds__(kThreads)
activateBackward(const int32_t* assignment, const float* weights, int64_t H, float* activations, float* hidden, float* dWeights) {
  int64_t s = blockIdx.x;
  int32_t choice = assignment[s];
  if (choice < 0) return;
  float* gate = activations + s * (Gated ? 2 * H : H);
  float* up = gate + H;
  float* row = hidden + s * H;
  float weight = weights[choice], dWeight = 0.0f;
  for (int64_t h = threadIdx.x; h < H; h += kThreads) {
    auto [f, slope] = F::curve(gate[h]);
    float d = row[h], value = f, dGate = d;
    if constexpr (Gated) {
      float u = up[h];
      value = f * u, dGate = d * u;
      up[h] = d * f * weight;
    }
    dWeight = fmaf(value, d, dWeight);
    row[h] = value * weight;
    gate[h] = dGate * slope * weight;
  }
  dWeight = blockSum(dWeight);
  if (threadIdx.x == 0) dWeights[choice] = dWeight;
}

/** The weight of a choice without a slot has no gradient. */
__global__ void clearUnused(const int32_t* tokenSlot, int64_t choices, float* dWeights) {
  int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
  if (i < choices && tokenSlot[i] < 0) dWeights[i] = 0.0f;
}

Operand rowsOf(const float* data, int64_t stride) {
  Operand made;
  made.data = data, made.stride = stride;
  return made;
}

/** rows [S, in] · matrix of the slot's expert [in, columns], or [columns, in] when transposed: out [S, columns]. `tokens`
 *  gathers the rows by slot where it is not null. */
Product perExpert(const ExpertPlan& plan, const float* rows, const int32_t* tokens, int64_t in, const float* matrices, bool transposed, int64_t columns,
                  float* out) {
  Product p;
  p.groups = plan.E, p.n = columns, p.k = in;
  p.ragged = Ragged::m, p.offsets = plan.offsets, p.total = plan.S;
  p.transposeB = transposed;
  p.a = rowsOf(rows, in);
  p.a.rowIds = tokens, p.a.rows = plan.N;
  p.b = rowsOf(matrices, transposed ? in : columns), p.b.groupStride = in * columns;
  p.c = out, p.cStride = columns;
  return p;
}

/** out[e] [in, columns] = rowsᵀ · gradient over the slots of e. */
Product weightGradient(const ExpertPlan& plan, const float* rows, const int32_t* tokens, int64_t in, const float* gradient,
                       const int32_t* gradientTokens, int64_t columns, float* out) {
  Product p;
  p.groups = plan.E, p.m = in, p.n = columns;
  p.ragged = Ragged::k, p.offsets = plan.offsets, p.total = plan.S;
  p.transposeA = true;
  p.a = rowsOf(rows, in);
  p.a.rowIds = tokens, p.a.rows = plan.N;
  p.b = rowsOf(gradient, columns);
  p.b.rowIds = gradientTokens, p.b.rows = plan.N;
  p.c = out, p.cStride = columns, p.cGroupStride = in * columns;
  return p;
}

}  // namespace

Status expertFeedForward(const ExpertPlan& plan, const float* x, const float* weights, const float* first, const float* down, float* activations,
                         float* y) {
  Precision precision = productPrecision();
  int64_t S = plan.S, C = plan.C, H = plan.H;
  // What only this call reads may be as narrow as the product that reads it.
  bool isNarrow = precision == Precision::bfloat16;
  Scratch hidden(S * H * (isNarrow ? 2 : 4)), rows(S * C * 4);
  if (!hidden.isOk()) return hidden.status("the hidden rows of expertFeedForward");
  if (!rows.isOk()) return rows.status("the output rows of expertFeedForward");
  MOE_RETURN_IF_NOT_OK(multiply(perExpert(plan, x, plan.slotToken, C, first, false, plan.columns(), activations), precision));
  Grid grid{dim3(ceilDivide(H, kThreads), S < 65535 ? S : 65535), dim3(kThreads)};
  MOE_RETURN_IF_NOT_OK(ofKind(plan.kind, [&](auto f, auto gated) {
    using F = decltype(f);
    if (isNarrow) return launch(activate<F, gated.value, uint16_t>, grid, activations, plan.offsets, plan.E, S, H, hidden.as<uint16_t>());
    return launch(activate<F, gated.value, float>, grid, activations, plan.offsets, plan.E, S, H, hidden.as<float>());
  }));
  Product second = perExpert(plan, hidden.as<float>(), nullptr, H, down, false, C, rows.as<float>());
  if (isNarrow) second.a.element = Element::bfloat16;
  MOE_RETURN_IF_NOT_OK(multiply(second, precision));
  return combineRows(rows.as<float>(), weights, plan.tokenSlot, plan.N, plan.K, S, C, y);
}

Status expertFeedForwardBackward(const ExpertPlan& plan, const float* x, const float* weights, const float* first, const float* down, const float* dy,
                                 float* activations, float* dx, float* dWeights, float* dFirst, float* dDown) {
  Precision precision = productPrecision();
  int64_t S = plan.S, C = plan.C, H = plan.H, choices = plan.N * plan.K;
  Scratch assignments(S * 4), hidden(S * H * 4), rows(S * C * 4);
  if (!assignments.isOk()) return assignments.status("the slots of expertFeedForward");
  if (!hidden.isOk()) return hidden.status("the hidden rows of expertFeedForward");
  if (!rows.isOk()) return rows.status("the gradient rows of expertFeedForward");
  int32_t* assignment = assignments.as<int32_t>();
  dim3 forSlots(ceilDivide(S, kThreads)), forChoices(ceilDivide(choices, kThreads)), threads(kThreads);
  MOE_RETURN_IF_NOT_OK(launch(clearAssignments, Grid{forSlots, threads}, S, assignment));
  MOE_RETURN_IF_NOT_OK(launch(noteAssignments, Grid{forChoices, threads}, plan.tokenSlot, choices, S, assignment, indexError()));
  MOE_RETURN_IF_NOT_OK(launch(clearUnused, Grid{forChoices, threads}, plan.tokenSlot, choices, dWeights));
  // The gradient of the hidden rows without the slots' weights, then everything that the activation decides.
  MOE_RETURN_IF_NOT_OK(multiply(perExpert(plan, dy, plan.slotToken, C, down, true, H, hidden.as<float>()), precision));
  MOE_RETURN_IF_NOT_OK(ofKind(plan.kind, [&](auto f, auto gated) {
    return launch(activateBackward<decltype(f), gated.value>, Grid{dim3(S), threads}, assignment, weights, H, activations, hidden.as<float>(), dWeights);
  }));
  MOE_RETURN_IF_NOT_OK(multiply(weightGradient(plan, hidden.as<float>(), nullptr, H, dy, plan.slotToken, C, dDown), precision));
  MOE_RETURN_IF_NOT_OK(multiply(weightGradient(plan, x, plan.slotToken, C, activations, nullptr, plan.columns(), dFirst), precision));
  MOE_RETURN_IF_NOT_OK(multiply(perExpert(plan, activations, nullptr, plan.columns(), first, true, C, rows.as<float>()), precision));
  return combineRows(rows.as<float>(), nullptr, plan.tokenSlot, plan.N, plan.K, S, C, dx);
}

}  // namespace moe::cuda
