// Reductions on the cpu: levels of the loops of reduce_kernel.cpp, a fixed tree for each shape.
#include <algorithm>
#include <string_view>
#include <vector>

#include "backends/cpu/cpu.h"
#include "backends/cpu/isa.h"
#include "backends/cpu/reduce_kernel.h"
#include "backends/cpu/threads.h"
#include "core/ops/reduce.h"

namespace slope::cpu {
namespace {

constexpr int64_t kItemValues = 32768;  // values that one item or one task combines, about

const ReduceKernels* kernels(Dtype dtype) {
  const bool single = dtype == Dtype::f32;
  switch (isa()) {
#ifdef SLOPE_X86
    case Isa::avx512:
      return single ? avx512::kReduceFloat : avx512::kReduceDouble;
    case Isa::avx2:
      return single ? avx2::kReduceFloat : avx2::kReduceDouble;
#endif
    default:
      return single ? generic::kReduceFloat : generic::kReduceDouble;
  }
}

// Neighbouring axes that are all kept or all reduced, as one.
struct Run {
  int64_t length;
  bool reduced;
};

std::vector<Run> merged_runs(const Shape& shape, const Axes& axes) {
  std::vector<Run> runs;
  for (int i = 0, next = 0; i < shape.rank(); ++i) {
    const bool reduced = next < axes.rank() && axes[next] == i;
    next += reduced;
    if (shape[i] == 1) continue;
    if (!runs.empty() && runs.back().reduced == reduced) {
      runs.back().length *= shape[i];
    } else {
      runs.push_back({shape[i], reduced});
    }
  }
  return runs;
}

// The levels that reduce all reduced runs, the last run first; a long run takes several.
std::vector<ReduceLevel> levels_of(std::vector<Run> runs) {
  const auto is_reduced = [](const Run& run) { return run.reduced; };
  // Without anything to reduce, each value is still passed through the rule.
  if (std::none_of(runs.begin(), runs.end(), is_reduced)) runs.push_back({1, true});

  std::vector<ReduceLevel> levels;
  while (std::any_of(runs.begin(), runs.end(), is_reduced)) {
    const auto run = std::find_if(runs.rbegin(), runs.rend(), is_reduced).base() - 1;
    ReduceLevel level;
    for (auto r = runs.begin(); r != run; ++r) level.outer *= r->length;
    for (auto r = run + 1; r != runs.end(); ++r) level.inner *= r->length;
    level.length = run->length;
    level.columns = std::clamp<int64_t>(level.inner, 1, kMaxColumns);
    level.blocks = (level.inner + level.columns - 1) / level.columns;
    level.chunk = kItemValues / level.columns;
    level.chunks = std::max<int64_t>((level.length + level.chunk - 1) / level.chunk, 1);
    levels.push_back(level);
    if (level.chunks > 1) {
      run->length = level.chunks;
    } else {
      runs.erase(run);
    }
  }
  return levels;
}

std::unique_ptr<Prepared> prepare(const Call& call) {
  const Tensor& x = call.in(0);
  const ReduceKernels* kernel = kernels(x.dtype());
  while (std::string_view(kernel->name) != call.op.name) ++kernel;
  const std::vector<ReduceLevel> levels =
      levels_of(merged_runs(x.shape(), call.as<ReduceAttributes>().axes));
  const auto value_bytes = static_cast<int64_t>(size_of(x.dtype()));

  int64_t scratch_bytes = 0;
  for (size_t i = 0; i + 1 < levels.size(); ++i) {
    scratch_bytes += levels[i].results() * kernel->partial_bytes;
  }
  const auto run = [=](const Argument* arguments, void* scratch) {
    const void* in = arguments[0].data;
    char* partial = static_cast<char*>(scratch);
    for (size_t i = 0; i < levels.size(); ++i) {
      const ReduceLevel& level = levels[i];
      const bool first = i == 0, last = i + 1 == levels.size();
      const ReduceItems items = first && last ? kernel->whole
                                : first       ? kernel->first
                                : last        ? kernel->last
                                              : kernel->middle;
      void* out = last ? arguments[1].data : partial;
      const int64_t values = level.outer * level.length * level.inner;
      const int64_t per_task =
          std::max<int64_t>(kItemValues * level.items() / std::max<int64_t>(values, 1), 1);
      const double bytes = static_cast<double>(values) *
                           static_cast<double>(first ? value_bytes : kernel->partial_bytes);
      parallel_for((level.items() + per_task - 1) / per_task, nanoseconds_for_bytes(bytes),
                   [&](int64_t task) {
                     items(level, task * per_task, std::min(level.items(), (task + 1) * per_task),
                           in, out);
                   });
      in = out;
      if (!last) partial += level.results() * kernel->partial_bytes;
    }
  };
  return prepared(run, static_cast<size_t>(scratch_bytes));
}

}  // namespace

void add_reduce(KernelTable& table) {
  for (const char* name : {"sum", "norm", "max", "min"}) table[name] = prepare;
}

}  // namespace slope::cpu
