#pragma once
/* What stands between the two products of a feed-forward part, and its slope: see FeedForwardKind. */
#include <cuda_runtime.h>

#include "expertFeedForward.h"

namespace moe::cuda {

/** f and its slope at one place. */
struct Curve {
  float value, slope;
};

__device__ inline float sigmoid(float g) { return 1.0f / (1.0f + expf(-g)); }

struct Silu {
  __device__ static float value(float g) { return g * sigmoid(g); }
  __device__ static Curve curve(float g) {
    float s = sigmoid(g);
    return {g * s, s * (1.0f + g * (1.0f - s))};
  }
};

/** x · Φ(x), its slope Φ(x) + x · φ(x), φ and Φ the density and distribution of the normal law. */
struct Gelu {
  static constexpr float kRootHalf = 0.707106781f, kLargestDensity = 0.398942280f;
  __device__ static float distribution(float g) { return fmaf(erff(g * kRootHalf), 0.5f, 0.5f); }
  __device__ static float value(float g) { return g * distribution(g); }
  __device__ static Curve curve(float g) {
    float below = distribution(g);
    return {g * below, below + g * kLargestDensity * expf(g * g * -0.5f)};
  }
};

/** A NaN stays one: it is not ≤ 0. */
struct Relu {
  __device__ static float value(float g) { return g <= 0.0f ? 0.0f : g; }
  __device__ static Curve curve(float g) { return {value(g), g <= 0.0f ? 0.0f : 1.0f}; }
};

struct SquaredRelu {
  __device__ static float value(float g) { return Relu::value(g) * Relu::value(g); }
  __device__ static Curve curve(float g) { return {value(g), Relu::value(g) * 2.0f}; }
};

struct Sigmoid {
  __device__ static float value(float g) { return sigmoid(g); }
  __device__ static Curve curve(float g) {
    float s = sigmoid(g);
    return {s, s * (1.0f - s)};
  }
};

/** Calls work with the f of a kind, and whether it has a gate. */
template <class Work>
Status ofKind(FeedForwardKind kind, Work&& work) {
  switch (kind) {
    case FeedForwardKind::swiglu: return work(Silu{}, std::true_type{});
    case FeedForwardKind::geglu: return work(Gelu{}, std::true_type{});
    case FeedForwardKind::reglu: return work(Relu{}, std::true_type{});
    case FeedForwardKind::glu: return work(Sigmoid{}, std::true_type{});
    case FeedForwardKind::gelu: return work(Gelu{}, std::false_type{});
    case FeedForwardKind::relu: return work(Relu{}, std::false_type{});
    case FeedForwardKind::relu2: return work(SquaredRelu{}, std::false_type{});
    case FeedForwardKind::silu: return work(Silu{}, std::false_type{});
    case FeedForwardKind::count: break;
  }
  return Status::outOfRange("kind", static_cast<int64_t>(kind), 0, static_cast<int64_t>(FeedForwardKind::count) - 1);
}

}  // namespace moe::cuda
