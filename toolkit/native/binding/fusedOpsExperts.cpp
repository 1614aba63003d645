/* The ops of toolkit/ops that send rows to experts and back: see toolkit/backend/fusedFunctions.ts. */
#include "dispatch.h"
#include "expertFeedForward.h"
#include "groups.h"
#include "routerLosses.h"
#include "routing.h"

namespace moe {
namespace {

Status bindRouteTopKForward(Arguments& in) {
  int64_t N = in.integer("N"), E = in.integer("E", 0, INT32_MAX), K = in.integer("K");
  bool renormalize = in.flag("renormalize");
  const float* logits = in.steeringFloats("logits", elementCount({N, E}));
  int32_t* ids = in.mutableInts("ids", elementCount({N, K}));
  float* weights = in.mutableFloats("weights", elementCount({N, K}));
  float* probabilities = in.mutableFloats("probabilities", elementCount({N, E}));
  if (N == 0) return Status::ok();
  return routeTopKForward(logits, N, E, K, renormalize, ids, weights, probabilities);
}

Status bindRouteTopKBackward(Arguments& in) {
  int64_t N = in.integer("N"), E = in.integer("E", 0, INT32_MAX), K = in.integer("K");
  bool renormalize = in.flag("renormalize");
  const int32_t* ids = in.indices("ids", elementCount({N, K}));
  const float* weights = in.floats("weights", elementCount({N, K}));
  const float* probabilities = in.floats("probabilities", elementCount({N, E}));
  const float* dWeights = in.floats("dWeights", elementCount({N, K}));
  const float* dProbabilities = in.floats("dProbabilities", elementCount({N, E}));
  int64_t made = elementCount({N, E});
  float* dLogits = in.mutableFloats("dLogits", made);
  if (made == 0) return Status::ok();
  return routeTopKBackward(ids, weights, probabilities, dWeights, dProbabilities, N, E, K, renormalize, dLogits);
}

Status bindGatherRows(Arguments& in) {
  int64_t rows = in.integer("rows"), count = in.integer("count"), C = in.integer("C");
  const float* x = in.floats("x", elementCount({rows, C}));
  const int32_t* ids = in.indices("ids", count);
  int64_t made = elementCount({count, C});
  float* y = in.mutableFloats("y", made);
  if (made == 0) return Status::ok();
  return gatherRows(x, ids, rows, count, C, y);
}

Status bindGatherRowsBackward(Arguments& in) {
  int64_t rows = in.integer("rows"), count = in.integer("count", 0, INT32_MAX), C = in.integer("C");
  const int32_t* ids = in.indices("ids", count);
  const float* dy = in.floats("dy", elementCount({count, C}));
  int64_t made = elementCount({rows, C});
  float* dx = in.mutableFloats("dx", made);
  if (made == 0) return Status::ok();
  return gatherRowsBackward(ids, dy, rows, count, C, dx);
}

Status bindCombineRows(Arguments& in) {
  int64_t N = in.integer("N"), K = in.integer("K"), S = in.integer("S"), C = in.integer("C");
  const float* rows = in.floats("rows", elementCount({S, C}));
  const float* weights = in.floatsOrNull("weights", elementCount({N, K}));
  const int32_t* tokenSlot = in.indices("tokenSlot", elementCount({N, K}));
  int64_t made = elementCount({N, C});
  float* y = in.mutableFloats("y", made);
  if (made == 0) return Status::ok();
  return combineRows(rows, weights, tokenSlot, N, K, S, C, y);
}

Status bindCombineRowsBackward(Arguments& in) {
  int64_t N = in.integer("N"), K = in.integer("K"), S = in.integer("S", 0, INT32_MAX), C = in.integer("C");
  int64_t choices = elementCount({N, K});
  const float* rows = in.floats("rows", elementCount({S, C}));
  const float* weights = in.floats("weights", choices);
  const int32_t* tokenSlot = in.indices("tokenSlot", choices);
  const float* dy = in.floats("dy", elementCount({N, C}));
  float* dRows = in.mutableFloats("dRows", elementCount({S, C}));
  float* dWeights = in.mutableFloats("dWeights", choices);
  if (choices == 0 && S == 0) return Status::ok();
  return combineRowsBackward(rows, weights, tokenSlot, dy, N, K, S, C, dRows, dWeights);
}

Status bindPlanDispatch(Arguments& in) {
  int64_t N = in.integer("N"), K = in.integer("K"), E = in.integer("E", 0, INT32_MAX - 1);
  int64_t choices = elementCount({N, K});
  const int32_t* ids = in.indices("ids", choices);
  int32_t* offsets = in.mutableInts("offsets", E + 1);
  int32_t* slotToken = in.mutableInts("slotToken", choices);
  int32_t* tokenSlot = in.mutableInts("tokenSlot", choices);
  return planDispatch(ids, N, K, E, offsets, slotToken, tokenSlot);
}

ExpertPlan expertPlan(Arguments& in) {
  ExpertPlan plan;
  plan.kind = static_cast<FeedForwardKind>(in.integer("kind", 0, static_cast<int64_t>(FeedForwardKind::count) - 1));
  plan.N = in.integer("N"), plan.K = in.integer("K", 1), plan.C = in.integer("C");
  plan.H = in.integer("H"), plan.E = in.integer("E"), plan.S = in.integer("S", 0, INT32_MAX);
  plan.offsets = in.indices("offsets", plan.E + 1);
  plan.slotToken = in.indices("slotToken", plan.S);
  plan.tokenSlot = in.indices("tokenSlot", elementCount({plan.N, plan.K}));
  return plan;
}

Status bindExpertFeedForward(Arguments& in) {
  ExpertPlan plan = expertPlan(in);
  const float* x = in.floats("x", elementCount({plan.N, plan.C}));
  const float* weights = in.floats("weights", elementCount({plan.N, plan.K}));
  const float* first = in.floats("first", elementCount({plan.E, plan.C, plan.columns()}));
  const float* down = in.floats("down", elementCount({plan.E, plan.H, plan.C}));
  float* activations = in.mutableFloats("activations", elementCount({plan.S, plan.columns()}));
  float* y = in.mutableFloats("y", elementCount({plan.N, plan.C}));
  if (plan.N == 0) return Status::ok();
  return expertFeedForward(plan, x, weights, first, down, activations, y);
}

Status bindExpertFeedForwardBackward(Arguments& in) {
  ExpertPlan plan = expertPlan(in);
  int64_t tokens = elementCount({plan.N, plan.C}), choices = elementCount({plan.N, plan.K});
  int64_t firstSize = elementCount({plan.E, plan.C, plan.columns()}), downSize = elementCount({plan.E, plan.H, plan.C});
  const float* x = in.floats("x", tokens);
  const float* weights = in.floats("weights", choices);
  const float* first = in.floats("first", firstSize);
  const float* down = in.floats("down", downSize);
  const float* dy = in.floats("dy", tokens);
  float* activations = in.mutableFloats("activations", elementCount({plan.S, plan.columns()}));
  float* dx = in.mutableFloats("dx", tokens);
  float* dWeights = in.mutableFloats("dWeights", choices);
  float* dFirst = in.mutableFloats("dFirst", firstSize);
  float* dDown = in.mutableFloats("dDown", downSize);
  return expertFeedForwardBackward(plan, x, weights, first, down, dy, activations, dx, dWeights, dFirst, dDown);
}

Status bindBalanceLossForward(Arguments& in) {
  int64_t N = in.integer("N"), K = in.integer("K"), E = in.integer("E", 0, INT32_MAX);
  const int32_t* ids = in.indices("ids", elementCount({N, K}));
  const float* probabilities = in.floats("probabilities", elementCount({N, E}));
  const float* mask = in.floats("mask", N);
  float* share = in.mutableFloats("share", E);
  float* loss = in.mutableFloats("loss", 1);
  return balanceLossForward(ids, probabilities, mask, N, K, E, share, loss);
}

Status bindBalanceLossBackward(Arguments& in) {
  int64_t N = in.integer("N"), E = in.integer("E");
  const float* dLoss = in.floats("dLoss", 1);
  const float* share = in.floats("share", E);
  const float* mask = in.floats("mask", N);
  float* dProbabilities = in.mutableFloats("dProbabilities", elementCount({N, E}));
  return balanceLossBackward(share, mask, dLoss, N, E, dProbabilities);
}

Status bindZLossForward(Arguments& in) {
  int64_t N = in.integer("N"), E = in.integer("E", 1);
  const float* logits = in.floats("logits", elementCount({N, E}));
  const float* mask = in.floats("mask", N);
  float* loss = in.mutableFloats("loss", 1);
  return zLossForward(logits, mask, N, E, loss);
}

Status bindZLossBackward(Arguments& in) {
  int64_t N = in.integer("N"), E = in.integer("E", 1);
  const float* dLoss = in.floats("dLoss", 1);
  const float* logits = in.floats("logits", elementCount({N, E}));
  const float* mask = in.floats("mask", N);
  float* dLogits = in.mutableFloats("dLogits", elementCount({N, E}));
  return zLossBackward(logits, mask, dLoss, N, E, dLogits);
}

}  // namespace

void registerFusedOpsExperts(Exports& exports) {
  exports.add("routeTopKForward", bindRouteTopKForward);
  exports.add("routeTopKBackward", bindRouteTopKBackward);
  exports.add("gatherRows", bindGatherRows);
  exports.add("gatherRowsBackward", bindGatherRowsBackward);
  exports.add("combineRows", bindCombineRows);
  exports.add("combineRowsBackward", bindCombineRowsBackward);
  exports.add("planDispatch", bindPlanDispatch);
  exports.add("expertFeedForward", bindExpertFeedForward);
  exports.add("expertFeedForwardBackward", bindExpertFeedForwardBackward);
  exports.add("balanceLossForward", bindBalanceLossForward);
  exports.add("balanceLossBackward", bindBalanceLossBackward);
  exports.add("zLossForward", bindZLossForward);
  exports.add("zLossBackward", bindZLossBackward);
}

}  // namespace moe
