#include "backends/cpu/threads.h"

#include <omp.h>

#include <algorithm>
#include <atomic>
#include <exception>
#include <mutex>

#include "core/error.h"

namespace slope::cpu {
namespace {

std::atomic<int>& thread_count() {
  static std::atomic<int> count = [] {
    const int found = omp_get_max_threads();
    if (found > kMostThreads) omp_set_num_threads(kMostThreads);  // oneDNN asks OpenMP
    return std::min(found, kMostThreads);
  }();
  return count;
}

}  // namespace

void set_threads(int count) {
  if (count < 1) {
    throw ValueError(concat("set_threads: there must be at least one thread: got ", count,
                            ". Use 1 for serial work."));
  }
  if (count > kMostThreads) {
    throw ValueError(concat("set_threads: there may be at most ", kMostThreads, " threads: got ",
                            count, ". More than the machine has processors make nothing faster."));
  }
  thread_count() = count;
  omp_set_num_threads(count);  // oneDNN asks OpenMP
}

int threads() { return thread_count(); }

int thread_slots() {
  static std::atomic<int> slots = omp_get_num_procs();
  int seen = slots;
  while (seen < threads() && !slots.compare_exchange_weak(seen, threads())) {
  }
  return slots;
}

namespace detail {

void run_ranges(int64_t tasks, double nanoseconds, int max_slots, Range range, void* body) {
  if (tasks <= 0) return;
  int team = threads();
  if (max_slots > 0) team = std::min(team, max_slots);
  team = static_cast<int>(std::min<int64_t>(team, tasks));
  team = static_cast<int>(std::min<double>(team, 2 * nanoseconds / kWorthThreads));
  if (team <= 1 || nanoseconds < kWorthThreads || omp_in_parallel()) {
    range(body, 0, tasks, 0);
    return;
  }
  std::exception_ptr failure;
  std::mutex failure_mutex;
#pragma omp parallel num_threads(team)
  {
    // The runtime may give fewer threads than asked for.
    const int64_t members = omp_get_num_threads(), member = omp_get_thread_num();
    try {
      range(body, tasks * member / members, tasks * (member + 1) / members,
            static_cast<int>(member));
    } catch (...) {
      const std::lock_guard<std::mutex> lock(failure_mutex);
      if (!failure) failure = std::current_exception();
    }
  }
  if (failure) std::rethrow_exception(failure);
}

}  // namespace detail
}  // namespace slope::cpu
