#include "matmul.h"

#include "parallel.h"
#include "scratch.h"
#include "tile.h"

namespace moe::MOE_ISA {
namespace {

constexpr int64_t kDepth = 256;                        // columns of A in one pass: a panel of B stays in the L1 cache
constexpr int64_t kRowsPerTask = (112 / kTileRows) * kTileRows;  // rows of A in one task: they stay in the L2 cache
constexpr int64_t kPackedFloats = int64_t{8} << 20;    // 32 MB of packed B at a time
constexpr int64_t kMostSlabs = 1024;                   // problems, or pieces of them, that share one round
constexpr double kParallelFlops = 4e5;                 // below this, waking a thread costs more than it saves
constexpr int64_t kTasksPerThread = 4;                 // enough to even out threads that are late

/** How a piece is multiplied. */
enum class Way {
  packed,    // B packed in panels
  bare,      // one strip of rows: each panel of B would be used once, so B is read where it lies
  streamed,  // few rows: B is read row by row
  dots       // few rows and a transposed B
};

/** All rows and some columns of one problem. */
struct Slab {
  const Gemm* problem;
  Way way;
  int64_t firstColumn, columns, panels;
  int64_t depth, depthBlocks;  // k cut into depthBlocks pieces of depth columns
  int64_t rowsPerTask, rowBlocks, panelsPerTask, columnBlocks;
  float* packed;         // [depthBlocks][panels][depth][kTileColumns]
  int64_t firstPanel;    // number of the first panel among those of all slabs
  int64_t firstTask;
};

int64_t divideUp(int64_t a, int64_t b) { return (a + b - 1) / b; }
int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }
int64_t larger(int64_t a, int64_t b) { return a > b ? a : b; }

double flopsOf(const Gemm& g) { return 2.0 * static_cast<double>(g.m) * static_cast<double>(g.n) * static_cast<double>(g.k); }

Way wayOf(const Gemm& g) {
  bool columnsOfBAdjacent = g.bColumnStride == 1 || g.n == 1;
  if (g.m <= kFewRows && columnsOfBAdjacent) return Way::streamed;
  if (g.m <= kTileRows && columnsOfBAdjacent) return Way::bare;
  bool dots = g.m <= kFewRows && g.bRowStride == 1 && g.aColumnStride == 1 && g.aColumns == nullptr;
  return dots ? Way::dots : Way::packed;
}

/** One round: slabs whose packed B fits the budget together. */
class Round {
 public:
  Round(Slab* slabs, int64_t room, double totalFlops)
      : slabs_(slabs), room_(room), totalFlops_(totalFlops),
        threads_(totalFlops > kParallelFlops ? threadCount() : 1) {}

  bool isEmpty() const { return count_ == 0; }

  /** Takes columns [firstColumn, …) of g as far as there is room; returns the first column not taken. */
  int64_t add(const Gemm& g, int64_t firstColumn) {
    if (count_ == room_) return firstColumn;
    Slab slab = {};
    slab.problem = &g;
    slab.way = wayOf(g);
    slab.firstColumn = firstColumn;
    slab.depthBlocks = slab.way == Way::packed ? divideUp(g.k, kDepth) : 1;
    slab.depth = divideUp(g.k, slab.depthBlocks);
    slab.panels = divideUp(g.n - firstColumn, kTileColumns);
    slab.firstPanel = panels_;
    if (slab.way == Way::packed) {
      int64_t panelFloats = slab.depthBlocks * slab.depth * kTileColumns;
      int64_t affordable = (kPackedFloats - packedFloats_) / panelFloats;
      if (affordable < slab.panels && !isEmpty()) return firstColumn;
      slab.panels = smaller(slab.panels, larger(affordable, 1));
      panels_ += slab.panels;
      packedFloats_ += slab.panels * panelFloats;
    }
    slab.columns = smaller(g.n - firstColumn, slab.panels * kTileColumns);
    cutIntoTasks(slab);
    slabs_[count_++] = slab;
    return firstColumn + slab.columns;
  }

  Status run() {
    Scratch packedB(1, packedFloats_);
    Scratch packedA(threads_, aFloats_);
    if (!packedB.isOk()) return packedB.status("packed B of a matmul");
    if (!packedA.isOk()) return packedA.status("packed A of a matmul");
    float* next = packedB.floats();
    for (int64_t i = 0; i < count_; ++i) {
      slabs_[i].packed = next;
      if (slabs_[i].way == Way::packed)
        next += slabs_[i].panels * slabs_[i].depthBlocks * slabs_[i].depth * kTileColumns;
    }
    constexpr int64_t kPanelsPerTask = 2;
    spread(divideUp(panels_, kPanelsPerTask), [&](int64_t task, int) {
      int64_t end = smaller(panels_, (task + 1) * kPanelsPerTask);
      for (int64_t panel = task * kPanelsPerTask; panel < end; ++panel) packPanel(panel);
    });
    spread(tasks_, [&](int64_t task, int thread) { multiplyTask(task, packedA.floats(thread)); });
    return Status::ok();
  }

 private:
  void cutIntoTasks(Slab& slab) {
    const Gemm& g = *slab.problem;
    double share = totalFlops_ > 0 ? flopsOf(g) / totalFlops_ : 1.0;
    int64_t tasksPerThread = slab.way == Way::streamed ? 1 : kTasksPerThread;  // longer rows to read
    double wantedExactly = share * static_cast<double>(tasksPerThread * threads_);
    int64_t wanted = threads_ == 1 ? 1 : larger(1, static_cast<int64_t>(wantedExactly + 0.999));
    slab.rowBlocks = slab.way == Way::packed ? divideUp(g.m, kRowsPerTask) : 1;
    slab.rowsPerTask = divideUp(divideUp(g.m, slab.rowBlocks), kTileRows) * kTileRows;
    slab.rowBlocks = divideUp(g.m, slab.rowsPerTask);
    slab.panelsPerTask = divideUp(slab.panels, smaller(slab.panels, divideUp(wanted, slab.rowBlocks)));
    slab.columnBlocks = divideUp(slab.panels, slab.panelsPerTask);
    slab.firstTask = tasks_;
    tasks_ += slab.rowBlocks * slab.columnBlocks;
    aFloats_ = larger(aFloats_, packedASize(smaller(g.m, slab.rowsPerTask), slab.depth));
  }

  template <class Body>
  void spread(int64_t tasks, Body&& body) {
    if (threads_ > 1) {
      parallelFor(tasks, body);
      return;
    }
    for (int64_t task = 0; task < tasks; ++task) body(task, 0);
  }

  /** The last slab whose `first` is at most `index`; slabs that have none of it share their successor's number. */
  const Slab& slabOf(int64_t Slab::*first, int64_t index) const {
    int64_t low = 0, high = count_ - 1;
    while (low < high) {
      int64_t middle = (low + high + 1) / 2;
      if (slabs_[middle].*first <= index)
        low = middle;
      else
        high = middle - 1;
    }
    return slabs_[low];
  }

  void packPanel(int64_t number) {
    const Slab& slab = slabOf(&Slab::firstPanel, number);
    const Gemm& g = *slab.problem;
    int64_t panel = number - slab.firstPanel;
    int64_t column = slab.firstColumn + panel * kTileColumns;
    int64_t columns = smaller(g.n - column, kTileColumns);
    for (int64_t block = 0; block < slab.depthBlocks; ++block) {
      int64_t firstRow = block * slab.depth;
      const float* from = g.b + firstRow * g.bRowStride + column * g.bColumnStride;
      packBPanel(from, g.bRowStride, g.bColumnStride, smaller(slab.depth, g.k - firstRow), columns,
                 panelAt(slab, block, panel));
    }
  }

  static float* panelAt(const Slab& slab, int64_t block, int64_t panel) {
    return slab.packed + (block * slab.panels + panel) * slab.depth * kTileColumns;
  }

  void multiplyTask(int64_t number, float* aScratch) {
    const Slab& slab = slabOf(&Slab::firstTask, number);
    const Gemm& g = *slab.problem;
    int64_t task = number - slab.firstTask;
    int64_t firstRow = task / slab.columnBlocks * slab.rowsPerTask;
    int64_t rows = smaller(slab.rowsPerTask, g.m - firstRow);
    int64_t firstPanel = task % slab.columnBlocks * slab.panelsPerTask;
    int64_t endPanel = smaller(slab.panels, firstPanel + slab.panelsPerTask);
    if (slab.way == Way::dots)
      multiplyByDots(slab, firstPanel, endPanel);
    else if (slab.way == Way::streamed)
      multiplyByRows(slab, firstPanel, endPanel, aScratch);
    else
      multiplyByTiles(slab, firstRow, rows, firstPanel, endPanel, aScratch);
  }

  static void multiplyByRows(const Slab& slab, int64_t firstPanel, int64_t endPanel, float* aScratch) {
    const Gemm& g = *slab.problem;
    int64_t column = slab.firstColumn + firstPanel * kTileColumns;
    int64_t columns = smaller(g.n - column, (endPanel - firstPanel) * kTileColumns);
    packA({g.a, g.aRowStride, g.aColumnStride, g.aRows, g.aColumns}, 0, g.m, 0, g.k, aScratch);
    multiplyStreamed(g.m, columns, g.k, aScratch, g.b + column, g.bRowStride, g.c + column, g.cRowStride, g.accumulate,
                     g.alpha);
  }

  static void multiplyByDots(const Slab& slab, int64_t firstPanel, int64_t endPanel) {
    const Gemm& g = *slab.problem;
    int64_t column = slab.firstColumn + firstPanel * kTileColumns;
    int64_t columns = smaller(g.n - column, (endPanel - firstPanel) * kTileColumns);
    multiplyDots({g.a, g.aRowStride, 1, g.aRows, nullptr}, g.m, g.b + column * g.bColumnStride, g.bColumnStride, g.k,
                 columns, g.c + column, g.cRowStride, g.accumulate, g.alpha);
  }

  static void multiplyByTiles(const Slab& slab, int64_t firstRow, int64_t rows, int64_t firstPanel, int64_t endPanel,
                              float* aScratch) {
    const Gemm& g = *slab.problem;
    const Operand a = {g.a, g.aRowStride, g.aColumnStride, g.aRows, g.aColumns};
    bool bare = slab.way == Way::bare;
    for (int64_t block = 0; block < slab.depthBlocks; ++block) {
      int64_t firstDepth = block * slab.depth;
      int64_t depth = smaller(slab.depth, g.k - firstDepth);
      packA(a, firstRow, rows, firstDepth, depth, aScratch);
      for (int64_t panel = firstPanel; panel < endPanel; ++panel) {
        int64_t column = slab.firstColumn + panel * kTileColumns;
        int64_t columns = smaller(g.n - column, kTileColumns);
        const float* b = bare ? g.b + column : panelAt(slab, block, panel);
        for (int64_t i = 0; i < rows; i += kTileRows)
          multiplyStrip(smaller(rows - i, kTileRows), columns, depth, aScratch + i * depth, b,
                        bare ? g.bRowStride : kTileColumns, bare, g.c + (firstRow + i) * g.cRowStride + column,
                        g.cRowStride, g.accumulate || block > 0, g.alpha);
      }
    }
  }

  Slab* slabs_;
  int64_t room_;
  double totalFlops_;
  int threads_;
  int64_t count_ = 0, panels_ = 0, tasks_ = 0, packedFloats_ = 0, aFloats_ = 0;
};

void clear(const Gemm& g) {
  for (int64_t i = 0; i < g.m; ++i)
    for (int64_t j = 0; j < g.n; ++j) g.c[i * g.cRowStride + j] = 0.0f;
}

Status checkSizes(const Gemm& g) {
  constexpr int64_t kLargest = int64_t{1} << 40;
  if (g.m < 0 || g.m > kLargest) return Status::outOfRange("m", g.m, 0, kLargest);
  if (g.n < 0 || g.n > kLargest) return Status::outOfRange("n", g.n, 0, kLargest);
  if (g.k < 0 || g.k > kLargest) return Status::outOfRange("k", g.k, 0, kLargest);
  return Status::ok();
}

}  // namespace

Status groupedMatmul(const Gemm* problems, int64_t count) {
  double flops = 0;
  for (int64_t i = 0; i < count; ++i) {
    Status sizes = checkSizes(problems[i]);
    if (!sizes.isOk()) return sizes;
    flops += flopsOf(problems[i]);
  }
  int64_t room = smaller(kMostSlabs, count + 1);
  Scratch slabs(1, divideUp(room * static_cast<int64_t>(sizeof(Slab)), 4));
  if (!slabs.isOk()) return slabs.status("the plan of a matmul");
  int64_t problem = 0, column = 0;
  while (problem < count) {
    Round round(static_cast<Slab*>(slabs.bytes()), room, flops);
    for (; problem < count; ++problem, column = 0) {
      const Gemm& g = problems[problem];
      if (g.m == 0 || g.n == 0) continue;
      if (g.k == 0) {
        if (!g.accumulate) clear(g);
        continue;
      }
      column = round.add(g, column);
      if (column < g.n) break;
    }
    if (round.isEmpty()) continue;
    Status done = round.run();
    if (!done.isOk()) return done;
  }
  return Status::ok();
}

Status matmul(const Gemm& problem) { return groupedMatmul(&problem, 1); }

}  // namespace moe::MOE_ISA
