#include "errors.h"

#ifdef MOE_BUILT_CUDA
#include "deviceArray.h"
#endif

namespace moe {
namespace {

napi_value text(napi_env env, const std::string& value) {
  napi_value made = nullptr;
  napi_create_string_utf8(env, value.c_str(), value.size(), &made);
  return made;
}

}  // namespace

napi_value makeError(napi_env env, const BindingError& error) {
  napi_value report = nullptr;
  napi_create_object(env, &report);
  napi_set_named_property(env, report, "code", text(env, error.code));
  napi_set_named_property(env, report, "what", text(env, error.what));
  napi_set_named_property(env, report, "why", text(env, error.why));
  napi_set_named_property(env, report, "fix", text(env, error.fix));

  void* data = nullptr;
  napi_get_instance_data(env, &data);
  napi_value errorClass = nullptr, made = nullptr;
  if (data != nullptr) napi_get_reference_value(env, static_cast<napi_ref>(data), &errorClass);
  if (errorClass != nullptr && napi_new_instance(env, errorClass, 1, &report, &made) == napi_ok) return made;
  napi_create_error(env, text(env, error.code), text(env, error.what + ". " + error.why + ". Fix: " + error.fix), &made);
  return made;
}

void throwError(napi_env env, const BindingError& error) {
  bool isThrown = false;
  napi_value made = makeError(env, error);
  // The error's class may have thrown instead.
  napi_is_exception_pending(env, &isThrown);
  if (!isThrown) napi_throw(env, made);
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
#ifdef MOE_BUILT_CUDA
      if (status.value > 0) return deviceMemoryError(function, status);
#endif
      return {"E_NATIVE_MEMORY", std::string("native ") + function + " could not get " + value + " bytes for " + name,
              "the system has no more memory for this process", "use a smaller batch, or free tensors first"};
    case Status::Code::absent:
      return {"E_CUDA_KERNEL", std::string("native ") + function + " isn't on the device yet", "this addon has no CUDA kernel for it",
              "use the CPU: MOE_LAB_DEVICE=cpu"};
#ifdef MOE_BUILT_CUDA
    case Status::Code::device: return deviceError(function, status);
#else
    case Status::Code::device:
#endif
    case Status::Code::ok: break;
  }
  return {"E_NATIVE", std::string("native ") + function + " failed", "no reason was given", "report this"};
}

}  // namespace moe
