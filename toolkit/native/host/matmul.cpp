#include "matmul.h"

#include "parallel.h"
#include "scratch.h"
#include "tile.h"

namespace moe::MOE_ISA {
namespace {

constexpr int64_t kDepth = 512;                   // columns of A in one pass over C
constexpr int64_t kPackedAFloats = 224 * kDepth;  // of one task: it stays in the L2 cache while panels of B pass by
constexpr double kParallelFlops = 1e6;            // below this, waking a thread costs more than it saves
constexpr double kLeastTaskFlops = 1e6;           // a smaller task costs more to hand out than it evens out
constexpr int64_t kMostTasksPerThread = 16;
constexpr double kPackingCost = 6;  // of a value, in multiplications and additions of a tile: 0.1 ns against 0.018 ns
constexpr double kUnevenCost = 0.1; // of work, lost when each thread has one task: threads are late by about as much

/** How a problem is multiplied. */
enum class Way {
  packed,    // blocks of A and panels of B are packed by the task that multiplies them
  bare,      // one strip of rows: each panel of B would be used once, so B is read where it lies
  streamed,  // few rows: B is read row by row
  dots       // few rows and a transposed B
};

/** One problem and the tasks it is cut into: a grid of rowBlocks × columnBlocks. */
struct Cut {
  const Gemm* problem;
  Way way;
  int64_t depth, depthBlocks;  // k cut into depthBlocks pieces of depth columns
  int64_t panels, rowsPerTask, panelsPerTask, columnBlocks;
  int64_t firstTask;
};

/** Working memory of one thread. */
struct Packed {
  float* a;
  float* b;  // one panel: [depth, kTileColumns]
};

/** Some rows of one panel of columns of B, where they lie. */
struct PanelOfB {
  const float* data;
  int64_t columns;
};

int64_t divideUp(int64_t a, int64_t b) { return (a + b - 1) / b; }
int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }
int64_t larger(int64_t a, int64_t b) { return a > b ? a : b; }

double flopsOf(const Gemm& g) { return 2.0 * static_cast<double>(g.m) * static_cast<double>(g.n) * static_cast<double>(g.k); }

Operand operandOf(const Gemm& g) { return {g.a, g.aRowStride, g.aColumnStride, g.aRows, g.aColumns}; }

Way wayOf(const Gemm& g) {
  bool columnsOfBAdjacent = g.bColumnStride == 1 || g.n == 1;
  if (g.m <= kFewRows && columnsOfBAdjacent) return Way::streamed;
  if (g.m <= kTileRows && columnsOfBAdjacent) return Way::bare;
  bool dots = g.m <= kFewRows && g.bRowStride == 1 && g.aColumnStride == 1 && g.aColumns == nullptr;
  return dots ? Way::dots : Way::packed;
}

/** Fetches part `part` of `parts` of a panel into the cache: done while the panel before it is multiplied, this hides
 *  the way to memory, which is long where each weight is used by few rows. A transposed panel is long rows, which the
 *  processor fetches ahead by itself. */
MOE_INLINE void prefetchPart(const Gemm& g, const PanelOfB& b, int64_t depth, int64_t part, int64_t parts) {
  constexpr int64_t kLine = 16;  // floats
  if (g.bColumnStride != 1) return;
  for (int64_t i = depth * part / parts; i < depth * (part + 1) / parts; ++i) {
    const float* row = b.data + i * g.bRowStride;
    for (int64_t j = 0; j < b.columns; j += kLine) __builtin_prefetch(row + j);
    __builtin_prefetch(row + b.columns - 1);
  }
}

/** Cuts a packed problem, whose share of all work is given, into the grid of blocks that should be done first. A block
 *  of r rows and c columns packs r + c values for each r · c multiplications; few tasks leave threads without work at
 *  the end. The bits of the product don't depend on the grid.
 *  @param wholeRows leave columns together */
void cutGrid(Cut& cut, double share, int threads, bool wholeRows) {
  const Gemm& g = *cut.problem;
  int64_t strips = divideUp(g.m, kTileRows), mostStrips = larger(1, kPackedAFloats / cut.depth / kTileRows);
  int64_t fewest = divideUp(strips, mostStrips);
  int64_t affordable = smaller(static_cast<int64_t>(share * static_cast<double>(kMostTasksPerThread * threads)),
                               static_cast<int64_t>(flopsOf(g) / kLeastTaskFlops));
  int64_t most = threads == 1 ? fewest : larger(fewest, affordable);
  double best = -1;
  for (int64_t rowBlocks = fewest; rowBlocks <= smaller(most, strips); ++rowBlocks)
    for (int64_t columnBlocks = 1; columnBlocks <= (wholeRows ? 1 : smaller(most / rowBlocks, cut.panels)); ++columnBlocks) {
      int64_t rows = divideUp(strips, rowBlocks) * kTileRows, panels = divideUp(cut.panels, columnBlocks);
      double packing = kPackingCost / static_cast<double>(smaller(rows, g.m)) + kPackingCost / static_cast<double>(panels * kTileColumns);
      double tasks = static_cast<double>(rowBlocks * columnBlocks) / share;
      // Other problems fill the gaps that this one leaves.
      double rounds = share < 1 ? 1 : __builtin_ceil(tasks / threads) * threads / tasks;
      double cost = (1 + packing) * rounds * (1 + kUnevenCost * threads / tasks);
      if (best >= 0 && cost >= best) continue;
      best = cost;
      cut.rowsPerTask = rows;
      cut.panelsPerTask = panels;
    }
}

class Plan {
 public:
  Plan(Cut* cuts, double totalFlops, const Gemm* problems, const RowsDone* done)
      : cuts_(cuts), totalFlops_(totalFlops), problems_(problems), done_(done),
        threads_(totalFlops > kParallelFlops ? threadCount() : 1) {}

  void add(const Gemm& g) {
    Cut cut = {};
    cut.problem = &g;
    cut.way = wayOf(g);
    cut.panels = divideUp(g.n, kTileColumns);
    cut.depthBlocks = cut.way == Way::packed ? divideUp(g.k, kDepth) : 1;
    cut.depth = divideUp(g.k, cut.depthBlocks);
    double share = totalFlops_ > 0 ? flopsOf(g) / totalFlops_ : 1.0;
    if (cut.way == Way::packed) {
      cutGrid(cut, share, threads_, done_ != nullptr);
    } else {
      // Few rows are bound by reading B: longer rows of it are read faster.
      double tasksPerThread = cut.way == Way::streamed ? 1 : 4;
      int64_t wanted = threads_ == 1 ? 1 : larger(1, static_cast<int64_t>(share * tasksPerThread * threads_ + 0.999));
      cut.rowsPerTask = g.m;
      cut.panelsPerTask = divideUp(cut.panels, smaller(cut.panels, wanted));
    }
    cut.columnBlocks = divideUp(cut.panels, cut.panelsPerTask);
    cut.firstTask = tasks_;
    tasks_ += divideUp(g.m, cut.rowsPerTask) * cut.columnBlocks;
    aFloats_ = larger(aFloats_, packedASize(smaller(g.m, cut.rowsPerTask), cut.depth));
    if (cut.way == Way::packed) bFloats_ = larger(bFloats_, cut.depth * kTileColumns);
    cuts_[count_++] = cut;
  }

  Status run() {
    Scratch packedA(threads_, aFloats_), packedB(threads_, bFloats_);
    if (!packedA.isOk()) return packedA.status("packed A of a matmul");
    if (!packedB.isOk()) return packedB.status("packed B of a matmul");
    auto body = [&](int64_t task, int thread) { multiplyTask(task, {packedA.floats(thread), packedB.floats(thread)}); };
    spread(tasks_, body);
    // A problem of few rows was cut along its columns: its rows are there when all tasks are done.
    if (done_ != nullptr) spread(count_, [&](int64_t i, int) { if (cuts_[i].columnBlocks > 1) report(cuts_[i], 0, cuts_[i].problem->m); });
    return Status::ok();
  }

 private:
  template <class Body>
  void spread(int64_t tasks, Body&& body) const {
    if (threads_ > 1)
      parallelFor(tasks, body);
    else
      for (int64_t task = 0; task < tasks; ++task) body(task, 0);
  }

  void report(const Cut& cut, int64_t firstRow, int64_t rows) const {
    done_->call(done_->context, cut.problem - problems_, firstRow, rows);
  }

  /** The last cut whose first task is at most `task`. */
  const Cut& cutOf(int64_t task) const {
    int64_t low = 0, high = count_ - 1;
    while (low < high) {
      int64_t middle = (low + high + 1) / 2;
      if (cuts_[middle].firstTask <= task)
        low = middle;
      else
        high = middle - 1;
    }
    return cuts_[low];
  }

  void multiplyTask(int64_t number, const Packed& own) const {
    const Cut& cut = cutOf(number);
    const Gemm& g = *cut.problem;
    int64_t task = number - cut.firstTask;
    int64_t firstRow = task / cut.columnBlocks * cut.rowsPerTask;
    int64_t rows = smaller(cut.rowsPerTask, g.m - firstRow);
    int64_t firstPanel = task % cut.columnBlocks * cut.panelsPerTask;
    int64_t endPanel = smaller(cut.panels, firstPanel + cut.panelsPerTask);
    if (cut.way == Way::dots)
      multiplyByDots(g, firstPanel, endPanel);
    else if (cut.way == Way::streamed)
      multiplyByRows(g, firstPanel, endPanel);
    else
      multiplyByTiles(cut, firstRow, rows, firstPanel, endPanel, own);
    if (done_ != nullptr && cut.columnBlocks == 1) report(cut, firstRow, rows);
  }

  static void multiplyByRows(const Gemm& g, int64_t firstPanel, int64_t endPanel) {
    int64_t column = firstPanel * kTileColumns;
    int64_t columns = smaller(g.n, endPanel * kTileColumns) - column;
    multiplyStreamed(operandOf(g), g.m, columns, g.k, g.b + column, g.bRowStride, g.c + column, g.cRowStride, g.accumulate,
                     g.alpha);
  }

  static void multiplyByDots(const Gemm& g, int64_t firstPanel, int64_t endPanel) {
    int64_t column = firstPanel * kTileColumns;
    int64_t columns = smaller(g.n, endPanel * kTileColumns) - column;
    multiplyDots(operandOf(g), g.m, g.b + column * g.bColumnStride, g.bColumnStride, g.k,
                 columns, g.c + column, g.cRowStride, g.accumulate, g.alpha);
  }

  static void multiplyByTiles(const Cut& cut, int64_t firstRow, int64_t rows, int64_t firstPanel, int64_t endPanel,
                              const Packed& own) {
    const Gemm& g = *cut.problem;
    const Operand a = operandOf(g);
    int64_t strips = divideUp(rows, kTileRows);
    for (int64_t firstDepth = 0; firstDepth < g.k; firstDepth += cut.depth) {
      int64_t depth = smaller(cut.depth, g.k - firstDepth);
      packA(a, firstRow, rows, firstDepth, depth, own.a);
      for (int64_t panel = firstPanel; panel < endPanel; ++panel) {
        PanelOfB b = panelOf(g, firstDepth, depth, panel);
        bool bare = cut.way == Way::bare, isLast = panel + 1 == endPanel;
        if (!bare) packBPanel(b.data, g.bRowStride, g.bColumnStride, depth, b.columns, own.b);
        for (int64_t strip = 0; strip < strips; ++strip) {
          if (!bare && !isLast) prefetchPart(g, panelOf(g, firstDepth, depth, panel + 1), depth, strip, strips);
          int64_t row = strip * kTileRows;
          multiplyStrip(layoutOf(a), smaller(rows - row, kTileRows), b.columns, depth, own.a + row * packedDepth(depth),
                        bare ? b.data : own.b, bare ? g.bRowStride : kTileColumns, bare,
                        g.c + (firstRow + row) * g.cRowStride + panel * kTileColumns, g.cRowStride,
                        g.accumulate || firstDepth > 0, g.alpha);
        }
      }
    }
  }

  static PanelOfB panelOf(const Gemm& g, int64_t firstDepth, int64_t depth, int64_t panel) {
    int64_t column = panel * kTileColumns;
    return {g.b + firstDepth * g.bRowStride + column * g.bColumnStride, smaller(g.n - column, kTileColumns)};
  }

  Cut* cuts_;
  double totalFlops_;
  const Gemm* problems_;
  const RowsDone* done_;  // or nullptr
  int threads_;
  int64_t count_ = 0, tasks_ = 0, aFloats_ = 0, bFloats_ = 0;
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

Status multiplyAll(const Gemm* problems, int64_t count, const RowsDone* done) {
  double flops = 0;
  for (int64_t i = 0; i < count; ++i) {
    Status sizes = checkSizes(problems[i]);
    if (!sizes.isOk()) return sizes;
    flops += flopsOf(problems[i]);
  }
  Scratch cuts(1, divideUp(count * static_cast<int64_t>(sizeof(Cut)), 4));
  if (!cuts.isOk()) return cuts.status("the plan of a matmul");
  Plan plan(static_cast<Cut*>(cuts.bytes()), flops, problems, done);
  for (int64_t i = 0; i < count; ++i) {
    const Gemm& g = problems[i];
    if (g.m == 0 || g.n == 0) continue;
    if (g.k > 0) {
      plan.add(g);
      continue;
    }
    if (!g.accumulate) clear(g);
    if (done != nullptr) done->call(done->context, i, 0, g.m);
  }
  return plan.run();
}

}  // namespace

Status groupedMatmul(const Gemm* problems, int64_t count) { return multiplyAll(problems, count, nullptr); }
Status groupedMatmul(const Gemm* problems, int64_t count, RowsDone done) { return multiplyAll(problems, count, &done); }
Status matmul(const Gemm& problem) { return multiplyAll(&problem, 1, nullptr); }

}  // namespace moe::MOE_ISA
