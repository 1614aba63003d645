/* What a router chooses: see toolkit/backend/fusedFunctions.ts. */
#include "choices.h"

#include "groups.h"

namespace moe {
namespace {

/** Numbers of choices are kept as int32. */
int64_t choicesOf(int64_t N, int64_t K) {
  int64_t choices = elementCount({N, K});
  if (choices > INT32_MAX) throw Status::outOfRange("N * K", choices, 0, INT32_MAX);
  return choices;
}

Status bindSelectExperts(Arguments& in) {
  int64_t N = in.integer("N"), E = in.integer("E", 0, INT32_MAX), K = in.integer("K", 0, INT32_MAX);
  GroupLimit groups;
  groups.numGroups = in.integer("numGroups", 0, E);
  groups.groupsPerToken = in.integer("groupsPerToken", 0, groups.numGroups);
  groups.summed = in.integer("summed", 1, 2);
  if (groups.numGroups > 0 && E % groups.numGroups != 0) return Status::shape("E", E, E / groups.numGroups * groups.numGroups);
  const float* scores = in.steeringFloats("scores", elementCount({N, E}));
  const float* bias = in.floatsOrNull("bias", E);
  int64_t choices = choicesOf(N, K);
  int32_t* ids = in.mutableInts("ids", choices);
  if (choices == 0) return Status::ok();
  return selectExperts(scores, bias, N, E, K, groups, ids);
}

Status bindChosenScores(Arguments& in) {
  int64_t N = in.integer("N"), E = in.integer("E", 0, INT32_MAX), K = in.integer("K");
  const float* scores = in.floats("scores", elementCount({N, E}));
  const int32_t* ids = in.indices("ids", choicesOf(N, K));
  float* y = in.mutableFloats("y", elementCount({N, K}));
  return chosenScores(scores, ids, N, E, K, y);
}

Status bindChosenScoresBackward(Arguments& in) {
  int64_t N = in.integer("N"), E = in.integer("E", 0, INT32_MAX), K = in.integer("K");
  const int32_t* ids = in.indices("ids", choicesOf(N, K));
  const float* dy = in.floats("dy", elementCount({N, K}));
  float* dScores = in.mutableFloats("dScores", elementCount({N, E}));
  return chosenScoresBackward(ids, dy, N, E, K, dScores);
}

Status bindCountChoices(Arguments& in) {
  int64_t B = in.integer("B"), T = in.integer("T"), K = in.integer("K"), E = in.integer("E", 0, INT32_MAX);
  const int32_t* ids = in.indices("ids", choicesOf(elementCount({B, T}), K));
  const float* mask = in.floatsOrNull("mask", elementCount({B, T}));
  float* counts = in.mutableFloats("counts", elementCount({B, E}));
  return countChoices(ids, mask, B, T, K, E, counts);
}

Status bindLimitChoices(Arguments& in) {
  int64_t count = in.integer("count", 0, INT32_MAX), E = in.integer("E", 0, INT32_MAX - 1), capacity = in.integer("capacity");
  const int32_t* ids = in.indices("ids", count);
  const float* weights = in.floatsOrNull("weights", count);
  int32_t* assigned = in.mutableInts("assigned", count);
  return limitChoices(ids, weights, count, E, capacity, assigned);
}

}  // namespace

void registerChoices(Exports& exports) {
  exports.add("selectExperts", bindSelectExperts);
  exports.add("chosenScores", bindChosenScores);
  exports.add("chosenScoresBackward", bindChosenScoresBackward);
  exports.add("countChoices", bindCountChoices);
  exports.add("limitChoices", bindLimitChoices);
}

}  // namespace moe
