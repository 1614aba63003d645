#pragma once
#include <cstdint>

#include "isa.h"
#include "status.h"

namespace moe {

/** What stands between the two products of a feed-forward part: f(g) ∘ u with a gate, f(g) without. The order is that of
 *  feedForwardKinds in toolkit/ops/feedForwardKinds.ts. */
enum class FeedForwardKind : int32_t { swiglu, geglu, reglu, glu, gelu, relu, relu2, silu, count };

inline bool isGated(FeedForwardKind kind) { return kind <= FeedForwardKind::glu; }

/** Sizes and routing of one call; S ≤ N·K slots. */
struct ExpertPlan {
  FeedForwardKind kind;
  int64_t N, K, C, H, E, S;
  const int32_t* offsets;    // [E + 1] slots of expert e: offsets[e] … offsets[e + 1]
  const int32_t* slotToken;  // [S]
  const int32_t* tokenSlot;  // [N, K], −1 for a choice that reaches no expert

  /** Columns of the first product: 2H with a gate, else H. */
  int64_t columns() const { return isGated(kind) ? 2 * H : H; }
};

}  // namespace moe

/** y[n] = Σₖ weights[n, k] · (f(g) ∘ u) · down[e], where [g, u] = x[n] · first[e] and e is the expert of slot
 *  tokenSlot[n, k]; without a gate f(g) · down[e], where g = x[n] · first[e]. x [N, C], weights [N, K], first [E, C, 2H] or
 *  [E, C, H], down [E, H, C], y [N, C]; activations [S, 2H] or [S, H] gets the first product of every slot, for the backward
 *  pass.
 *  A choice without a slot adds nothing. outOfRange unless the plan is one: every slot once, tokens in [0, N), offsets
 *  rising from 0 to S. */
MOE_KERNEL(Status, expertFeedForward,
           (const ExpertPlan& plan, const float* x, const float* weights, const float* first, const float* down,
            float* activations, float* y))

/** All gradients from dy [N, C]: dx, dWeights, dFirst, dDown, shaped like the inputs; the weight of a choice without a slot gets
 *  0. Overwrites activations. */
MOE_KERNEL(Status, expertFeedForwardBackward,
           (const ExpertPlan& plan, const float* x, const float* weights, const float* first, const float* down,
            const float* dy, float* activations, float* dx, float* dWeights, float* dFirst, float* dDown))
