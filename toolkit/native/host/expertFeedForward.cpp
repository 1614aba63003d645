#include "expertFeedForward.h"

#include <type_traits>

#include "dispatch.h"
#include "matmul.h"
#include "parallel.h"
#include "rows.h"
#include "scratch.h"
#include "simd.h"
#include "unaryMath.h"

namespace moe::MOE_ISA {
namespace {

/** Checks all that is used as an index; assignment [S] gets n·K + k of each slot. */
Status checkPlan(const ExpertPlan& plan, int32_t* assignment) {
  int64_t S = plan.S;
  int64_t before = 0;
  for (int64_t e = 0; e <= plan.E; ++e) {
    int64_t lowest = e == plan.E ? S : before;
    int64_t highest = e == 0 ? 0 : S;
    if (plan.offsets[e] < lowest || plan.offsets[e] > highest)
      return Status::outOfRange("offsets", plan.offsets[e], lowest, highest);
    before = plan.offsets[e];
  }
  Status slotsFit = invertSlots(plan.tokenSlot, plan.N * plan.K, S, assignment);
  if (!slotsFit.isOk()) return slotsFit;
  for (int64_t slot = 0; slot < S; ++slot) {
    int64_t token = assignment[slot] / plan.K;
    if (plan.slotToken[slot] != token) return Status::outOfRange("slotToken", plan.slotToken[slot], token, token);
  }
  return Status::ok();
}

/** One product for each expert, all in one round of threads. describe(e, first, count) makes that of expert e, whose
 *  slots are [first, first + count). done(begin, end), unless null, gets the slots whose rows are finished. */
template <class Describe, class Done>
Status multiplyPerExpert(const ExpertPlan& plan, Describe&& describe, Done&& done) {
  Scratch room(1, (plan.E * static_cast<int64_t>(sizeof(Gemm)) + 3) / 4);
  if (!room.isOk()) return room.status("the products of expertFeedForward");
  Gemm* products = static_cast<Gemm*>(room.bytes());
  for (int64_t e = 0; e < plan.E; ++e) {
    int64_t first = plan.offsets[e];
    products[e] = describe(e, first, plan.offsets[e + 1] - first);
  }
  if constexpr (std::is_null_pointer_v<std::remove_reference_t<Done>>) {
    return groupedMatmul(products, plan.E);
  } else {
    auto rowsDone = [&](int64_t e, int64_t firstRow, int64_t rows) {
      int64_t begin = plan.offsets[e] + firstRow;
      done(begin, begin + rows);
    };
    auto call = [](void* context, int64_t e, int64_t firstRow, int64_t rows) {
      (*static_cast<decltype(rowsDone)*>(context))(e, firstRow, rows);
    };
    return groupedMatmul(products, plan.E, RowsDone{call, &rowsDone});
  }
}

/** rows [S, in] · matrix of the slot's expert: out [S, columns]. `tokens` gathers the rows by slot when not null. */
template <class Done = std::nullptr_t>
Status multiplyRows(const ExpertPlan& plan, const float* rows, const int32_t* tokens, int64_t in,
                    const float* matrices, bool transposed, int64_t columns, float* out, Done&& done = nullptr) {
  auto describe = [&](int64_t e, int64_t first, int64_t count) {
    Gemm one;
    one.m = count, one.n = columns, one.k = in;
    one.a = tokens != nullptr ? rows : rows + first * in;
    one.aRows = tokens != nullptr ? tokens + first : nullptr;
    one.aRowStride = in;
    one.b = matrices + e * in * columns;
    one.bRowStride = transposed ? 1 : columns;
    one.bColumnStride = transposed ? in : 1;
    one.c = out + first * columns, one.cRowStride = columns;
    return one;
  };
  return multiplyPerExpert(plan, describe, done);
}

/** out[e] [in, columns] = rowsᵀ · gradient over the slots of e; zeros for an expert without slots. `tokens` gathers
 *  rows [., in] by slot when not null; gradient [S, columns]. */
Status multiplyWeightGradient(const ExpertPlan& plan, const float* rows, const int32_t* tokens, int64_t in,
                              const float* gradient, int64_t columns, float* out) {
  auto describe = [&](int64_t e, int64_t first, int64_t count) {
    Gemm one;
    one.m = in, one.n = columns, one.k = count;
    one.a = tokens != nullptr ? rows : rows + first * in;
    one.aColumns = tokens != nullptr ? tokens + first : nullptr;
    one.aRowStride = 1, one.aColumnStride = in;
    one.b = gradient + first * columns, one.bRowStride = columns;
    one.c = out + e * in * columns, one.cRowStride = columns;
    return one;
  };
  return multiplyPerExpert(plan, describe, nullptr);
}

/** f and its slope at one place. */
struct Curve {
  vf value, slope;
};

struct Silu {
  MOE_INLINE static vf value(vf g) { return g * vsigmoid(g); }
  MOE_INLINE static Curve curve(vf g) {
    vf sigmoid = vsigmoid(g);
    return {g * sigmoid, sigmoid * (1.0f + g * (1.0f - sigmoid))};
  }
};

/** x · Φ(x), its slope Φ(x) + x · φ(x), φ and Φ the density and distribution of the normal law. */
struct Gelu {
  static constexpr float kRootHalf = 0.707106781f, kLargestDensity = 0.398942280f;
  MOE_INLINE static vf distribution(vf g) { return fma(errorFunction(g * kRootHalf), broadcast(0.5f), broadcast(0.5f)); }
  MOE_INLINE static vf value(vf g) { return g * distribution(g); }
  MOE_INLINE static Curve curve(vf g) {
    vf below = distribution(g);
    return {g * below, below + g * kLargestDensity * vexp(g * g * -0.5f)};
  }
};

/** A NaN stays one: it is not ≤ 0. */
struct Relu {
  MOE_INLINE static vf value(vf g) { return select(g <= 0.0f, broadcast(0.0f), g); }
  MOE_INLINE static Curve curve(vf g) { return {value(g), select(g <= 0.0f, broadcast(0.0f), broadcast(1.0f))}; }
};

struct SquaredRelu {
  MOE_INLINE static vf value(vf g) { return Relu::value(g) * Relu::value(g); }
  MOE_INLINE static Curve curve(vf g) { return {value(g), Relu::value(g) * 2.0f}; }
};

struct Sigmoid {
  MOE_INLINE static vf value(vf g) { return vsigmoid(g); }
  MOE_INLINE static Curve curve(vf g) {
    vf sigmoid = vsigmoid(g);
    return {sigmoid, sigmoid * (1.0f - sigmoid)};
  }
};

/** hidden[s] = f(g) ∘ u for slots [begin, end); f(g) without a gate. */
template <class F, bool Gated>
void activate(const float* activations, int64_t begin, int64_t end, int64_t H, float* hidden) {
  for (int64_t s = begin; s < end; ++s) {
    const float* gate = activations + s * (Gated ? 2 * H : H);
    float* to = hidden + s * H;
    forEachVector(H, [&](int64_t h, auto lanes) {
      vf value = F::value(lanes.load(gate + h));
      if constexpr (Gated) value *= lanes.load(gate + H + h);
      lanes.store(to + h, value);
    });
  }
}

/** Backward through the activation of slots [begin, end), in place. On entry hidden[s] is the gradient of the unweighted
 *  hidden row; on exit it is weight · hidden row, activations[s] the gradient of the first product, and dWeights the
 *  gradient of the weights. */
template <class F, bool Gated>
void activateBackward(int64_t begin, int64_t end, int64_t H, const int32_t* assignment, const float* weights,
                      float* activations, float* hidden, float* dWeights) {
  for (int64_t s = begin; s < end; ++s) {
    float* gate = activations + s * (Gated ? 2 * H : H);
    float* up = gate + H;
    float* row = hidden + s * H;
    float weight = weights[assignment[s]];
    vf dWeight = {};
    forEachVector(H, [&](int64_t h, auto lanes) {
      auto [f, slope] = F::curve(lanes.load(gate + h));
      vf d = lanes.load(row + h), value = f, dGate = d;
      if constexpr (Gated) {
        vf u = lanes.load(up + h);
        value = f * u;
        dGate = d * u;
        lanes.store(up + h, d * f * weight);
      }
      dWeight = fma(value, d, dWeight);
      lanes.store(row + h, value * weight);
      lanes.store(gate + h, dGate * slope * weight);
    });
    dWeights[assignment[s]] = hsum(dWeight);
  }
}

/** Calls work with the f of a kind and whether it has a gate. */
template <class Work>
void ofKind(FeedForwardKind kind, Work&& work) {
  switch (kind) {
    case FeedForwardKind::swiglu: return work(Silu{}, std::true_type{});
    case FeedForwardKind::geglu: return work(Gelu{}, std::true_type{});
    case FeedForwardKind::reglu: return work(Relu{}, std::true_type{});
    case FeedForwardKind::glu: return work(Sigmoid{}, std::true_type{});
    case FeedForwardKind::gelu: return work(Gelu{}, std::false_type{});
    case FeedForwardKind::relu: return work(Relu{}, std::false_type{});
    case FeedForwardKind::relu2: return work(SquaredRelu{}, std::false_type{});
    case FeedForwardKind::silu: return work(Silu{}, std::false_type{});
    case FeedForwardKind::count: return;
  }
}

}  // namespace

Status expertFeedForward(const ExpertPlan& plan, const float* x, const float* weights, const float* first,
                         const float* down, float* activations, float* y) {
  int64_t S = plan.S, C = plan.C, H = plan.H;
  Scratch assignment(1, S), hidden(1, S * H), rows(1, S * C);
  if (!assignment.isOk()) return assignment.status("the slots of expertFeedForward");
  if (!hidden.isOk()) return hidden.status("the hidden rows of expertFeedForward");
  if (!rows.isOk()) return rows.status("the output rows of expertFeedForward");
  Status done = checkPlan(plan, assignment.ints());
  auto activateRows = [&](int64_t begin, int64_t end) {
    ofKind(plan.kind, [&](auto f, auto gated) {
      activate<decltype(f), gated.value>(activations, begin, end, H, hidden.floats());
    });
  };
  if (done.isOk())
    done = multiplyRows(plan, x, plan.slotToken, C, first, false, plan.columns(), activations, activateRows);
  if (!done.isOk()) return done;
  done = multiplyRows(plan, hidden.floats(), nullptr, H, down, false, C, rows.floats());
  if (!done.isOk()) return done;
  return combineRows(rows.floats(), weights, plan.tokenSlot, plan.N, plan.K, S, C, y);
}

Status expertFeedForwardBackward(const ExpertPlan& plan, const float* x, const float* weights, const float* first,
                                 const float* down, const float* dy, float* activations, float* dx, float* dWeights,
                                 float* dFirst, float* dDown) {
  int64_t S = plan.S, C = plan.C, H = plan.H;
  Scratch assignments(1, S), hiddenRows(1, S * H), slotRows(1, S * C);
  if (!assignments.isOk()) return assignments.status("the slots of expertFeedForward");
  if (!hiddenRows.isOk()) return hiddenRows.status("the hidden rows of expertFeedForward");
  if (!slotRows.isOk()) return slotRows.status("the gradient rows of expertFeedForward");
  int32_t* assignment = assignments.ints();
  float* hidden = hiddenRows.floats();
  float* rows = slotRows.floats();

  Status done = checkPlan(plan, assignment);
  if (!done.isOk()) return done;
  for (int64_t i = 0; i < plan.N * plan.K; ++i)
    if (plan.tokenSlot[i] < 0) dWeights[i] = 0.0f;
  // dy by slot is needed twice, once as the B of a product, which can't gather: one copy.
  done = gatherRows(dy, plan.slotToken, plan.N, S, C, rows);
  auto activateRows = [&](int64_t begin, int64_t end) {
    ofKind(plan.kind, [&](auto f, auto gated) {
      activateBackward<decltype(f), gated.value>(begin, end, H, assignment, weights, activations, hidden, dWeights);
    });
  };
  if (done.isOk()) done = multiplyRows(plan, rows, nullptr, C, down, true, H, hidden, activateRows);
  if (!done.isOk()) return done;
  done = multiplyWeightGradient(plan, hidden, nullptr, H, rows, C, dDown);
  if (done.isOk()) done = multiplyWeightGradient(plan, x, plan.slotToken, C, activations, plan.columns(), dFirst);
  if (done.isOk()) done = multiplyRows(plan, activations, nullptr, plan.columns(), first, true, C, rows);
  if (!done.isOk()) return done;
  return combineRows(rows, nullptr, plan.tokenSlot, plan.N, plan.K, S, C, dx);
}

}  // namespace moe::MOE_ISA
