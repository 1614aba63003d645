/* The ops of toolkit/ops that aren't about experts: see toolkit/backend/fusedFunctions.ts for the TypeScript side. */
#include "adamw.h"
#include "attention.h"
#include "crossEntropy.h"
#include "groups.h"
#include "layerNorm.h"
#include "queryKeyValue.h"
#include "rmsNorm.h"
#include "rotary.h"

namespace moe {
namespace {

Status bindRmsNormForward(Arguments& in) {
  int64_t rows = in.integer("rows"), C = in.integer("C");
  float epsilon = static_cast<float>(in.number("epsilon"));
  const float* x = in.floats("x", elementCount({rows, C}));
  const float* gain = in.floats("gain", C);
  float* y = in.mutableFloats("y", elementCount({rows, C}));
  float* scale = in.mutableFloats("scale", rows);
  return rmsNormForward(x, gain, epsilon, rows, C, y, scale);
}

Status bindRmsNormBackward(Arguments& in) {
  int64_t rows = in.integer("rows"), C = in.integer("C");
  const float* x = in.floats("x", elementCount({rows, C}));
  const float* gain = in.floats("gain", C);
  const float* scale = in.floats("scale", rows);
  const float* dy = in.floats("dy", elementCount({rows, C}));
  const float* dSum = in.floatsOrNull("dSum", elementCount({rows, C}));
  float* dx = in.mutableFloats("dx", elementCount({rows, C}));
  float* dGain = in.mutableFloats("dGain", C);
  return rmsNormBackward(x, gain, scale, dy, dSum, rows, C, dx, dGain);
}

Status bindAddRmsNormForward(Arguments& in) {
  int64_t rows = in.integer("rows"), C = in.integer("C");
  float epsilon = static_cast<float>(in.number("epsilon"));
  const float* x = in.floats("x", elementCount({rows, C}));
  const float* added = in.floats("added", elementCount({rows, C}));
  const float* gain = in.floats("gain", C);
  float* sum = in.mutableFloats("sum", elementCount({rows, C}));
  float* y = in.mutableFloats("y", elementCount({rows, C}));
  float* scale = in.mutableFloats("scale", rows);
  return addRmsNormForward(x, added, gain, epsilon, rows, C, sum, y, scale);
}

Status bindLayerNormForward(Arguments& in) {
  int64_t rows = in.integer("rows"), C = in.integer("C");
  float epsilon = static_cast<float>(in.number("epsilon"));
  const float* x = in.floats("x", elementCount({rows, C}));
  const float* gain = in.floats("gain", C);
  const float* bias = in.floats("bias", C);
  float* y = in.mutableFloats("y", elementCount({rows, C}));
  float* mean = in.mutableFloats("mean", rows);
  float* scale = in.mutableFloats("scale", rows);
  return layerNormForward(x, gain, bias, epsilon, rows, C, y, mean, scale);
}

Status bindLayerNormBackward(Arguments& in) {
  int64_t rows = in.integer("rows"), C = in.integer("C");
  const float* x = in.floats("x", elementCount({rows, C}));
  const float* gain = in.floats("gain", C);
  const float* mean = in.floats("mean", rows);
  const float* scale = in.floats("scale", rows);
  const float* dy = in.floats("dy", elementCount({rows, C}));
  float* dx = in.mutableFloats("dx", elementCount({rows, C}));
  float* dGain = in.mutableFloats("dGain", C);
  float* dBias = in.mutableFloats("dBias", C);
  return layerNormBackward(x, gain, mean, scale, dy, rows, C, dx, dGain, dBias);
}

Status bindRotary(Arguments& in) {
  int64_t B = in.integer("B"), T = in.integer("T"), heads = in.integer("heads"), D = in.integer("D");
  bool inverse = in.flag("inverse");
  int64_t size = elementCount({B, T, heads, D});
  const float* x = in.floats("x", size);
  const float* cosine = in.floats("cosine", elementCount({T, D / 2}));
  const float* sine = in.floats("sine", elementCount({T, D / 2}));
  float* y = in.mutableFloats("y", size);
  if (size == 0) return Status::ok();
  return rotary(x, cosine, sine, B, T, heads, D, inverse, y);
}

ProjectionSizes projectionSizes(Arguments& in) {
  ProjectionSizes sizes;
  sizes.N = in.integer("N"), sizes.C = in.integer("C");
  for (int64_t& columns : sizes.columns) columns = in.integer("columns");
  return sizes;
}

/** Three arrays of rows · columns[i] floats. */
void readEach(Arguments& in, const char* name, int64_t rows, const ProjectionSizes& sizes, const float* (&to)[3]) {
  for (int i = 0; i < 3; ++i) to[i] = in.floats(name, elementCount({rows, sizes.columns[i]}));
}

void writeEach(Arguments& in, const char* name, int64_t rows, const ProjectionSizes& sizes, float* (&to)[3]) {
  for (int i = 0; i < 3; ++i) to[i] = in.mutableFloats(name, elementCount({rows, sizes.columns[i]}));
}

Status bindQueryKeyValueForward(Arguments& in) {
  ProjectionSizes s = projectionSizes(in);
  const float* weights[3];
  float* outputs[3];
  const float* x = in.floats("x", elementCount({s.N, s.C}));
  readEach(in, "weights", s.C, s, weights);
  writeEach(in, "outputs", s.N, s, outputs);
  return queryKeyValueForward(s, x, weights, outputs);
}

Status bindQueryKeyValueBackward(Arguments& in) {
  ProjectionSizes s = projectionSizes(in);
  const float *weights[3], *dOutputs[3];
  float* dWeights[3];
  const float* x = in.floats("x", elementCount({s.N, s.C}));
  readEach(in, "weights", s.C, s, weights);
  readEach(in, "dOutputs", s.N, s, dOutputs);
  float* dx = in.mutableFloats("dx", elementCount({s.N, s.C}));
  writeEach(in, "dWeights", s.C, s, dWeights);
  return queryKeyValueBackward(s, x, weights, dOutputs, dx, dWeights);
}

AttentionSizes attentionSizes(Arguments& in) {
  AttentionSizes sizes;
  sizes.B = in.integer("B"), sizes.Tq = in.integer("Tq"), sizes.Tk = in.integer("Tk");
  sizes.Q = in.integer("Q"), sizes.G = in.integer("G"), sizes.D = in.integer("D");
  return sizes;
}

Status bindAttentionForward(Arguments& in) {
  AttentionSizes s = attentionSizes(in);
  int64_t queries = elementCount({s.B, s.Tq, s.Q, s.D}), keys = elementCount({s.B, s.Tk, s.G, s.D});
  const float* query = in.floats("query", queries);
  const float* key = in.floats("key", keys);
  const float* value = in.floats("value", keys);
  float* y = in.mutableFloats("y", queries);
  int64_t rows = elementCount({s.B, s.Q, s.Tq});
  float* logSumExp = in.mutableFloats("logSumExp", rows);
  const int32_t* firstKey = in.indicesOrNull("firstKey", elementCount({s.B, s.Tq}));
  if (rows == 0) return Status::ok();
  return attentionForward(s, query, key, value, firstKey, y, logSumExp);
}

Status bindAttentionBackward(Arguments& in) {
  AttentionSizes s = attentionSizes(in);
  int64_t queries = elementCount({s.B, s.Tq, s.Q, s.D}), keys = elementCount({s.B, s.Tk, s.G, s.D});
  const float* query = in.floats("query", queries);
  const float* key = in.floats("key", keys);
  const float* value = in.floats("value", keys);
  const float* y = in.floats("y", queries);
  const float* logSumExp = in.floats("logSumExp", elementCount({s.B, s.Q, s.Tq}));
  const float* dy = in.floats("dy", queries);
  float* dQuery = in.mutableFloats("dQuery", queries);
  float* dKey = in.mutableFloats("dKey", keys);
  float* dValue = in.mutableFloats("dValue", keys);
  const int32_t* firstKey = in.indicesOrNull("firstKey", elementCount({s.B, s.Tq}));
  if (queries == 0) {
    Status cleared = clearFloats(dKey, keys);
    return cleared.isOk() ? clearFloats(dValue, keys) : cleared;
  }
  return attentionBackward(s, query, key, value, firstKey, y, logSumExp, dy, dQuery, dKey, dValue);
}

Status bindCrossEntropyForward(Arguments& in) {
  int64_t N = in.integer("N"), V = in.integer("V");
  const float* logits = in.floats("logits", elementCount({N, V}));
  const int32_t* targets = in.indices("targets", N);
  const float* mask = in.steeringFloats("mask", N);
  float* logSumExp = in.mutableFloats("logSumExp", N);
  float* nats = in.mutableFloats("nats", 1);
  return crossEntropyForward(logits, targets, mask, N, V, logSumExp, nats);
}

Status bindCrossEntropyBackward(Arguments& in) {
  int64_t N = in.integer("N"), V = in.integer("V");
  const float* dNats = in.floats("dNats", 1);
  const float* logits = in.floats("logits", elementCount({N, V}));
  const int32_t* targets = in.indices("targets", N);
  const float* mask = in.steeringFloats("mask", N);
  const float* logSumExp = in.floats("logSumExp", N);
  float* dLogits = in.mutableFloats("dLogits", elementCount({N, V}));
  return crossEntropyBackward(logits, targets, mask, logSumExp, dNats, N, V, dLogits);
}

Status bindAdamwUpdate(Arguments& in) {
  AdamwFactors factors;
  double beta1 = in.number("beta1"), beta2 = in.number("beta2");
  factors.beta1 = static_cast<float>(beta1), factors.beta2 = static_cast<float>(beta2);
  factors.firstShare = static_cast<float>(1.0 - beta1), factors.secondShare = static_cast<float>(1.0 - beta2);
  factors.firstScale = static_cast<float>(in.number("firstScale"));
  factors.secondScale = static_cast<float>(in.number("secondScale"));
  factors.epsilon = static_cast<float>(in.number("epsilon"));
  factors.learningRate = static_cast<float>(in.number("learningRate"));
  std::vector<FloatRow> rows =
      in.floatLists({{"gradients", false}, {"values", true}, {"firstMoments", true}, {"secondMoments", true}});
  int64_t count = static_cast<int64_t>(rows.size());
  const float* decays = in.hostFloats("decays", count);
  factors.gradientScale = in.floats("gradientScale", 1);
  std::vector<AdamwParameter> parameters;
  parameters.reserve(rows.size());
  for (size_t i = 0; i < rows.size(); ++i) {
    const auto& [length, data] = rows[i];
    parameters.push_back({length, decays[i], data[0], data[1], data[2], data[3]});
  }
  return adamwUpdate(factors, parameters.data(), count);
}

Status bindGlobalNorm(Arguments& in) {
  double maxNorm = in.number("maxNorm");
  std::vector<FloatSpan> spans;
  for (const FloatRow& row : in.floatLists({{"x", false}})) spans.push_back({row.data[0], row.length});
  float* norm = in.mutableFloats("norm", 1);
  float* gradientScale = in.mutableFloats("gradientScale", 1);
  return globalNorm(spans.data(), static_cast<int64_t>(spans.size()), maxNorm, norm, gradientScale);
}

}  // namespace

void registerFusedOps(Exports& exports) {
  exports.add("rmsNormForward", bindRmsNormForward);
  exports.add("rmsNormBackward", bindRmsNormBackward);
  exports.add("addRmsNormForward", bindAddRmsNormForward);
  exports.add("layerNormForward", bindLayerNormForward);
  exports.add("layerNormBackward", bindLayerNormBackward);
  exports.add("rotary", bindRotary);
  exports.add("queryKeyValueForward", bindQueryKeyValueForward);
  exports.add("queryKeyValueBackward", bindQueryKeyValueBackward);
  exports.add("attentionForward", bindAttentionForward);
  exports.add("attentionBackward", bindAttentionBackward);
  exports.add("crossEntropyForward", bindCrossEntropyForward);
  exports.add("crossEntropyBackward", bindCrossEntropyBackward);
  exports.add("adamwUpdate", bindAdamwUpdate);
  exports.add("globalNorm", bindGlobalNorm);
}

}  // namespace moe
