#pragma once
#include <node_api.h>

#include <cstdint>
#include <initializer_list>
#include <string>
#include <vector>

#include "errors.h"
#include "status.h"

namespace moe {

/** Most elements of one array, and the largest size that a binding accepts: what a typed array can hold. */
inline constexpr int64_t kMostElements = (int64_t{1} << 33);

/** Product of sizes, each ≤ kMostElements; stops growing far above what any array can hold instead of overflowing. */
int64_t elementCount(std::initializer_list<int64_t> sizes);

/** Memory of a device as JavaScript holds it: see deviceArray.h. */
struct DeviceArray;

/** A typed array. */
struct HostArray {
  napi_typedarray_type type;
  void* data;
  int64_t length;  // elements
};

/** A typed array of any of the three kinds. */
struct AnyArray {
  void* data;
  int64_t length;        // elements
  int64_t elementBytes;  // 4 or 1
};

/** One of the lists that Arguments::floatLists reads. */
struct FloatList {
  const char* name;
  bool isWritten;
};

/** The i-th arrays of all lists, equally long. */
struct FloatRow {
  static constexpr size_t kMostLists = 4;
  int64_t length;
  float* data[kMostLists];
};

/** Reads the arguments of one call from JavaScript, in order, checking each. In the addon for GPUs, arrays are DeviceArrays:
 *  their memory is the device's, and nothing here looks into it. Read sizes before the arrays whose length
 *  they give. Every reader throws BindingError; nothing is converted or copied. What an output overlaps is refused, so
 *  that no kernel reads what it has already overwritten. */
class Arguments {
 public:
  Arguments(napi_env env, napi_callback_info info, const char* function);

  /** A whole number with lowest ≤ value ≤ highest. */
  int64_t integer(const char* name, int64_t lowest = 0, int64_t highest = kMostElements);
  double number(const char* name);
  bool flag(const char* name);

  /** A function, to be called with new. */
  napi_value constructor(const char* name);

  /** A Float32Array, Int32Array, Uint8Array (bool tensors) or Uint16Array (bits of 16-bit floats) of at least `atLeast`
   *  elements. */
  const float* floats(const char* name, int64_t atLeast);
  const int32_t* ints(const char* name, int64_t atLeast);
  const uint8_t* bytes(const char* name, int64_t atLeast);
  const uint16_t* halves(const char* name, int64_t atLeast);
  float* mutableFloats(const char* name, int64_t atLeast);
  int32_t* mutableInts(const char* name, int64_t atLeast);
  uint8_t* mutableBytes(const char* name, int64_t atLeast);
  uint16_t* mutableHalves(const char* name, int64_t atLeast);

  /** Arrays whose values decide where a kernel reads or writes: not in a SharedArrayBuffer, where another thread could
   *  change them after they were checked. */
  const int32_t* indices(const char* name, int64_t atLeast);
  const float* steeringFloats(const char* name, int64_t atLeast);

  /** A Float32Array, Int32Array or Uint8Array, whose length the caller checks. */
  AnyArray anyArray(const char* name);
  AnyArray mutableAnyArray(const char* name);

  /** A few values that binding/ reads: a Float32Array in every addon, also where the other arrays are a device's. */
  const float* hostFloats(const char* name, int64_t atLeast);
  /** One of the four kinds of typed array, in the host's memory, whose type and length the caller checks. */
  HostArray hostArray(const char* name);
  /** The value itself, for a caller that keeps a reference to it, is the one read last. */
  napi_value value() const { return values_[position_ - 1]; }
  /** An array of the device's memory; in the addon for GPUs only. */
  DeviceArray& deviceArray(const char* name);
  /** One of these words. */
  size_t oneOf(const char* name, std::initializer_list<const char*> words);

  /** A Float32Array, or nullptr where null or undefined was given. */
  const float* floatsOrNull(const char* name, int64_t atLeast);
  /** As indices, or nullptr where null or undefined was given. */
  const int32_t* indicesOrNull(const char* name, int64_t atLeast);

  /** JavaScript arrays of Float32Arrays, one argument each: as many in each, and the i-th ones equally long. Read once,
   *  before any other array: reading a list may run JavaScript. */
  std::vector<FloatRow> floatLists(std::initializer_list<FloatList> lists);

  /** Copies `count` whole numbers of −kMostElements … kMostElements from an Int32Array or a Float64Array. */
  void wholeNumbers(const char* name, int64_t count, int64_t* to);

  /** The kernel reads each element before it writes that element: an output may be exactly one of the inputs. */
  void allowInPlace() { isInPlaceAllowed_ = true; }

  /** Sets what the call returns; undefined without it. */
  void returns(double value);
  void returns(const char* text);
  void returns(napi_value value) { result_ = value; }

  napi_env env() const { return env_; }
  napi_value result() const { return result_; }

 private:
  static constexpr size_t kMostArguments = 40;

  /** What the kernel does with an array. */
  enum class Use { read, steer, write };

  /** A typed array as JavaScript has it. */
  struct Given {
    napi_typedarray_type type;
    int64_t length;
    char* data;
    bool isShared;
  };

  /** Memory of an array that the kernel uses. */
  struct Span {
    const char* name;
    const char *begin, *end;
    bool isWritten;
  };

  napi_value next(const char* name);
  Given nextArray(const char* name, const char* expected);
  Given hostArrayOf(const char* name, napi_value value, const char* expected);
  /** In the addon for GPUs, a DeviceArray as if it were the typed array of its kind. */
  Given givenArray(const char* name, napi_value value, const char* expected);
  std::vector<napi_value> elements(const char* name);
  void checkApart(std::vector<Span>& spans) const;
  [[noreturn]] void refuseOverlap(const Span& span, const Span& other) const;
  template <class Element>
  Element* array(const char* name, int64_t atLeast, Use use);
  AnyArray anyArrayFor(const char* name, Use use);
  void noteSpan(const char* name, const char* begin, int64_t bytes, Use use);
  void checkBeside(const Span& span, const Span& other) const;
  bool nextIsAbsent();
  [[noreturn]] void refuse(const char* name, const std::string& given, const std::string& expected) const;

  napi_env env_;
  const char* function_;
  size_t count_ = kMostArguments;
  size_t position_ = 0;
  size_t spanCount_ = 0;
  bool isInPlaceAllowed_ = false;
  napi_value values_[kMostArguments];
  Span spans_[kMostArguments];
  std::vector<Span> listSpans_;
  napi_value result_ = nullptr;
};

/** Sets floats to 0 that a kernel would write, where they are. */
Status clearFloats(float* values, int64_t count);

/** A function of the addon: reads its arguments, runs one kernel. May throw BindingError or a Status. */
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
