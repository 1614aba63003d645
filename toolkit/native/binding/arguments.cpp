#include "arguments.h"

#include <cmath>
#include <memory>
#include <new>

namespace moe {
namespace {

struct Bound {
  const char* name;
  BoundFunction function;
};

napi_value text(napi_env env, const std::string& value) {
  napi_value made = nullptr;
  napi_create_string_utf8(env, value.c_str(), value.size(), &made);
  return made;
}

/** Throws an Error with the four parts as properties, or an instance of the class given to setErrorClass. */
void throwError(napi_env env, const BindingError& error) {
  napi_value report = nullptr;
  napi_create_object(env, &report);
  napi_set_named_property(env, report, "code", text(env, error.code));
  napi_set_named_property(env, report, "what", text(env, error.what));
  napi_set_named_property(env, report, "why", text(env, error.why));
  napi_set_named_property(env, report, "fix", text(env, error.fix));

  void* data = nullptr;
  napi_get_instance_data(env, &data);
  napi_value errorClass = nullptr, thrown = nullptr;
  if (data != nullptr) napi_get_reference_value(env, static_cast<napi_ref>(data), &errorClass);
  if (errorClass != nullptr && napi_new_instance(env, errorClass, 1, &report, &thrown) == napi_ok) {
    napi_throw(env, thrown);
    return;
  }
  napi_throw_error(env, error.code.c_str(), (error.what + ". " + error.why + ". Fix: " + error.fix).c_str());
}

BindingError errorOf(const char* function, const Status& status) {
  std::string name = status.name, value = std::to_string(status.value);
  std::string lowest = std::to_string(status.lowest), highest = std::to_string(status.highest);
  std::string start = std::string("native ") + function + " got ";
  switch (status.code) {
    case Status::Code::outOfRange:
      return {"E_NATIVE_RANGE", start + name + " = " + value, name + " must be from " + lowest + " to " + highest,
              "pass a value in that range"};
    case Status::Code::shape:
      return {"E_NATIVE_SHAPE", start + name + " = " + value, "the other arguments ask for " + lowest,
              "check the shapes of the tensors given to this op"};
    case Status::Code::outOfMemory:
      return {"E_NATIVE_MEMORY", std::string("native ") + function + " could not get " + value + " bytes for " + name,
              "the system has no more memory for this process", "use a smaller batch, or free tensors first"};
    case Status::Code::ok: break;
  }
  return {"E_NATIVE", std::string("native ") + function + " failed", "no reason was given", "report this"};
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
    refuse(name, std::to_string(static_cast<int64_t>(value)),
           "from " + std::to_string(lowest) + " to " + std::to_string(highest));
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

void* Arguments::array(const char* name, napi_typedarray_type type, const char* typeName, int64_t atLeast) {
  napi_value value = next(name);
  bool isArray = false;
  napi_is_typedarray(env_, value, &isArray);
  if (!isArray) refuse(name, "something else", std::string("a ") + typeName);
  napi_typedarray_type given;
  size_t length = 0;
  void* data = nullptr;
  napi_get_typedarray_info(env_, value, &given, &length, &data, nullptr, nullptr);
  bool fits = given == type || (type == napi_uint8_array && given == napi_uint8_clamped_array);
  if (!fits) refuse(name, "another kind of typed array", std::string("a ") + typeName);
  if (static_cast<int64_t>(length) < atLeast)
    refuse(name, std::to_string(length) + " elements", "at least " + std::to_string(atLeast) + " elements long");
  return data;
}

float* Arguments::mutableFloats(const char* name, int64_t atLeast) {
  return static_cast<float*>(array(name, napi_float32_array, "Float32Array", atLeast));
}

int32_t* Arguments::mutableInts(const char* name, int64_t atLeast) {
  return static_cast<int32_t*>(array(name, napi_int32_array, "Int32Array", atLeast));
}

uint8_t* Arguments::mutableBytes(const char* name, int64_t atLeast) {
  return static_cast<uint8_t*>(array(name, napi_uint8_array, "Uint8Array", atLeast));
}

AnyArray Arguments::anyArray(const char* name) {
  int64_t length = nextLength(name);
  napi_typedarray_type type;
  napi_get_typedarray_info(env_, values_[position_], &type, nullptr, nullptr, nullptr, nullptr);
  if (type == napi_float32_array) return {mutableFloats(name, length), length, 4};
  if (type == napi_int32_array) return {mutableInts(name, length), length, 4};
  return {mutableBytes(name, length), length, 1};
}

bool Arguments::nextIsAbsent() {
  if (position_ >= count_) return true;
  napi_valuetype type;
  napi_typeof(env_, values_[position_], &type);
  return type == napi_null || type == napi_undefined;
}

float* Arguments::mutableFloatsOrNull(const char* name, int64_t atLeast) {
  if (!nextIsAbsent()) return mutableFloats(name, atLeast);
  ++position_;
  return nullptr;
}

int64_t Arguments::nextLength(const char* name) {
  napi_value value = next(name);
  --position_;
  size_t length = 0;
  if (napi_get_typedarray_info(env_, value, nullptr, &length, nullptr, nullptr, nullptr) != napi_ok)
    refuse(name, "something else", "a typed array");
  return static_cast<int64_t>(length);
}

void Arguments::returns(double value) { napi_create_double(env_, value, &result_); }
void Arguments::returns(const char* value) { result_ = text(env_, value); }

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
