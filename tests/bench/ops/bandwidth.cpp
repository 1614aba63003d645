// What the machine's memory gives to the plainest loops: the yardstick of `npm run bench -- ops`. An addon, so that it can
// run in turns with the kernels, on arrays from the same allocator. buildBandwidth.mjs compiles it for this processor.
#include <node_api.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <thread>
#include <vector>

namespace {

constexpr int kMostArrays = 3;
constexpr int64_t kVectorFloats = 16;
typedef float Vector __attribute__((vector_size(4 * kVectorFloats), aligned(4), may_alias));

struct Set {
  float* arrays[kMostArrays];
};

const Vector& vectorAt(const float* from) { return *reinterpret_cast<const Vector*>(from); }
Vector& vectorAt(float* at) { return *reinterpret_cast<Vector*>(at); }

/** Reads one array, copies one to another or adds two into a third, over [begin, end), a multiple of 4 vectors.
 *  Returns something of what was read, so that no compiler leaves out the reading. */
float pass(int arrays, const Set& set, int64_t begin, int64_t end) {
  const float *a = set.arrays[0], *b = set.arrays[1];
  if (arrays == 1) {
    Vector sum[4] = {};
    for (int64_t i = begin; i < end; i += 4 * kVectorFloats)
      for (int v = 0; v < 4; ++v) sum[v] += vectorAt(a + i + v * kVectorFloats);
    return (sum[0] + sum[1] + sum[2] + sum[3])[0];
  }
  float* to = set.arrays[arrays - 1];
  for (int64_t i = begin; i < end; i += kVectorFloats) {
    if (arrays == 2)
      vectorAt(to + i) = vectorAt(a + i);
    else
      vectorAt(to + i) = vectorAt(a + i) + vectorAt(b + i);
  }
  return to[begin];
}

/** Floats to leave out at the start, so that stores fill whole cache lines. */
int64_t floatsToAlignment(const float* p) { return static_cast<int64_t>((64 - reinterpret_cast<uintptr_t>(p) % 64) % 64 / 4); }

/** Seconds of one pass over one set, on `threads` threads that each keep their part and don't wait for each other. Half as
 *  many passes more come first, to fill the caches. */
double passSeconds(int arrays, int threads, int64_t passes, const std::vector<Set>& sets, int64_t count) {
  std::vector<double> seconds(static_cast<size_t>(threads));
  std::vector<float> seen(static_cast<size_t>(threads));
  std::atomic<int> ready{0};
  auto work = [&](int thread) {
    const int64_t block = 4 * kVectorFloats, blocks = (count - kVectorFloats) / block;
    auto run = [&](int64_t number) {
      const Set& set = sets[static_cast<size_t>(number) % sets.size()];
      int64_t start = floatsToAlignment(set.arrays[arrays - 1]);
      seen[thread] += pass(arrays, set, start + blocks * thread / threads * block, start + blocks * (thread + 1) / threads * block);
    };
    for (int64_t i = -(passes + 1) / 2; i < 0; ++i) run(i + passes + 1);
    ++ready;
    while (ready < threads) {
    }
    auto started = std::chrono::steady_clock::now();
    for (int64_t i = 0; i < passes; ++i) run(i);
    seconds[thread] = std::chrono::duration<double>(std::chrono::steady_clock::now() - started).count();
  };
  std::vector<std::thread> others;
  for (int thread = 1; thread < threads; ++thread) others.emplace_back(work, thread);
  work(0);
  for (std::thread& other : others) other.join();
  return *std::max_element(seconds.begin(), seconds.end()) / static_cast<double>(passes);
}

float* floats(napi_env env, napi_value value, int64_t* count) {
  napi_typedarray_type type;
  size_t length = 0;
  void* data = nullptr;
  if (napi_get_typedarray_info(env, value, &type, &length, &data, nullptr, nullptr) != napi_ok || type != napi_float32_array) return nullptr;
  *count = std::min(*count, static_cast<int64_t>(length));
  return static_cast<float*>(data);
}

/** passSeconds(arrays, threads, passes, list): list holds `arrays` Float32Arrays of one length for each set. */
napi_value passSecondsBound(napi_env env, napi_callback_info info) {
  size_t given = 4;
  napi_value values[4];
  napi_get_cb_info(env, info, &given, values, nullptr, nullptr);
  int32_t arrays = 0, threads = 0, passes = 0;
  uint32_t length = 0;
  napi_get_value_int32(env, values[0], &arrays);
  napi_get_value_int32(env, values[1], &threads);
  napi_get_value_int32(env, values[2], &passes);
  napi_get_array_length(env, values[3], &length);
  int64_t count = INT64_MAX;
  std::vector<Set> sets(arrays > 0 ? length / static_cast<uint32_t>(arrays) : 0);
  bool isRight = arrays >= 1 && arrays <= kMostArrays && threads >= 1 && passes >= 1 && !sets.empty();
  for (uint32_t i = 0; isRight && i < sets.size() * static_cast<uint32_t>(arrays); ++i) {
    napi_value array;
    napi_get_element(env, values[3], i, &array);
    float* data = floats(env, array, &count);
    sets[i / static_cast<uint32_t>(arrays)].arrays[i % static_cast<uint32_t>(arrays)] = data;
    isRight = data != nullptr;
  }
  if (!isRight || count < 8 * kVectorFloats) {
    napi_throw_type_error(env, nullptr, "passSeconds(arrays 1 to 3, threads, passes, Float32Arrays of at least 128 elements)");
    return nullptr;
  }
  napi_value result = nullptr;
  napi_create_double(env, passSeconds(arrays, threads, passes, sets, count), &result);
  return result;
}

}  // namespace

NAPI_MODULE_INIT() {
  napi_value function = nullptr;
  napi_create_function(env, "passSeconds", NAPI_AUTO_LENGTH, passSecondsBound, nullptr, &function);
  napi_set_named_property(env, exports, "passSeconds", function);
  return exports;
}
