#include <dlfcn.h>

#include "arguments.h"
#include "groups.h"
#include "isa.h"
#include "parallel.h"

namespace moe {
namespace {

Status setThreads(Arguments& in) {
  setThreadCount(static_cast<int>(in.integer("threads", 1, kMostThreads)));
  return Status::ok();
}

Status threads(Arguments& in) {
  in.returns(static_cast<double>(threadCount()));
  return Status::ok();
}

Status instructionSet(Arguments& in) {
  in.returns(isaName(chosenIsa()));
  return Status::ok();
}

/** Never unload: the thread pool outlives the Node worker that loaded the addon. */
void stayLoaded() {
  Dl_info info;
  if (dladdr(reinterpret_cast<void*>(&stayLoaded), &info) != 0 && info.dli_fname != nullptr)
    dlopen(info.dli_fname, RTLD_NOW | RTLD_NODELETE | RTLD_NOLOAD);
}

/** setErrorClass(class): errors are made as new class({code, what, why, fix}). */
napi_value setErrorClass(napi_env env, napi_callback_info info) {
  size_t count = 1;
  napi_value errorClass = nullptr;
  napi_get_cb_info(env, info, &count, &errorClass, nullptr, nullptr);
  napi_ref reference = nullptr;
  if (napi_create_reference(env, errorClass, 1, &reference) == napi_ok)
    napi_set_instance_data(env, reference, nullptr, nullptr);
  return nullptr;
}

void registerControl(napi_env env, napi_value exports, Exports& functions) {
  functions.add("setThreads", setThreads);
  functions.add("threads", threads);
  functions.add("instructionSet", instructionSet);
  napi_value made = nullptr;
  napi_create_function(env, "setErrorClass", NAPI_AUTO_LENGTH, setErrorClass, nullptr, &made);
  napi_set_named_property(env, exports, "setErrorClass", made);
}

}  // namespace
}  // namespace moe

NAPI_MODULE_INIT() {
  moe::stayLoaded();
  moe::Exports functions(env, exports);
  moe::registerControl(env, exports, functions);
  // Without an instruction set that this processor has, no kernel may be reached: binding.ts asks instructionSet().
  if (moe::chosenIsa() == moe::Isa::none) return exports;
  for (moe::RegisterGroup registerGroup : moe::kGroups) registerGroup(functions);
  return exports;
}
