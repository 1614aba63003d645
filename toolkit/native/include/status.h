#pragma once
#include <cstdint>

namespace moe {

/** What a native function has to say: done, or why not. It becomes a typed error in binding/arguments.cpp.
 *  Plain data and always inlined, so that objects built for different instruction sets share nothing. */
struct [[nodiscard]] Status {
  enum class Code : int32_t { ok, outOfRange, shape, outOfMemory, device, absent };

  Code code;
  const char* name;  // the argument it is about, or what CUDA calls its error; a string literal
  int64_t value;     // what was given, the bytes asked for, or the number of CUDA's error
  int64_t lowest;
  int64_t highest;

  [[gnu::always_inline]] static Status ok() { return {Code::ok, "", 0, 0, 0}; }

  /** `name` was `value`, allowed are lowest ≤ value ≤ highest. */
  [[gnu::always_inline]] static Status outOfRange(const char* name, int64_t value, int64_t lowest, int64_t highest) {
    return {Code::outOfRange, name, value, lowest, highest};
  }

  /** The size `name` was `given` where the other arguments ask for `expected`. */
  [[gnu::always_inline]] static Status shape(const char* name, int64_t given, int64_t expected) {
    return {Code::shape, name, given, expected, expected};
  }

  /** `bytes` of working memory could not be had for `name`. */
  [[gnu::always_inline]] static Status outOfMemory(const char* name, int64_t bytes) {
    return {Code::outOfMemory, name, bytes, 0, 0};
  }

  /** CUDA answered with this error. */
  [[gnu::always_inline]] static Status device(const char* error, int64_t number) { return {Code::device, error, number, 0, 0}; }

  /** This addon has no such kernel. */
  [[gnu::always_inline]] static Status absent() { return {Code::absent, "", 0, 0, 0}; }

  [[gnu::always_inline]] bool isOk() const { return code == Code::ok; }
};

}  // namespace moe
