#include "parallel.h"

#include <atomic>
#include <mutex>
#include <system_error>
#include <thread>
#include <vector>

namespace moe {
namespace {

// Spinning is bounded to about 100 µs: long enough to catch the next kernel of a training step, too short to take a
// processor from JavaScript when no kernel follows.
constexpr int kSpins = 5000;

// The job word: generation (24 bits) | tasks (20 bits) | next task (20 bits). Tasks are claimed by compare-and-swap
// on the whole word, so a thread that wakes late can never claim a task of a job that is over.
constexpr int kCountBits = 20;
constexpr uint64_t kCountMask = (uint64_t{1} << kCountBits) - 1;

inline void pauseBriefly() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

thread_local bool insideTask = false;

class Pool {
 public:
  int threads() {
    std::lock_guard<std::mutex> lock(owner_);
    return threads_;
  }

  void resize(int threads) {
    std::lock_guard<std::mutex> lock(owner_);
    stopWorkers();
    threads_ = threads < 1 ? 1 : threads > kMostThreads ? kMostThreads : threads;
    published_.store(threads_, std::memory_order_release);
  }

  int publishedThreads() const { return published_.load(std::memory_order_acquire); }

  void run(int64_t tasks, TaskFunction function, void* context) {
    std::unique_lock<std::mutex> lock(owner_, std::defer_lock);
    bool alone = tasks <= 1 || insideTask || publishedThreads() == 1 || !lock.try_lock();
    if (alone) {
      for (int64_t task = 0; task < tasks; ++task) function(context, task, 0);
      return;
    }
    startWorkers();
    publish(tasks, function, context);
    insideTask = true;
    while (claimAndRun(0)) {
    }
    insideTask = false;
    waitForOthers();
  }

 private:
  void startWorkers() {
    while (static_cast<int>(workers_.size()) < threads_ - 1) {
      int thread = static_cast<int>(workers_.size()) + 1;
      uint32_t generation = generation_.load(std::memory_order_relaxed);
      try {
        workers_.emplace_back([this, thread, generation] { workerLoop(thread, generation); });
      } catch (const std::system_error&) {
        return;  // the system gives no more threads: the ones there are do all the work
      }
    }
  }

  void stopWorkers() {
    stopping_.store(true, std::memory_order_release);
    generation_.fetch_add(1, std::memory_order_acq_rel);
    generation_.notify_all();
    for (std::thread& worker : workers_) worker.join();
    workers_.clear();
    stopping_.store(false, std::memory_order_release);
  }

  void publish(int64_t tasks, TaskFunction function, void* context) {
    int64_t most = static_cast<int64_t>(kCountMask);
    function_ = function;
    context_ = context;
    tasks_ = tasks;
    tasksPerClaim_ = (tasks + most - 1) / most;
    uint64_t claims = static_cast<uint64_t>((tasks + tasksPerClaim_ - 1) / tasksPerClaim_);
    pending_.store(static_cast<int32_t>(claims), std::memory_order_relaxed);
    uint64_t generation = generation_.load(std::memory_order_relaxed) + 1;
    job_.store(generation << (2 * kCountBits) | claims << kCountBits, std::memory_order_release);
    generation_.store(static_cast<uint32_t>(generation), std::memory_order_seq_cst);
    generation_.notify_all();
  }

  bool claimAndRun(int thread) {
    uint64_t job = job_.load(std::memory_order_acquire);
    for (;;) {
      uint64_t claims = job >> kCountBits & kCountMask;
      uint64_t claim = job & kCountMask;
      if (claim >= claims) return false;
      if (!job_.compare_exchange_weak(job, job + 1, std::memory_order_acq_rel, std::memory_order_acquire)) continue;
      int64_t begin = static_cast<int64_t>(claim) * tasksPerClaim_;
      int64_t end = begin + tasksPerClaim_ < tasks_ ? begin + tasksPerClaim_ : tasks_;
      for (int64_t task = begin; task < end; ++task) function_(context_, task, thread);
      if (pending_.fetch_sub(1, std::memory_order_acq_rel) == 1) pending_.notify_one();
      return true;
    }
  }

  void waitForOthers() {
    for (int spin = 0; spin < kSpins; ++spin) {
      if (pending_.load(std::memory_order_acquire) == 0) return;
      pauseBriefly();
    }
    for (int32_t left = pending_.load(std::memory_order_acquire); left != 0;
         left = pending_.load(std::memory_order_acquire))
      pending_.wait(left, std::memory_order_acquire);
  }

  void workerLoop(int thread, uint32_t seen) {
    insideTask = true;
    for (;;) {
      int spins = 0;
      uint32_t now = generation_.load(std::memory_order_acquire);
      while (now == seen) {
        if (++spins < kSpins)
          pauseBriefly();
        else
          generation_.wait(seen, std::memory_order_acquire);
        now = generation_.load(std::memory_order_acquire);
      }
      if (stopping_.load(std::memory_order_acquire)) return;
      seen = now;
      while (claimAndRun(thread)) {
      }
    }
  }

  std::mutex owner_;  // held by the thread whose job runs
  int threads_ = defaultThreadCount();
  std::atomic<int> published_{threads_};
  std::vector<std::thread> workers_;
  std::atomic<bool> stopping_{false};
  TaskFunction function_ = nullptr;
  void* context_ = nullptr;
  int64_t tasks_ = 0;
  int64_t tasksPerClaim_ = 1;
  alignas(64) std::atomic<uint64_t> job_{0};
  alignas(64) std::atomic<int32_t> pending_{0};
  alignas(64) std::atomic<uint32_t> generation_{0};
};

/** One pool for the process, never destroyed: its threads may still wait in it while the process exits. */
Pool& pool() {
  static Pool* const shared = new Pool();
  return *shared;
}

}  // namespace

int threadCount() { return pool().publishedThreads(); }
void setThreadCount(int threads) { pool().resize(threads); }
void runTasks(int64_t tasks, TaskFunction function, void* context) { pool().run(tasks, function, context); }

}  // namespace moe
