/* Devices and their memory, for JavaScript: see toolkit/backend/deviceFunctions.ts. */
#include <algorithm>
#include <memory>

#include "../cuda/allocator.h"
#include "../cuda/arrays.h"
#include "../cuda/nvml.h"
#include "../cuda/precision.h"
#include "../cuda/transfers.h"
#include "deviceArray.h"
#include "groups.h"

namespace moe {
namespace {

/** An object of numbers and texts, for JavaScript. */
class Record {
 public:
  explicit Record(napi_env env) : env_(env) { napi_create_object(env, &object_); }

  Record& set(const char* name, double value) {
    napi_value made = nullptr;
    napi_create_double(env_, value, &made);
    napi_set_named_property(env_, object_, name, made);
    return *this;
  }
  Record& set(const char* name, const std::string& value) {
    napi_value made = nullptr;
    napi_create_string_utf8(env_, value.c_str(), value.size(), &made);
    napi_set_named_property(env_, object_, name, made);
    return *this;
  }
  napi_value object() const { return object_; }

 private:
  napi_env env_;
  napi_value object_ = nullptr;
};

Status bindDeviceCount(Arguments& in) {
  int count = 0;
  (void)cuda::countDevices(&count);  // bindDeviceProblem says why there is none
  in.returns(static_cast<double>(count));
  return Status::ok();
}

Status bindDeviceProblem(Arguments& in) {
  int count = 0;
  Status found = cuda::lost().isOk() ? cuda::countDevices(&count) : cuda::lost();
  napi_value none = nullptr;
  napi_get_null(in.env(), &none);
  in.returns(none);
  if (found.isOk()) return found;
  cuda::Problem problem = cuda::problemOf(found, "looking for devices");
  in.returns(Record(in.env()).set("code", problem.code).set("what", problem.what).set("why", problem.why).set("fix", problem.fix).object());
  return Status::ok();
}

Status bindDeviceInfo(Arguments& in) {
  cuda::DeviceInfo info{};
  Status known = cuda::describeDevice(static_cast<int>(in.integer("index", 0, INT32_MAX)), &info);
  if (!known.isOk()) return known;
  in.returns(Record(in.env())
                 .set("name", info.name)
                 .set("capability", std::to_string(info.capabilityMajor) + "." + std::to_string(info.capabilityMinor))
                 .set("totalBytes", static_cast<double>(info.totalBytes))
                 .set("freeBytes", static_cast<double>(info.freeBytes))
                 .set("multiprocessors", info.multiprocessors)
                 .set("driverVersion", info.driverVersion)
                 .set("runtimeVersion", info.runtimeVersion)
                 .object());
  return Status::ok();
}

Status bindOpenDevice(Arguments& in) { return cuda::openDevice(static_cast<int>(in.integer("index", 0, INT32_MAX))); }

/** allocateArray(type, length) */
Status bindAllocateArray(Arguments& in) {
  const DeviceArrayType& type = kDeviceArrayTypes[in.oneOf("type", {"float32", "int32", "bool", "half"})];
  int64_t length = in.integer("length");
  if (cuda::openedDevice() < 0)
    throw BindingError{"E_CUDA", "native allocateArray has no device", "openDevice wasn't called", "choose a device first: MOE_LAB_DEVICE=cuda"};
  void* memory = nullptr;
  Status got = cuda::takeMemory("an array", length * type.elementBytes, &memory);
  if (got.isOk()) in.returns(makeDeviceArray(in.env(), type, length, memory));
  return got;
}

Status bindFreeArray(Arguments& in) {
  freeDeviceArray(in.env(), in.deviceArray("array"));
  return Status::ok();
}

/** Checks that an array of the host has a device array's elements, no more than it has. */
void checkFits(const HostArray& host, const DeviceArray& device) {
  if (host.type != device.type->hostType)
    throw BindingError{"E_NATIVE_ARGUMENT", std::string("native got a ") + device.type->name + " DeviceArray beside a typed array of another kind",
                       "a copy doesn't convert values", "give the typed array whose elements are of that type"};
  if (host.length > device.length) throw Status::shape("length of the typed array", host.length, device.length);
}

/** upload(from, to) */
Status bindUpload(Arguments& in) {
  HostArray from = in.hostArray("from");
  DeviceArray& to = in.deviceArray("to");
  checkFits(from, to);
  return cuda::upload(from.data, from.length * to.type->elementBytes, to.memory);
}

/** download(from, to) */
Status bindDownload(Arguments& in) {
  DeviceArray& from = in.deviceArray("from");
  HostArray to = in.hostArray("to");
  checkFits(to, from);
  return cuda::download(from.memory, to.length * from.type->elementBytes, to.data);
}

/** A copy to the host that JavaScript waits for. */
struct PendingDownload {
  cuda::Arriving arriving;
  Status status = Status::ok();
  napi_deferred deferred = nullptr;
  napi_ref to = nullptr;
  napi_async_work work = nullptr;
};

/** The array's memory may have gone to another thread meanwhile: it is looked up again. */
Status store(napi_env env, const PendingDownload& pending) {
  napi_value to = nullptr;
  size_t length = 0;
  void* data = nullptr;
  napi_typedarray_type type;
  napi_get_reference_value(env, pending.to, &to);
  if (napi_get_typedarray_info(env, to, &type, &length, &data, nullptr, nullptr) != napi_ok) return Status::ok();
  for (const DeviceArrayType& known : kDeviceArrayTypes)
    if (known.hostType == (type == napi_uint8_clamped_array ? napi_uint8_array : type)) {
      int64_t there = static_cast<int64_t>(length) * known.elementBytes;
      if (there < pending.arriving.bytes()) return Status::shape("bytes of the typed array", there, pending.arriving.bytes());
    }
  std::copy_n(static_cast<const char*>(pending.arriving.data()), pending.arriving.bytes(), static_cast<char*>(data));
  return cuda::noticedIndexError();
}

void waitBesideJavaScript(napi_env, void* data) {
  auto* pending = static_cast<PendingDownload*>(data);
  pending->status = pending->arriving.wait();
}

void settle(napi_env env, napi_status, void* data) {
  std::unique_ptr<PendingDownload> pending(static_cast<PendingDownload*>(data));
  Status status = pending->status.isOk() ? store(env, *pending) : pending->status;
  napi_value result = nullptr;
  if (status.isOk()) {
    napi_get_undefined(env, &result);
    napi_resolve_deferred(env, pending->deferred, result);
  } else {
    napi_reject_deferred(env, pending->deferred, makeError(env, errorOf("downloadAsync", status)));
  }
  napi_delete_reference(env, pending->to);
  napi_delete_async_work(env, pending->work);
}

/** downloadAsync(from, to): a promise */
Status bindDownloadAsync(Arguments& in) {
  DeviceArray& from = in.deviceArray("from");
  HostArray to = in.hostArray("to");
  napi_value toValue = in.value(), name = nullptr, promise = nullptr;
  checkFits(to, from);
  auto pending = std::make_unique<PendingDownload>();
  int64_t bytes = to.length * from.type->elementBytes;
  Status started = pending->arriving.start(from.memory, bytes);
  if (!started.isOk()) return started;
  cuda::counters().downloads.fetch_add(1, std::memory_order_relaxed);
  cuda::counters().downloadedBytes.fetch_add(bytes, std::memory_order_relaxed);
  napi_env env = in.env();
  napi_create_string_utf8(env, "downloadAsync", NAPI_AUTO_LENGTH, &name);
  napi_create_reference(env, toValue, 1, &pending->to);
  napi_create_promise(env, &pending->deferred, &promise);
  napi_create_async_work(env, nullptr, name, waitBesideJavaScript, settle, pending.get(), &pending->work);
  napi_queue_async_work(env, pending->work);
  pending.release();
  in.returns(promise);
  return Status::ok();
}

/** copyArray(count, from, to) */
Status bindCopyArray(Arguments& in) {
  int64_t count = in.integer("count");
  const DeviceArray& from = in.deviceArray("from");
  const DeviceArray& to = in.deviceArray("to");
  if (from.type != to.type) return Status::shape("bytes of an element", to.type->elementBytes, from.type->elementBytes);
  if (count > from.length) return Status::shape("length of from", from.length, count);
  if (count > to.length) return Status::shape("length of to", to.length, count);
  return from.memory == to.memory ? Status::ok() : cuda::copyArray(count * from.type->elementBytes, from.memory, to.memory);
}

/** fillArray(count, value, array) */
Status bindFillArray(Arguments& in) {
  int64_t count = in.integer("count");
  double value = in.number("value");
  const DeviceArray& array = in.deviceArray("array");
  if (count > array.length) return Status::shape("length of array", array.length, count);
  bool isFloat = array.type->hostType == napi_float32_array;
  // As in a typed array: modulo 2³², and NaN is 0.
  uint32_t whole = value >= -2147483648.0 && value < 4294967296.0 ? static_cast<uint32_t>(static_cast<int64_t>(value)) : 0;
  float narrow = static_cast<float>(value);
  uint32_t bits = whole;
  if (isFloat) std::copy_n(reinterpret_cast<const char*>(&narrow), sizeof bits, reinterpret_cast<char*>(&bits));
  return cuda::fillArray(count, array.type->elementBytes, bits, array.memory);
}

/** setProductPrecision(precision) */
Status bindSetProductPrecision(Arguments& in) {
  // In the order of Precision.
  cuda::setProductPrecision(static_cast<cuda::Precision>(in.oneOf("precision", {"float32", "bfloat16", "float16"})));
  return Status::ok();
}

Status bindSynchronize(Arguments&) { return cuda::openedDevice() < 0 ? Status::ok() : cuda::synchronize(); }

Status bindDeviceCounters(Arguments& in) {
  const cuda::Counters& c = cuda::counters();
  in.returns(Record(in.env())
                 .set("launches", static_cast<double>(c.launches))
                 .set("synchronizations", static_cast<double>(c.synchronizations))
                 .set("uploads", static_cast<double>(c.uploads))
                 .set("downloads", static_cast<double>(c.downloads))
                 .set("uploadedBytes", static_cast<double>(c.uploadedBytes))
                 .set("downloadedBytes", static_cast<double>(c.downloadedBytes))
                 .object());
  return Status::ok();
}

Status bindDeviceMemory(Arguments& in) {
  cuda::MemoryFigures figures = cuda::memoryFigures();
  in.returns(Record(in.env())
                 .set("allocatedBytes", static_cast<double>(figures.allocatedBytes))
                 .set("cachedBytes", static_cast<double>(figures.cachedBytes))
                 .set("peakBytes", static_cast<double>(figures.peakBytes))
                 .object());
  return Status::ok();
}

/** deviceUtilisation(): null where NVIDIA's management library has no answer; NaN for what it doesn't know */
Status bindDeviceUtilisation(Arguments& in) {
  cuda::Utilisation now{};
  napi_value none = nullptr;
  napi_get_null(in.env(), &none);
  in.returns(none);
  if (!cuda::readUtilisation(&now)) return Status::ok();
  in.returns(Record(in.env())
                 .set("gpuPercent", now.gpuPercent)
                 .set("memoryPercent", now.memoryPercent)
                 .set("usedBytes", now.usedBytes)
                 .set("totalBytes", now.totalBytes)
                 .set("powerWatts", now.powerWatts)
                 .set("temperatureCelsius", now.temperatureCelsius)
                 .object());
  return Status::ok();
}

Status bindReleaseCached(Arguments&) { return cuda::openedDevice() < 0 ? Status::ok() : cuda::releaseKept(); }

Status bindResetPeak(Arguments&) {
  cuda::resetPeak();
  return Status::ok();
}

}  // namespace

void registerDevice(Exports& exports) {
  exports.add("deviceCount", bindDeviceCount);
  exports.add("deviceProblem", bindDeviceProblem);
  exports.add("deviceInfo", bindDeviceInfo);
  exports.add("openDevice", bindOpenDevice);
  exports.add("allocateArray", bindAllocateArray);
  exports.add("freeArray", bindFreeArray);
  exports.add("upload", bindUpload);
  exports.add("download", bindDownload);
  exports.add("downloadAsync", bindDownloadAsync);
  exports.add("copyArray", bindCopyArray);
  exports.add("fillArray", bindFillArray);
  exports.add("synchronize", bindSynchronize);
  exports.add("deviceCounters", bindDeviceCounters);
  exports.add("deviceMemory", bindDeviceMemory);
  exports.add("deviceUtilisation", bindDeviceUtilisation);
  exports.add("releaseCached", bindReleaseCached);
  exports.add("resetPeak", bindResetPeak);
  exports.add("setProductPrecision", bindSetProductPrecision);
}

}  // namespace moe
