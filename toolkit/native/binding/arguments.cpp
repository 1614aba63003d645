#include "arguments.h"

#include <cmath>
#include <memory>
#include <new>
#include <type_traits>

#ifdef MOE_BUILT_CUDA
#define MOE_ARRAY_NAME(host, device) device " DeviceArray"
#else
#include <algorithm>
#define MOE_ARRAY_NAME(host, device) host
#endif

namespace moe {
namespace {

struct Bound {
  const char* name;
  BoundFunction function;
};

struct ArrayKind {
  napi_typedarray_type type;
  const char* name;
};

/** The typed array that holds these elements. */
template <class Element>
constexpr ArrayKind kindOf() {
  if constexpr (std::is_same_v<Element, float>) return {napi_float32_array, MOE_ARRAY_NAME("Float32Array", "float32")};
  if constexpr (std::is_same_v<Element, int32_t>) return {napi_int32_array, MOE_ARRAY_NAME("Int32Array", "int32")};
  if constexpr (std::is_same_v<Element, uint16_t>) return {napi_uint16_array, MOE_ARRAY_NAME("Uint16Array", "half")};
  if constexpr (std::is_same_v<Element, uint8_t>) return {napi_uint8_array, MOE_ARRAY_NAME("Uint8Array", "bool")};
}

napi_value callBound(napi_env env, napi_callback_info info) {
  void* data = nullptr;
  napi_get_cb_info(env, info, nullptr, nullptr, nullptr, &data);
  const Bound* bound = static_cast<const Bound*>(data);
  try {
    Arguments in(env, info, bound->name);
    Status status = bound->function(in);
    if (status.isOk()) return in.result();
    throwError(env, errorOf(bound->name, status));
  } catch (const BindingError& error) {
    throwError(env, error);
  } catch (const Status& status) {
    throwError(env, errorOf(bound->name, status));
  } catch (const std::bad_alloc&) {
    throwError(env, errorOf(bound->name, Status::outOfMemory("working memory", 0)));
  }
  return nullptr;
}

}  // namespace

int64_t elementCount(std::initializer_list<int64_t> sizes) {
  constexpr int64_t kFarAbove = int64_t{1} << 60;
  int64_t count = 1;
  for (int64_t size : sizes)
    if (__builtin_mul_overflow(count, size, &count) || count > kFarAbove) count = kFarAbove;
  return count;
}

Arguments::Arguments(napi_env env, napi_callback_info info, const char* function) : env_(env), function_(function) {
  napi_get_cb_info(env, info, &count_, values_, nullptr, nullptr);
}

void Arguments::refuse(const char* name, const std::string& given, const std::string& expected) const {
  throw BindingError{"E_NATIVE_ARGUMENT",
                     std::string("native ") + function_ + " got " + given + " for argument " +
                         std::to_string(position_) + ", " + name,
                     std::string(name) + " must be " + expected,
                     "call ops through the toolkit; when writing one, compare its call with toolkit/native/binding"};
}

napi_value Arguments::next(const char* name) {
  ++position_;
  if (position_ > count_) refuse(name, "nothing", "given");
  return values_[position_ - 1];
}

int64_t Arguments::integer(const char* name, int64_t lowest, int64_t highest) {
  double value = number(name);
  if (!(std::floor(value) == value)) refuse(name, std::to_string(value), "a whole number");
  if (value < static_cast<double>(lowest) || value > static_cast<double>(highest))
    refuse(name, std::to_string(value), "from " + std::to_string(lowest) + " to " + std::to_string(highest));
  return static_cast<int64_t>(value);
}

double Arguments::number(const char* name) {
  double value = 0;
  if (napi_get_value_double(env_, next(name), &value) != napi_ok) refuse(name, "something else", "a number");
  return value;
}

bool Arguments::flag(const char* name) {
  bool value = false;
  if (napi_get_value_bool(env_, next(name), &value) != napi_ok) refuse(name, "something else", "true or false");
  return value;
}

napi_value Arguments::constructor(const char* name) {
  napi_value value = next(name);
  napi_valuetype type;
  napi_typeof(env_, value, &type);
  if (type != napi_function) refuse(name, "something else", "a class");
  return value;
}

Arguments::Given Arguments::nextArray(const char* name, const char* expected) {
  return givenArray(name, next(name), expected);
}

#ifndef MOE_BUILT_CUDA
Arguments::Given Arguments::givenArray(const char* name, napi_value value, const char* expected) {
  return hostArrayOf(name, value, expected);
}

Status clearFloats(float* values, int64_t count) {
  std::fill_n(values, count, 0.0f);
  return Status::ok();
}
#endif

Arguments::Given Arguments::hostArrayOf(const char* name, napi_value value, const char* expected) {
  napi_value buffer = nullptr;
  auto type = static_cast<napi_typedarray_type>(-1);  // stays so for kinds that this version of Node-API can't name
  size_t length = 0;
  void* data = nullptr;
  if (napi_get_typedarray_info(env_, value, &type, &length, &data, &buffer, nullptr) != napi_ok)
    refuse(name, "something else", std::string("a ") + expected);
  bool isUnshared = false;
  napi_is_arraybuffer(env_, buffer, &isUnshared);
  if (type == napi_uint8_clamped_array) type = napi_uint8_array;
  return {type, static_cast<int64_t>(length), static_cast<char*>(data), !isUnshared};
}

template <class Element>
Element* Arguments::array(const char* name, int64_t atLeast, Use use) {
  constexpr ArrayKind kKind = kindOf<Element>();
  Given given = nextArray(name, kKind.name);
  if (given.type != kKind.type) refuse(name, "another kind of array", std::string("a ") + kKind.name);
  if (given.length < atLeast)
    refuse(name, std::to_string(given.length) + " elements", "at least " + std::to_string(atLeast) + " elements long");
  if (use == Use::steer && given.isShared) refuse(name, "shared memory", "an array that no other thread can change");
  noteSpan(name, given.data, atLeast * static_cast<int64_t>(sizeof(Element)), use);
  return reinterpret_cast<Element*>(given.data);
}

/** Outputs must lie beside everything else; where a kernel works in place, exactly on one of its inputs too. */
void Arguments::noteSpan(const char* name, const char* begin, int64_t bytes, Use use) {
  Span span = {name, begin, begin + bytes, use == Use::write};
  for (size_t i = 0; i < spanCount_; ++i) checkBeside(span, spans_[i]);
  for (const Span& other : listSpans_) checkBeside(span, other);
  spans_[spanCount_++] = span;
}

void Arguments::checkBeside(const Span& span, const Span& other) const {
  bool isDisjoint = span.begin >= other.end || other.begin >= span.end || span.begin == span.end || other.begin == other.end;
  if (isDisjoint || (!span.isWritten && !other.isWritten)) return;
  bool isSame = span.begin == other.begin && span.end == other.end;
  bool isInPlace = isInPlaceAllowed_ && isSame && span.isWritten != other.isWritten;
  if (!isInPlace) refuseOverlap(span, other);
}

void Arguments::refuseOverlap(const Span& span, const Span& other) const {
  throw BindingError{"E_NATIVE_OVERLAP",
                     std::string("native ") + function_ + " got " + span.name + " in the memory of " + other.name,
                     "it would overwrite values that it still has to read or has already written",
                     "give each output memory of its own"};
}

const float* Arguments::floats(const char* name, int64_t atLeast) { return array<float>(name, atLeast, Use::read); }
const int32_t* Arguments::ints(const char* name, int64_t atLeast) { return array<int32_t>(name, atLeast, Use::read); }
const uint8_t* Arguments::bytes(const char* name, int64_t atLeast) { return array<uint8_t>(name, atLeast, Use::read); }
const uint16_t* Arguments::halves(const char* name, int64_t atLeast) { return array<uint16_t>(name, atLeast, Use::read); }
float* Arguments::mutableFloats(const char* name, int64_t atLeast) { return array<float>(name, atLeast, Use::write); }
int32_t* Arguments::mutableInts(const char* name, int64_t atLeast) { return array<int32_t>(name, atLeast, Use::write); }
uint8_t* Arguments::mutableBytes(const char* name, int64_t atLeast) { return array<uint8_t>(name, atLeast, Use::write); }
uint16_t* Arguments::mutableHalves(const char* name, int64_t atLeast) { return array<uint16_t>(name, atLeast, Use::write); }
const int32_t* Arguments::indices(const char* name, int64_t atLeast) { return array<int32_t>(name, atLeast, Use::steer); }
const float* Arguments::steeringFloats(const char* name, int64_t atLeast) { return array<float>(name, atLeast, Use::steer); }


AnyArray Arguments::anyArrayFor(const char* name, Use use) {
  constexpr const char* kExpected = MOE_ARRAY_NAME("Float32Array, Int32Array or Uint8Array", "float32, int32 or bool");
  Given given = nextArray(name, kExpected);
  bool isFour = given.type == napi_float32_array || given.type == napi_int32_array;
  if (!isFour && given.type != napi_uint8_array) refuse(name, "another kind of array", std::string("a ") + kExpected);
  int64_t elementBytes = isFour ? 4 : 1;
  noteSpan(name, given.data, given.length * elementBytes, use);
  return {given.data, given.length, elementBytes};
}

AnyArray Arguments::anyArray(const char* name) { return anyArrayFor(name, Use::read); }
AnyArray Arguments::mutableAnyArray(const char* name) { return anyArrayFor(name, Use::write); }

const float* Arguments::hostFloats(const char* name, int64_t atLeast) {
  Given given = hostArrayOf(name, next(name), "Float32Array");
  if (given.type != napi_float32_array) refuse(name, "another kind of array", "a Float32Array");
  if (given.length < atLeast)
    refuse(name, std::to_string(given.length) + " elements", "at least " + std::to_string(atLeast) + " elements long");
#ifndef MOE_BUILT_CUDA
  noteSpan(name, given.data, atLeast * static_cast<int64_t>(sizeof(float)), Use::read);
#endif
  return reinterpret_cast<const float*>(given.data);
}

HostArray Arguments::hostArray(const char* name) {
  constexpr const char* kExpected = "Float32Array, Int32Array, Uint16Array or Uint8Array";
  Given given = hostArrayOf(name, next(name), kExpected);
  bool isKnown = given.type == napi_float32_array || given.type == napi_int32_array || given.type == napi_uint16_array || given.type == napi_uint8_array;
  if (!isKnown) refuse(name, "another kind of array", std::string("a ") + kExpected);
  return {given.type, given.data, given.length};
}

size_t Arguments::oneOf(const char* name, std::initializer_list<const char*> words) {
  char given[64] = {};
  size_t length = 0, index = 0;
  if (napi_get_value_string_utf8(env_, next(name), given, sizeof given, &length) != napi_ok) refuse(name, "something else", "a word");
  std::string known;
  for (const char* word : words) {
    if (std::string(given) == word) return index;
    known += (index++ > 0 ? ", " : "") + std::string(word);
  }
  refuse(name, given, "one of " + known);
}

void Arguments::wholeNumbers(const char* name, int64_t count, int64_t* to) {
  Given given = hostArrayOf(name, next(name), "Int32Array or Float64Array");
  bool isWide = given.type == napi_float64_array;
  if (!isWide && given.type != napi_int32_array) refuse(name, "another kind of typed array", "an Int32Array or a Float64Array");
  if (given.length < count)
    refuse(name, std::to_string(given.length) + " elements", "at least " + std::to_string(count) + " elements long");
  for (int64_t i = 0; i < count; ++i) {
    double value = isWide ? reinterpret_cast<const double*>(given.data)[i] : reinterpret_cast<const int32_t*>(given.data)[i];
    bool isWhole = std::floor(value) == value && std::fabs(value) <= static_cast<double>(kMostElements);
    if (!isWhole) refuse(name, std::to_string(value), "whole numbers that an array can have elements");
    to[i] = static_cast<int64_t>(value);
  }
}

bool Arguments::nextIsAbsent() {
  if (position_ >= count_) return true;
  napi_valuetype type;
  napi_typeof(env_, values_[position_], &type);
  return type == napi_null || type == napi_undefined;
}

const float* Arguments::floatsOrNull(const char* name, int64_t atLeast) {
  if (!nextIsAbsent()) return floats(name, atLeast);
  ++position_;
  return nullptr;
}

const int32_t* Arguments::indicesOrNull(const char* name, int64_t atLeast) {
  if (!nextIsAbsent()) return indices(name, atLeast);
  ++position_;
  return nullptr;
}

void Arguments::returns(double value) { napi_create_double(env_, value, &result_); }
void Arguments::returns(const char* text) { napi_create_string_utf8(env_, text, NAPI_AUTO_LENGTH, &result_); }

void Exports::add(const char* name, BoundFunction function) {
  auto bound = std::make_unique<Bound>(Bound{name, function});
  napi_value made = nullptr;
  napi_create_function(env_, name, NAPI_AUTO_LENGTH, callBound, bound.get(), &made);
  // Frees the record together with the function object.
  napi_add_finalizer(env_, made, bound.get(), [](napi_env, void* data, void*) { delete static_cast<Bound*>(data); },
                     nullptr, nullptr);
  napi_set_named_property(env_, exports_, name, made);
  bound.release();
}

}  // namespace moe
