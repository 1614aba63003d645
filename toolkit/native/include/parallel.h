#pragma once
#include <cstdint>
#include <type_traits>

namespace moe {

using TaskFunction = void (*)(void* context, int64_t task, int thread);

/** Threads that share work, the caller included; ≥ 1. `thread` of a task is in [0, threadCount()). */
int threadCount();

/** Sets the number of threads, the caller included; clipped to [1, kMostThreads]. Waits for work in progress. */
void setThreadCount(int threads);

/** Processors this process may use: the smaller of its affinity mask and its cgroup quota (v2 cpu.max, v1
 *  cfs_quota), rounded up; ≥ 1. */
int defaultThreadCount();

inline constexpr int kMostThreads = 256;

/** Calls function(context, task, thread) once for each task in [0, tasks), in no order; returns when all are done.
 *  A call from within a task, or while another thread of the process holds the pool, runs serially as thread 0. */
void runTasks(int64_t tasks, TaskFunction function, void* context);

/** parallelFor(tasks, [&](int64_t task, int thread) { … }). The body must not throw. */
template <class Body>
inline void parallelFor(int64_t tasks, Body&& body) {
  auto call = [](void* context, int64_t task, int thread) { (*static_cast<std::remove_reference_t<Body>*>(context))(task, thread); };
  runTasks(tasks, call, &body);
}

/** Cuts [0, total) into ranges of at most `grain` and calls body(begin, end, thread) for each. */
template <class Body>
inline void parallelRanges(int64_t total, int64_t grain, Body&& body) {
  parallelFor((total + grain - 1) / grain, [&](int64_t task, int thread) {
    int64_t begin = task * grain;
    int64_t end = begin + grain < total ? begin + grain : total;
    body(begin, end, thread);
  });
}

}  // namespace moe
