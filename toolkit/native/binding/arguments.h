#pragma once
#include <node_api.h>

#include <cstdint>
#include <initializer_list>
#include <string>

#include "status.h"

namespace moe {

/** Most elements of one array, and the largest size that a binding accepts: what a typed array can hold. */
inline constexpr int64_t kMostElements = (int64_t{1} << 33);

/** Product of sizes, each ≤ kMostElements; stops growing far above what any array can hold instead of overflowing. */
int64_t elementCount(std::initializer_list<int64_t> sizes);

/** What went wrong, in the four parts of MoeLabError. Thrown within binding/ and turned into a JavaScript error. */
struct BindingError {
  std::string code, what, why, fix;
};

/** A typed array of any of the three kinds. */
struct AnyArray {
  void* data;
  int64_t length;        // elements
  int64_t elementBytes;  // 4 or 1
};

/** Reads the arguments of one call from JavaScript, in order, checking each. Read sizes before the arrays whose length
 *  they give. Every reader throws BindingError; nothing is converted or copied. */
class Arguments {
 public:
  Arguments(napi_env env, napi_callback_info info, const char* function);

  /** A whole number with lowest ≤ value ≤ highest. */
  int64_t integer(const char* name, int64_t lowest = 0, int64_t highest = kMostElements);
  double number(const char* name);
  bool flag(const char* name);

  /** A Float32Array, Int32Array or Uint8Array (bool tensors) of at least `atLeast` elements. */
  const float* floats(const char* name, int64_t atLeast) { return mutableFloats(name, atLeast); }
  const int32_t* ints(const char* name, int64_t atLeast) { return mutableInts(name, atLeast); }
  const uint8_t* bytes(const char* name, int64_t atLeast) { return mutableBytes(name, atLeast); }
  float* mutableFloats(const char* name, int64_t atLeast);
  int32_t* mutableInts(const char* name, int64_t atLeast);
  uint8_t* mutableBytes(const char* name, int64_t atLeast);

  /** A Float32Array, Int32Array or Uint8Array, whose length the caller checks. */
  AnyArray anyArray(const char* name);

  /** A Float32Array, or nullptr where null or undefined was given. */
  const float* floatsOrNull(const char* name, int64_t atLeast) { return mutableFloatsOrNull(name, atLeast); }
  float* mutableFloatsOrNull(const char* name, int64_t atLeast);

  /** Elements of the array that comes next, without reading it. */
  int64_t nextLength(const char* name);

  /** Sets what the call returns; undefined without it. */
  void returns(double value);
  void returns(const char* text);

  napi_env env() const { return env_; }
  napi_value result() const { return result_; }

 private:
  static constexpr size_t kMostArguments = 40;

  napi_value next(const char* name);
  void* array(const char* name, napi_typedarray_type type, const char* typeName, int64_t atLeast);
  bool nextIsAbsent();
  [[noreturn]] void refuse(const char* name, const std::string& given, const std::string& expected) const;

  napi_env env_;
  const char* function_;
  size_t count_ = kMostArguments;
  size_t position_ = 0;
  napi_value values_[kMostArguments];
  napi_value result_ = nullptr;
};

/** A function of the addon: reads its arguments, runs one kernel. */
using BoundFunction = Status (*)(Arguments& in);

/** The addon's exports while it is loaded; each binding/<group>.cpp adds its functions. */
class Exports {
 public:
  Exports(napi_env env, napi_value exports) : env_(env), exports_(exports) {}

  /** Makes `name` callable from JavaScript; `name` must be a string literal. */
  void add(const char* name, BoundFunction function);

 private:
  napi_env env_;
  napi_value exports_;
};

}  // namespace moe
