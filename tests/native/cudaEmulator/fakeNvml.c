/* NVIDIA's management library as toolkit/native/cuda/nvml.cpp asks it: fixed answers for the device on bus 1. */
#include <string.h>

int nvmlInit_v2(void) { return 0; }
int nvmlDeviceGetHandleByPciBusId_v2(const char* bus, void** device) {
  static int only;
  *device = &only;
  return strcmp(bus, "0000:01:00.0") == 0 ? 0 : 6; /* NVML_ERROR_NOT_FOUND */
}
int nvmlDeviceGetUtilizationRates(void* device, unsigned rates[2]) { (void)device; rates[0] = 87, rates[1] = 40; return 0; }
int nvmlDeviceGetMemoryInfo(void* device, unsigned long long memory[3]) { (void)device; memory[0] = 80000, memory[1] = 60000, memory[2] = 20000; return 0; }
int nvmlDeviceGetPowerUsage(void* device, unsigned* milliwatts) { (void)device; *milliwatts = 312500; return 0; }
int nvmlDeviceGetTemperature(void* device, unsigned sensor, unsigned* celsius) { (void)device, (void)sensor, (void)celsius; return 3; /* not supported */ }
