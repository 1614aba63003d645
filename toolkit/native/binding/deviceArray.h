#pragma once
#include <cstddef>

#include "arguments.h"

/* Memory of a device in JavaScript: an object of class DeviceArray with type, length and byteLength, behind which stands
 * a DeviceArray. In the addon for GPUs only. */
namespace moe {

/** The kinds of arrays, in the order of toolkit/backend/arrays.ts. */
struct DeviceArrayType {
  const char* name;
  napi_typedarray_type hostType;  // the same elements in JavaScript's memory
  int64_t elementBytes;
};
inline constexpr DeviceArrayType kDeviceArrayTypes[] = {
    {"float32", napi_float32_array, 4}, {"int32", napi_int32_array, 4}, {"bool", napi_uint8_array, 1}, {"half", napi_uint16_array, 2}};

struct DeviceArray {
  const DeviceArrayType* type;
  int64_t length;  // elements
  void* memory;    // nullptr once it was freed

  int64_t bytes() const { return length * type->elementBytes; }
};

/** Defines the class, for this environment of Node.js. */
void defineDeviceArrayClass(napi_env env);

/** A new object for the memory, which it gives back when the object is freed or collected. */
napi_value makeDeviceArray(napi_env env, const DeviceArrayType& type, int64_t length, void* memory);

/** What stands behind a value; nullptr where it is anything else than a DeviceArray. */
DeviceArray* deviceArrayOf(napi_env env, napi_value value);

/** Gives the memory back, after which every use is refused. */
void freeDeviceArray(napi_env env, DeviceArray& array);

/** The errors for Statuses of code device and outOfMemory. */
BindingError deviceError(const char* function, const Status& status);
BindingError deviceMemoryError(const char* function, const Status& status);

}  // namespace moe
