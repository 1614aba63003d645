#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <thread>

#include "parallel.h"

#if defined(__linux__)
#include <sched.h>
#endif

namespace moe {
namespace {

int affinityProcessors() {
#if defined(__linux__)
  cpu_set_t set;
  CPU_ZERO(&set);
  if (sched_getaffinity(0, sizeof(set), &set) == 0) return CPU_COUNT(&set);
#endif
  return static_cast<int>(std::thread::hardware_concurrency());
}

bool readLine(const std::string& path, std::string& line) {
  std::FILE* file = std::fopen(path.c_str(), "r");
  if (file == nullptr) return false;
  char text[256] = {};
  bool found = std::fgets(text, sizeof(text), file) != nullptr;
  std::fclose(file);
  line = text;
  return found;
}

/** Processors granted by quota / period, rounded up; 0 for no limit. */
int processorsOf(long long quota, long long period) {
  if (quota <= 0 || period <= 0) return 0;
  return static_cast<int>((quota + period - 1) / period);
}

/** The quota of one cgroup folder in either version's files; 0 for none. */
int quotaOfFolder(const std::string& folder) {
  std::string line;
  long long quota = 0, period = 0;
  if (readLine(folder + "/cpu.max", line)) {
    bool limited = std::sscanf(line.c_str(), "%lld %lld", &quota, &period) == 2;  // "max 100000" means no limit
    return limited ? processorsOf(quota, period) : 0;
  }
  if (!readLine(folder + "/cpu.cfs_quota_us", line)) return 0;
  quota = std::atoll(line.c_str());
  if (!readLine(folder + "/cpu.cfs_period_us", line)) return 0;
  return processorsOf(quota, std::atoll(line.c_str()));
}

/** This process's own path below the cgroup mount, for version 2 ("0::/path") or the v1 cpu controller. */
std::string ownCgroup(bool version2) {
  std::FILE* file = std::fopen("/proc/self/cgroup", "r");
  if (file == nullptr) return "";
  char text[1024];
  std::string path;
  while (std::fgets(text, sizeof(text), file) != nullptr) {
    std::string line(text, std::strcspn(text, "\n"));
    size_t first = line.find(':'), second = line.find(':', first + 1);
    if (first == std::string::npos || second == std::string::npos) continue;
    std::string controllers = "," + line.substr(first + 1, second - first - 1) + ",";
    bool own = version2 ? controllers == ",," : controllers.find(",cpu,") != std::string::npos;
    if (own) path = line.substr(second + 1);
  }
  std::fclose(file);
  return path == "/" ? "" : path;
}

/** The tightest limit on the way from the process's cgroup up to the mount; 0 for none. */
int cgroupProcessors(const std::string& mount, std::string path) {
  int least = 0;
  for (;;) {
    int here = quotaOfFolder(mount + path);
    if (here > 0 && (least == 0 || here < least)) least = here;
    if (path.empty()) return least;
    size_t slash = path.rfind('/');
    path.erase(slash == std::string::npos ? 0 : slash);
  }
}

}  // namespace

int defaultThreadCount() {
  int processors = affinityProcessors();
#if defined(__linux__)
  int limits[] = {cgroupProcessors("/sys/fs/cgroup", ownCgroup(true)),
                  cgroupProcessors("/sys/fs/cgroup/cpu", ownCgroup(false))};
  for (int limit : limits)
    if (limit > 0 && limit < processors) processors = limit;
#endif
  return processors < 1 ? 1 : processors > kMostThreads ? kMostThreads : processors;
}

}  // namespace moe
