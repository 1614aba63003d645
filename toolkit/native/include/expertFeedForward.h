#pragma once
#include <cstdint>

#include "isa.h"
#include "status.h"

namespace moe {

/** Sizes and routing of one call; S ≤ N·K slots. */
struct ExpertPlan {
  int64_t N, K, C, H, E, S;
  const int32_t* offsets;    // [E + 1] slots of expert e: offsets[e] … offsets[e + 1]
  const int32_t* slotToken;  // [S]
  const int32_t* tokenSlot;  // [N, K], −1 for a choice that reaches no expert
};

}  // namespace moe

/** y[n] = Σₖ weights[n, k] · (silu(g) ∘ u) · down[e], where [g, u] = x[n] · gateUp[e] and e is the expert of slot
 *  tokenSlot[n, k]. x [N, C], weights [N, K], gateUp [E, C, 2H], down [E, H, C], y [N, C];
 *  activations [S, 2H] gets [g, u] of every slot, for the backward pass.
 *  A choice without a slot adds nothing. outOfRange unless the plan is one: every slot once, tokens in [0, N), offsets
 *  rising from 0 to S. */
MOE_KERNEL(Status, expertFeedForward,
           (const ExpertPlan& plan, const float* x, const float* weights, const float* gateUp, const float* down,
            float* activations, float* y))

/** All gradients from dy [N, C]: dx, dWeights, dGateUp, dDown, shaped like the inputs; the weight of a choice without a slot gets
 *  0. Overwrites activations. */
MOE_KERNEL(Status, expertFeedForwardBackward,
           (const ExpertPlan& plan, const float* x, const float* weights, const float* gateUp, const float* down,
            const float* dy, float* activations, float* dx, float* dWeights, float* dGateUp, float* dDown))
