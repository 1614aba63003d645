#include "deviceArray.h"

#include <memory>
#include <mutex>
#include <unordered_set>

#include "../cuda/allocator.h"
#include "../cuda/transfers.h"

namespace moe {
namespace {

/** All that stand behind objects: a pointer that Node.js gives back for an object of someone else is not among them. */
struct Known {
  std::mutex lock;
  std::unordered_set<const void*> arrays;
};
Known& known() {
  static Known& only = *new Known;
  return only;
}

/** The class, and the array for which the constructor is being called: JavaScript itself may not call it. */
thread_local napi_ref deviceArrayClass = nullptr;
thread_local DeviceArray* beingMade = nullptr;

void collected(napi_env env, void* data, void*) {
  std::unique_ptr<DeviceArray> array(static_cast<DeviceArray*>(data));
  freeDeviceArray(env, *array);
  std::lock_guard guard(known().lock);
  known().arrays.erase(data);
}

napi_value construct(napi_env env, napi_callback_info info) {
  napi_value self = nullptr;
  napi_get_cb_info(env, info, nullptr, nullptr, &self, nullptr);
  if (beingMade == nullptr) {
    napi_throw_type_error(env, "E_NATIVE_ARGUMENT", "DeviceArrays are made by allocateArray");
    return nullptr;
  }
  if (napi_wrap(env, self, beingMade, collected, nullptr, nullptr) != napi_ok) return nullptr;
  std::lock_guard guard(known().lock);
  known().arrays.insert(beingMade);
  beingMade = nullptr;
  return self;
}

enum class Property { type, length, byteLength };

template <Property Which>
napi_value get(napi_env env, napi_callback_info info) {
  napi_value self = nullptr, value = nullptr;
  napi_get_cb_info(env, info, nullptr, nullptr, &self, nullptr);
  const DeviceArray* array = deviceArrayOf(env, self);
  if (array == nullptr) return nullptr;
  if constexpr (Which == Property::type) napi_create_string_utf8(env, array->type->name, NAPI_AUTO_LENGTH, &value);
  if constexpr (Which == Property::length) napi_create_int64(env, array->length, &value);
  if constexpr (Which == Property::byteLength) napi_create_int64(env, array->bytes(), &value);
  return value;
}

}  // namespace

void defineDeviceArrayClass(napi_env env) {
  const napi_property_descriptor properties[] = {
      {"type", nullptr, nullptr, get<Property::type>, nullptr, nullptr, napi_enumerable, nullptr},
      {"length", nullptr, nullptr, get<Property::length>, nullptr, nullptr, napi_enumerable, nullptr},
      {"byteLength", nullptr, nullptr, get<Property::byteLength>, nullptr, nullptr, napi_enumerable, nullptr}};
  napi_value made = nullptr;
  napi_define_class(env, "DeviceArray", NAPI_AUTO_LENGTH, construct, nullptr, 3, properties, &made);
  napi_create_reference(env, made, 1, &deviceArrayClass);
}

napi_value makeDeviceArray(napi_env env, const DeviceArrayType& type, int64_t length, void* memory) {
  auto array = std::make_unique<DeviceArray>(DeviceArray{&type, length, memory});
  napi_value deviceArray = nullptr, made = nullptr;
  napi_get_reference_value(env, deviceArrayClass, &deviceArray);
  beingMade = array.get();
  napi_status status = napi_new_instance(env, deviceArray, 0, nullptr, &made);
  if (beingMade != nullptr || status != napi_ok) {
    beingMade = nullptr;
    cuda::giveMemory(memory);
    throw Status::outOfMemory("the object of a DeviceArray", 0);
  }
  int64_t total = 0;
  napi_adjust_external_memory(env, array->bytes(), &total);
  array.release();
  return made;
}

DeviceArray* deviceArrayOf(napi_env env, napi_value value) {
  void* data = nullptr;
  if (napi_unwrap(env, value, &data) != napi_ok || data == nullptr) return nullptr;
  std::lock_guard guard(known().lock);
  return known().arrays.contains(data) ? static_cast<DeviceArray*>(data) : nullptr;
}

void freeDeviceArray(napi_env env, DeviceArray& array) {
  if (array.memory == nullptr) return;
  cuda::giveMemory(array.memory);
  array.memory = nullptr;
  int64_t total = 0;
  napi_adjust_external_memory(env, -array.bytes(), &total);
}

BindingError deviceError(const char* function, const Status& status) {
  cuda::Problem problem = cuda::problemOf(status, std::string("native ") + function);
  return {problem.code, problem.what, problem.why, problem.fix};
}

BindingError deviceMemoryError(const char* function, const Status& status) {
  cuda::DeviceInfo info{};
  int64_t free = cuda::describeDevice(cuda::openedDevice(), &info).isOk() ? info.freeBytes : 0;
  cuda::MemoryFigures held = cuda::memoryFigures();
  return {"E_CUDA_MEMORY",
          std::string("native ") + function + " could not get " + std::to_string(status.value) + " bytes of the device for " + status.name,
          "of its " + std::to_string(info.totalBytes) + " bytes " + std::to_string(free) + " are free; tensors of this process hold " +
              std::to_string(held.allocatedBytes) + ", and " + std::to_string(held.cachedBytes) + " are kept for new ones",
          "use a smaller batch, or free tensors first"};
}

Arguments::Given Arguments::givenArray(const char* name, napi_value value, const char* expected) {
  DeviceArray* array = deviceArrayOf(env_, value);
  if (array == nullptr) refuse(name, "something else", std::string("a ") + expected);
  if (array->memory == nullptr) refuse(name, "a freed DeviceArray", "an array in use");
  return {array->type->hostType, array->length, static_cast<char*>(array->memory), false};
}

DeviceArray& Arguments::deviceArray(const char* name) {
  givenArray(name, next(name), "DeviceArray");
  return *deviceArrayOf(env_, value());
}

Status clearFloats(float* values, int64_t count) {
  return cuda::clearOnDevice(values, count * static_cast<int64_t>(sizeof(float)));
}

}  // namespace moe
