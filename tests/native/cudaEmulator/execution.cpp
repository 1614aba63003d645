#include "execution.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <memory>
#include <random>
#include <string>
#include <vector>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/common_interface_defs.h>
#define EMULATOR_ASAN 1
#else
#define EMULATOR_ASAN 0
#endif
#include <sys/mman.h>

#if !defined(__x86_64__)
#include <ucontext.h>
#endif

namespace cudaEmulator {
namespace {

constexpr size_t kStackBytes = 256 * 1024;
constexpr int kBarriers = 16;

#if defined(__x86_64__)
/** Saves the callee's registers and the stack pointer, and goes on where `to` was saved. */
extern "C" void cudaEmulatorSwitch(void** from, void* to);
asm(R"(
.text
.hidden cudaEmulatorSwitch
.globl cudaEmulatorSwitch
.type cudaEmulatorSwitch,@function
cudaEmulatorSwitch:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  ret
.size cudaEmulatorSwitch,.-cudaEmulatorSwitch
)");
using Context = void*;
#else
using Context = ucontext_t;
#endif

struct Stack {
  char* memory;
  Stack() : memory(static_cast<char*>(mmap(nullptr, kStackBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0))) {
    if (memory == MAP_FAILED) std::abort();
  }
  ~Stack() { munmap(memory, kStackBytes); }
  Stack(const Stack&) = delete;
};

struct Fiber {
  enum class State { fresh, ready, waiting, ended } state = State::fresh;
  uint3 index{};
  Stack* stack = nullptr;
  Context context{};
};

/** Lanes that have come to a collective of one mask. */
struct Meeting {
  unsigned mask = 0, arrived = 0;
  const void* given[32];
  void* got[32];
};

struct Barrier {
  int arrived = 0, count = 0;
  std::vector<unsigned> waiting;
};

struct Copy {
  void* to;
  const void* from;
  bool isThere;
};

/** A thread's asynchronous copies: groups in order, and the copies of the group that is open. */
struct Copies {
  std::deque<std::vector<Copy>> groups;
  std::vector<Copy> open;
};

struct Block {
  std::vector<Fiber> fibers;
  std::vector<Copies> copies;
  unsigned threads = 0, alive = 0;
  std::vector<std::vector<Meeting>> meetings;  // of each warp
  Barrier barriers[kBarriers];
  const std::function<void()>* body = nullptr;
  unsigned running = 0;
  Context scheduler{};
  std::vector<char> shared;
  char* dynamicShared = nullptr;
  std::vector<std::unique_ptr<Stack>> stacks;
  std::vector<Stack*> idleStacks;
  std::string problem;
};

thread_local Block block;
/** Tells the sanitizer on which stack the program is; there is no other way to leave a fiber by exception. */
thread_local const void* schedulerStack = nullptr;
thread_local size_t schedulerStackBytes = 0;
thread_local void* schedulerFake = nullptr;

Fiber& runningFiber() { return block.fibers[block.running]; }

void enterFiber();

void prepare(Fiber& fiber) {
  if (block.idleStacks.empty()) {
    block.stacks.push_back(std::make_unique<Stack>());
    block.idleStacks.push_back(block.stacks.back().get());
  }
  fiber.stack = block.idleStacks.back();
  block.idleStacks.pop_back();
#if defined(__x86_64__)
  auto* top = reinterpret_cast<uint64_t*>(fiber.stack->memory + kStackBytes - 64);
  *--top = 0;  // where a call would have put its return address, for the alignment
  *--top = reinterpret_cast<uint64_t>(&enterFiber);
  for (int i = 0; i < 6; ++i) *--top = 0;
  fiber.context = top;
#else
  getcontext(&fiber.context);
  fiber.context.uc_stack.ss_sp = fiber.stack->memory;
  fiber.context.uc_stack.ss_size = kStackBytes;
  fiber.context.uc_link = nullptr;
  makecontext(&fiber.context, enterFiber, 0);
#endif
}

void switchTo(Context& from, Context& to) {
#if defined(__x86_64__)
  cudaEmulatorSwitch(&from, to);
#else
  swapcontext(&from, &to);
#endif
}

void leaveFiber([[maybe_unused]] bool forGood) {
  [[maybe_unused]] void* fake = nullptr;
#if EMULATOR_ASAN
  __sanitizer_start_switch_fiber(forGood ? nullptr : &fake, schedulerStack, schedulerStackBytes);
#endif
  Fiber& fiber = runningFiber();
  switchTo(fiber.context, block.scheduler);
#if EMULATOR_ASAN
  __sanitizer_finish_switch_fiber(fake, nullptr, nullptr);
#endif
}

void resume(unsigned thread) {
  Fiber& fiber = block.fibers[thread];
  if (fiber.state == Fiber::State::fresh) prepare(fiber);
  fiber.state = Fiber::State::ready;
  block.running = thread;
  threadIdx = fiber.index;
#if EMULATOR_ASAN
  __sanitizer_start_switch_fiber(&schedulerFake, fiber.stack->memory, kStackBytes);
#endif
  switchTo(block.scheduler, fiber.context);
#if EMULATOR_ASAN
  __sanitizer_finish_switch_fiber(schedulerFake, nullptr, nullptr);
#endif
  if (fiber.state == Fiber::State::ended && fiber.stack != nullptr) {
    block.idleStacks.push_back(fiber.stack);
    fiber.stack = nullptr;
  }
}

void release(Barrier& barrier) {
  for (unsigned thread : barrier.waiting) block.fibers[thread].state = Fiber::State::ready;
  barrier.waiting.clear();
  barrier.arrived = 0;
}

bool isComplete(const Barrier& barrier) {
  unsigned needed = barrier.count > 0 ? static_cast<unsigned>(barrier.count) : block.alive;
  return barrier.arrived > 0 && static_cast<unsigned>(barrier.arrived) >= needed;
}

void enterFiber() {
#if EMULATOR_ASAN
  __sanitizer_finish_switch_fiber(nullptr, &schedulerStack, &schedulerStackBytes);
#endif
  (*block.body)();
  Fiber& fiber = runningFiber();
  fiber.state = Fiber::State::ended;
  --block.alive;
  if (isComplete(block.barriers[0])) release(block.barriers[0]);
  leaveFiber(true);
  std::abort();
}

void waitForOthers() {
  runningFiber().state = Fiber::State::waiting;
  leaveFiber(false);
  threadIdx = runningFiber().index;
}

Order orderFromEnvironment() {
  const char* name = std::getenv("MOE_EMULATED_ORDER");
  if (name != nullptr && std::strcmp(name, "reverse") == 0) return Order::reverse;
  if (name != nullptr && std::strcmp(name, "shuffled") == 0) return Order::shuffled;
  return Order::forward;
}

void startBlock(dim3 size) {
  block.threads = block.alive = size.x * size.y * size.z;
  block.fibers.resize(block.threads);
  block.copies.assign(block.threads, {});
  block.meetings.assign((block.threads + 31) / 32, {});
  unsigned thread = 0;
  for (unsigned z = 0; z < size.z; ++z)
    for (unsigned y = 0; y < size.y; ++y)
      for (unsigned x = 0; x < size.x; ++x) {
        Fiber& fiber = block.fibers[thread++];
        fiber.state = Fiber::State::fresh;
        fiber.index = {x, y, z};
      }
  for (Barrier& barrier : block.barriers) barrier = {};
}

/** Lets the threads take turns until all have ended, or none can go on. */
void runBlock(const std::vector<unsigned>& order) {
  while (block.alive > 0) {
    bool hasMoved = false;
    for (unsigned thread : order) {
      Fiber::State state = block.fibers[thread].state;
      if (state != Fiber::State::fresh && state != Fiber::State::ready) continue;
      resume(thread);
      hasMoved = true;
      if (!block.problem.empty()) return;
    }
    if (!hasMoved) {
      block.problem = "the threads of a block wait for each other for ever: a barrier or a warp's collective that not all reach";
      return;
    }
  }
}

/** After a failure its fibers are left where they stand. */
void dropFibers() {
  block.fibers.clear();
  block.idleStacks.clear();
  block.stacks.clear();
}

}  // namespace

const char* runGrid(dim3 grid, dim3 size, size_t dynamicSharedBytes, const std::function<void()>& body) {
  static const Order order = orderFromEnvironment();
  block.problem.clear();
  block.body = &body;
  block.shared.assign(dynamicSharedBytes + 2048, '\xff');
  auto address = reinterpret_cast<uintptr_t>(block.shared.data());
  block.dynamicShared = block.shared.data() + (1024 - address % 1024);
  gridDim = grid, blockDim = size;
  std::vector<unsigned> turns(size.x * size.y * size.z);
  for (unsigned i = 0; i < turns.size(); ++i) turns[i] = order == Order::reverse ? static_cast<unsigned>(turns.size()) - 1 - i : i;
  static thread_local std::mt19937 random(1);
  for (unsigned z = 0; z < grid.z; ++z)
    for (unsigned y = 0; y < grid.y; ++y)
      for (unsigned x = 0; x < grid.x; ++x) {
        blockIdx = {x, y, z};
        if (order == Order::shuffled) std::shuffle(turns.begin(), turns.end(), random);
        if (dynamicSharedBytes > 0) std::memset(block.dynamicShared, 0xff, dynamicSharedBytes);
        startBlock(size);
        runBlock(turns);
        if (block.problem.empty()) continue;
        dropFibers();
        return block.problem.c_str();
      }
  return "";
}

char* dynamicSharedMemory() { return block.dynamicShared; }

void blockBarrier(int number, int count) {
  if (number < 0 || number >= kBarriers) fail("a barrier's number is from 0 to 15");
  Barrier& barrier = block.barriers[number];
  barrier.count = count;
  ++barrier.arrived;
  if (isComplete(barrier)) {
    release(barrier);
    return;
  }
  barrier.waiting.push_back(block.running);
  waitForOthers();
}

void warpCollective(unsigned mask, const void* given, void* got, Combine combine, const void* settings) {
  unsigned own = lane(), warp = linearThread() / 32;
  if ((mask >> own & 1) == 0) fail("a thread calls a warp's collective whose mask leaves it out");
  std::vector<Meeting>& meetings = block.meetings[warp];
  Meeting* meeting = nullptr;
  for (Meeting& other : meetings)
    if (other.mask == mask) meeting = &other;
  if (meeting == nullptr) {
    meetings.emplace_back();
    meeting = &meetings.back();
    meeting->mask = mask;
  }
  meeting->given[own] = given;
  meeting->got[own] = got;
  meeting->arrived |= 1u << own;
  if (meeting->arrived != mask) {
    waitForOthers();
    return;
  }
  combine(meeting->given, meeting->got, mask, settings);
  meeting->arrived = 0;
  for (unsigned l = 0; l < 32; ++l)
    if ((mask >> l & 1) != 0 && l != own) block.fibers[warp * 32 + l].state = Fiber::State::ready;
}

void queueCopy(void* to, const void* from, bool isThere) { block.copies[block.running].open.push_back({to, from, isThere}); }

void commitCopies() {
  Copies& copies = block.copies[block.running];
  copies.groups.push_back(std::move(copies.open));
  copies.open.clear();
}

void finishCopies(int pending) {
  Copies& copies = block.copies[block.running];
  for (; static_cast<int>(copies.groups.size()) > pending; copies.groups.pop_front())
    for (const Copy& copy : copies.groups.front()) {
      if (copy.isThere) std::memcpy(copy.to, copy.from, 16);
      else std::memset(copy.to, 0, 16);
    }
}

unsigned aliveLanes() {
  unsigned first = linearThread() / 32 * 32, lanes = 0;
  for (unsigned l = 0; l < 32 && first + l < block.threads; ++l)
    if (block.fibers[first + l].state != Fiber::State::ended) lanes |= 1u << l;
  return lanes;
}

void fail(const char* problem) {
  block.problem = problem;
  runningFiber().state = Fiber::State::waiting;
  leaveFiber(false);
  std::abort();
}

}  // namespace cudaEmulator
