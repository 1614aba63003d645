#include <dlfcn.h>

#include "arguments.h"
#include "groups.h"
#ifdef MOE_BUILT_CUDA
#include "deviceArray.h"
#else
#include "isa.h"
#include "parallel.h"
#endif

namespace moe {
namespace {

#ifdef MOE_BUILT_CUDA
/** Which kernels this addon holds. */
Status instructionSet(Arguments& in) {
  in.returns("cuda");
  return Status::ok();
}

void registerThreads(Exports&) {}
#else
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

void registerThreads(Exports& functions) {
  functions.add("setThreads", setThreads);
  functions.add("threads", threads);
}
#endif

/** Never unload: the thread pool outlives the Node worker that loaded the addon. */
void stayLoaded() {
  Dl_info info;
  if (dladdr(reinterpret_cast<void*>(&stayLoaded), &info) != 0 && info.dli_fname != nullptr)
    dlopen(info.dli_fname, RTLD_NOW | RTLD_NODELETE | RTLD_NOLOAD);
}

/** setErrorClass(class): errors are made as new class({code, what, why, fix}). */
Status setErrorClass(Arguments& in) {
  napi_value errorClass = in.constructor("errorClass");
  napi_ref reference = nullptr;
  void* before = nullptr;
  if (napi_create_reference(in.env(), errorClass, 1, &reference) != napi_ok) return Status::outOfMemory("the error class", 0);
  napi_get_instance_data(in.env(), &before);
  napi_set_instance_data(in.env(), reference, nullptr, nullptr);
  if (before != nullptr) napi_delete_reference(in.env(), static_cast<napi_ref>(before));
  return Status::ok();
}

void registerControl(Exports& functions) {
  functions.add("setErrorClass", setErrorClass);
  registerThreads(functions);
  functions.add("instructionSet", instructionSet);
}

}  // namespace
}  // namespace moe

NAPI_MODULE_INIT() {
  moe::stayLoaded();
  moe::Exports functions(env, exports);
  moe::registerControl(functions);
#ifdef MOE_BUILT_CUDA
  moe::defineDeviceArrayClass(env);
#else
  // Without an instruction set that this processor has, no kernel may be reached: binding.ts asks instructionSet().
  if (moe::chosenIsa() == moe::Isa::none) return exports;
#endif
  for (moe::RegisterGroup registerGroup : moe::kGroups) registerGroup(functions);
  return exports;
}
